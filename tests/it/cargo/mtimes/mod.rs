//! Sources that did not change stay fresh, and no binary is ever stale: real builds with the real
//! cargo.

mod failures;
mod matrix;
mod old_times;
mod source_roots;
pub(super) mod support;
