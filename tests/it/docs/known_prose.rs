//! How many of the phrases that are to be replaced each room still has. The numbers only get smaller.

pub(super) const STILL: &[(&str, usize)] = &[
    ("docs", 7),
    ("src", 4),
    ("src/action", 21),
    ("src/cargo", 21),
    ("src/doctor", 6),
    ("src/fs", 4),
    ("src/glob", 9),
    ("src/job", 6),
    ("src/ops", 7),
    ("src/stats", 23),
    ("src/store", 1),
    ("src/tree", 1),
    ("tests/it", 1),
];
