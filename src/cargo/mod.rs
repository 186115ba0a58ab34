//! What Cargo needs kept, and how Cargo learns what is fresh.
//!
//! - [`gather`] reads what the keys of a project are computed from
//! - [`project`] understands the manifests, lock files and settings of a workspace
//! - [`toolchain`] finds the compiler without running it
//! - [`key`] computes the keys of the caches
//! - [`target_gc`] decides what is not worth saving
//! - [`mtimes`] gives unchanged sources their modification times back
//! - [`package_cache`] takes cargo's own lock
//! - [`installed_bins`] tells the programs that cargo installed from the rest of `bin`

pub mod gather;
pub mod installed_bins;
pub mod key;
pub mod key_inputs;
pub mod mtimes;
pub mod origin;
pub mod package_cache;
pub mod project;
pub mod target_gc;
pub mod toolchain;
