//! What identifies an entry: keys, paths, digests of files.

pub mod hash_files;
pub mod matching;
