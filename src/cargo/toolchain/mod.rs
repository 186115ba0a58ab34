//! Which compiler cargo will run, found without running it.

pub mod locate;
pub mod overrides;
