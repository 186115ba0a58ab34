//! What Cargo needs kept, and how Cargo learns what is fresh.
//!
//! - [`project`] reads the manifests, lock files, settings and toolchain of a workspace
//! - [`toolchain`] finds the compiler without running it
//! - [`key`] computes the keys of the caches
//! - [`target_gc`] decides what is not worth saving
//! - [`mtimes`] gives unchanged sources their modification times back
//! - [`package_cache`] takes cargo's own lock
//! - [`installed_bins`] tells the programs that cargo installed from the rest of `bin`

pub mod installed_bins;
pub mod key;
pub mod mtimes;
pub mod package_cache;
pub mod project;
pub mod target_gc;
pub mod toolchain;
