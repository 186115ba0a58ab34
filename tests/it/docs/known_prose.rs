//! How many of the phrases that are to be replaced each room still has. The numbers only get
//! smaller.

pub(super) const STILL: &[(&str, usize)] = &[
    (".", 0),
    (".ci", 0),
    ("bench", 0),
    ("docs", 10),
    ("src", 5),
    ("src/action", 34),
    ("src/cargo", 58),
    ("src/cli", 0),
    ("src/demo", 0),
    ("src/doctor", 6),
    ("src/fs", 4),
    ("src/glob", 9),
    ("src/job", 35),
    ("src/ops", 54),
    ("src/site", 56),
    ("src/stats", 27),
    ("src/store", 24),
    ("src/tree", 17),
    ("tests/it", 0),
];
