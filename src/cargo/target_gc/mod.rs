//! What is not worth saving, so that the caches do not grow over months of builds. Nothing is
//! removed from the directories themselves.
//!
//! - [`locked_packages`]: the packages that the lock files of all workspaces need
//! - [`downloads`]: filters cargo's registry and git directories by them (pure)
//! - [`read_target`]: reads what a target directory records about itself
//! - [`unused`]: decides which outputs no build can use (pure)
//!
//! The results are filters for a scan.
//!
//! Excluding too much costs a download or a build and is never wrong: cargo fetches what is
//! missing, and rebuilds a unit whose fingerprint is missing. A unit is kept or excluded as a
//! whole, its fingerprint with its outputs.

pub mod downloads;
pub mod inspect;
pub mod locked_packages;
pub mod reachable;
pub mod read_target;
pub mod unused;
