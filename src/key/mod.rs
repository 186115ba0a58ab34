//! What identifies an entry: keys, paths, digests of files.

pub mod matching;
