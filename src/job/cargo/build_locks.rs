//! Cargo's locks on the directories that it builds into, held while they are saved.
//!
//! Cargo locks `.cargo-lock` in the directory of a profile with flock(2), exclusively, in the target
//! directory and in the build directory if that is another one. Since 1.100 it locks that file
//! shared, and two others for intermediate and for final artifacts (rust-lang/cargo, pull requests
//! 16708 and 16886). So exclusive locks on all of them show that no cargo is building, and a cargo
//! that starts meanwhile waits until the save has read everything.
//!
//! It waits for nobody: a program that a step left running may build for hours.

use std::path::{Path, PathBuf};

use crate::fs::{FileLock, LockMode, files};

const LOCKS: [&str; 3] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"];

#[derive(Debug, Default)]
pub(super) struct BuildLocks {
    held: Vec<FileLock>,
    /// The directories of profiles that a cargo is building into.
    pub(super) busy: Vec<PathBuf>,
}

impl BuildLocks {
    /// Locks the directories of profiles. As in cargo, locking is skipped where it does not work.
    pub(super) fn try_all<'p>(profiles: impl IntoIterator<Item = &'p PathBuf>) -> Self {
        let mut locks = Self::default();
        for profile in profiles {
            if !LOCKS.iter().all(|name| locks.hold(&profile.join(name))) {
                locks.busy.push(profile.clone());
            }
        }
        locks
    }

    /// False if another program holds the lock.
    fn hold(&mut self, path: &Path) -> bool {
        let file = files::open(path).ok();
        let Some(file) = file.filter(|file| !files::is_on_nfs(file)) else {
            return true;
        };
        match FileLock::try_acquire(file, LockMode::Exclusive) {
            Ok(Some(lock)) => self.held.push(lock),
            Ok(None) => return false,
            Err(_) => {}
        }
        true
    }
}
