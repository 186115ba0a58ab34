//! The index of a repository: every tracked file, with the metadata that it had when git last
//! compared it with its blob.
//!
//! The format is described in `gitformat-index(5)`.

mod clean;
mod model;
mod parse;

pub use model::{Index, IndexEntry};
