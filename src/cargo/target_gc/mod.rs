//! What is not worth keeping, decided while saving, so that months of builds do not make the caches
//! grow. Nothing is removed where it is.
//!
//! - [`Needed`] is what the lock files of all workspaces need
//! - [`downloads()`] leaves out of cargo's registry and git directories what they do not need
//!   (pure)
//! - [`look()`] reads what a target directory says of itself, [`leftovers()`] decides what of it no
//!   build can use (pure)
//!
//! Each gives what `scan::Options::exclude` takes.
//!
//! Leaving out too much costs a download or a build, never a wrong result: cargo fetches what is
//! missing, and builds a unit whose fingerprint is missing. A unit is taken or left out whole, its
//! fingerprint with its outputs.

pub mod downloads;
pub mod inspect;
pub mod locked_packages;
pub mod reachable;
pub mod read_target;
pub mod unused;
