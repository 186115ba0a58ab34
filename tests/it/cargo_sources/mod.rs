//! Sources that did not change stay fresh, and no binary is ever stale: real builds with the real
//! cargo.

pub(crate) mod kit;
mod matrix;
mod places;
mod put_back;
mod trouble;
