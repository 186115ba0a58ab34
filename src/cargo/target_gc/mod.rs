//! Finds what is not worth saving, so that caches do not grow over months of builds. The
//! directories themselves are not changed.
//!
//! - [`locked_packages`]: the packages that the lock files of all workspaces need
//! - [`downloads`]: filters cargo's registry and git directories by them (pure)
//! - [`read_target`]: reads the units of a target directory from cargo's own records
//! - [`reachable`]: decides which units a build can still use (pure)
//! - [`unused`]: finds the outputs of all other units (pure)
//! - [`inspect`]: reads a target directory and finds its unused outputs
//!
//! The results are filters for a scan.
//!
//! A filter that excludes too much costs a download or a build, but causes no errors: cargo
//! downloads what is missing, and rebuilds a unit whose fingerprint is missing. The fingerprint of
//! a unit and its outputs are always excluded together.

pub mod downloads;
pub mod inspect;
pub mod locked_packages;
pub mod reachable;
pub(crate) mod read_target;
pub mod unused;
