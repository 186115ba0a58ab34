//! Restoring and saving the caches of Cargo workspaces.
//!
//! Each cache succeeds or fails by itself. A failure is in the cache's part of the reply, and the
//! others go on.
//!
//! # Why other programs' files are safe
//!
//! - Files in `CARGO_HOME` are only ever added, under cargo's own lock. `mirror` affects target
//!   directories only.
//! - A directory that holds the sources, a home directory or the store is refused as a target
//!   directory. Unless something shows that cargo created a directory, nothing is removed from it,
//!   and it is not moved into the store.
//!
//! # Which key is saved
//!
//! The key that the restore looked up, because the job may have changed the files that the key is
//! computed from. If the restore saw another compiler than there is now, the key is computed for
//! the present one, which built what is saved. If the restore saw no compiler, because a later step
//! installs it, both keys are saved: the next restore may see the compiler, or again see none.
//!
//! # When the checkout is gone
//!
//! A step may remove the checkout or check out another branch before the save. So a restore notes
//! what the save needs to know ([`SaveNotes`](crate::job::SaveNotes)). Downloads are saved under
//! the key of the restore, with the packages that the lock files needed then or need now. A target
//! directory of which no project is left is not saved, because nothing tells what of it a build
//! can use; the reply says so.

mod build_dirs;
mod build_locks;
mod caches;
mod freshness;
pub(crate) mod import;
pub(crate) mod last_restore;
mod noted;
mod other_homes;
mod package_cache_lock;
mod project;
mod restore;
mod save;

pub(crate) use restore::{restore, restore_early};
pub(crate) use save::save;
