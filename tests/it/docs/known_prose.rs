//! How many of the phrases that are to be replaced each room still has. The numbers only get smaller.

pub(super) const STILL: &[(&str, usize)] = &[
    // A value that keys have a digest of.
    ("src/cargo", 1),
];
