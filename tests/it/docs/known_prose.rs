//! How many of the phrases that are to be replaced each room still has. The numbers only get smaller.

pub(super) const STILL: &[(&str, usize)] = &[
    ("docs", 4),
    ("src/action", 21),
    ("src/cargo", 21),
    ("src/glob", 9),
    ("src/job", 6),
    ("src/ops", 3),
    ("src/tree", 1),
    ("tests/it", 1),
];
