//! All integration tests in one binary: one link, one place for what they share.

mod hash_files;
mod pattern;
