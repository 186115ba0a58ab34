//! Decides what is worth saving, so that caches do not grow over months of builds, and no product of
//! an earlier job comes back. The directories themselves are not changed.
//!
//! - [`locked_packages`]: the packages that the lock files of all workspaces need
//! - `own_targets`: the targets that the manifests of packages with a path have
//! - [`downloads`]: filters cargo's registry and git directories by the lock files (pure)
//! - [`reachable`]: decides which units a build can still use (pure)
//! - `incremental`, `docs`: decide about incremental data and documentation (pure)
//! - `listing`, [`unused`]: decide which names in a target directory are saved (pure)
//! - `left_over`: decides what a restore brought back for nothing (pure)
//! - [`kept_outputs`]: what the user keeps although it is unused (pure)
//! - [`submodules`]: reads which submodules the checkouts of git dependencies have
//! - [`inspect`]: reads target directories for these decisions
//!
//! The results are filters for a scan.
//!
//! A filter that excludes too much costs a download or a build, but causes no errors: cargo
//! downloads what is missing, and rebuilds a unit whose fingerprint is missing. The fingerprint of
//! a unit and its outputs are always excluded together.

mod docs;
pub mod downloads;
mod incremental;
pub mod inspect;
pub mod kept_outputs;
mod left_over;
mod listing;
pub mod locked_packages;
mod own_targets;
pub mod reachable;
pub mod submodules;
pub mod unused;
