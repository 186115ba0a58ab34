//! The caches of Cargo projects: which directories, under which keys, and what is fresh.
//!
//! - [`gather`] reads what the keys of a project are computed from
//! - [`project`] parses the manifests, lock files and settings of a workspace
//! - [`toolchain`] finds the compiler without running it
//! - [`key`] computes the keys of the caches
//! - [`target_dir`] reads the units of a target directory
//! - [`target_gc`] decides what is not worth saving
//! - [`freshness`] decides which units stay fresh
//! - [`package_cache`] acquires cargo's own lock
//! - [`installed_bins`] finds the programs that `cargo install` installed

pub mod freshness;
pub mod gather;
pub(crate) mod installed_bins;
pub mod key;
pub mod key_inputs;
pub mod origin;
pub mod package_cache;
pub mod project;
pub(crate) mod target_dir;
pub mod target_gc;
pub mod toolchain;
