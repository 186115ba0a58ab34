//! Unchanged sources stay fresh and no build is stale: real builds with the real cargo.

mod failures;
mod matrix;
mod old_times;
mod records;
mod source_roots;
pub(super) mod support;
