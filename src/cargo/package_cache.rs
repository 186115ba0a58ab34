//! Cargo's own lock on the registry and the git dependencies of a `CARGO_HOME`.
//!
//! Cargo locks two files there with flock(2) (rust-lang/cargo, `util/cache_lock.rs` and
//! `util/flock.rs`): `.package-cache` exclusively while it resolves and downloads, and
//! `.package-cache-mutate` shared during a build and exclusively while it removes files. A process
//! that needs both locks `.package-cache-mutate` first.
//!
//! Here both are locked in that order, the first one shared. So no cargo downloads or removes
//! anything while this process adds or reads files, and neither side sees half a crate. Running
//! builds continue, because files are only added, or replaced by equal ones. Excluding builds too
//! would mean waiting until they finish.
//!
//! As in cargo, locking is skipped where it is not supported: on NFS, where a lock request may
//! hang, on filesystems without locks, and in a read-only `CARGO_HOME`, where nobody downloads
//! either.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, IoContext, Result};
use crate::fs::{FileLock, LockMode, files, wait_for_lock};
use crate::monitor::Monitor;

const LOCKS: [(&str, LockMode); 2] = [
    (".package-cache-mutate", LockMode::Shared),
    (".package-cache", LockMode::Exclusive),
];

/// The mode of the lock files that cargo creates, before the umask.
const MODE: u32 = 0o644;

#[derive(Debug)]
pub struct PackageCache {
    // Dropped in this order: the last acquired first.
    _locks: Vec<FileLock>,
}

impl PackageCache {
    /// `None` if other programs hold the lock until the timeout.
    ///
    /// Errors: [`Error::Interrupted`].
    pub fn lock(
        cargo_home: &Path,
        timeout: Duration,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>> {
        let start = Instant::now();
        let mut locks = Vec::new();
        for (name, mode) in LOCKS {
            let path = cargo_home.join(name);
            let remaining = timeout.saturating_sub(start.elapsed());
            match wait_for_lock(remaining, monitor, || try_lock(&path, mode)) {
                Ok(Some(lock)) => locks.insert(0, lock),
                Ok(None) => return Ok(None),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                // Locks do not work here, so no cargo holds one.
                Err(_) => {}
            }
        }
        Ok(Some(Self { _locks: locks }))
    }
}

fn try_lock(path: &Path, mode: LockMode) -> Result<Option<FileLock>> {
    let file = files::open_lock(path, MODE)?;
    if files::is_on_nfs(&file) {
        return Err(Error::invalid(format!("{} is on NFS", path.display())));
    }
    FileLock::try_acquire(file, mode).context("lock", || path)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::monitor::Silent;

    const SHORT: Duration = Duration::from_millis(60);

    /// Whether the lock can be acquired while cargo holds a lock, or none.
    fn can_lock(held: Option<(&str, LockMode)>) -> bool {
        let home = tempfile::tempdir().unwrap();
        let lock = |(name, mode)| {
            let file = File::create(home.path().join(name)).unwrap();
            FileLock::try_acquire(file, mode).unwrap().unwrap()
        };
        let _held = held.map(lock);
        PackageCache::lock(home.path(), SHORT, &Silent)
            .unwrap()
            .is_some()
    }

    #[test]
    fn the_lock_waits_for_downloads_and_removals_but_not_for_builds() {
        assert!(can_lock(None));
        assert!(
            !can_lock(Some((".package-cache", LockMode::Exclusive))),
            "cargo downloads"
        );
        assert!(
            !can_lock(Some((".package-cache-mutate", LockMode::Exclusive))),
            "cargo removes"
        );
        assert!(
            can_lock(Some((".package-cache-mutate", LockMode::Shared))),
            "cargo builds"
        );
    }

    #[test]
    fn nobody_downloads_or_removes_while_it_is_held() {
        let home = tempfile::tempdir().unwrap();
        let held = PackageCache::lock(home.path(), SHORT, &Silent).unwrap();
        let attempt = |name: &str, mode| {
            FileLock::try_acquire(File::open(home.path().join(name)).unwrap(), mode)
                .unwrap()
                .is_some()
        };
        assert!(!attempt(".package-cache", LockMode::Exclusive));
        assert!(!attempt(".package-cache-mutate", LockMode::Exclusive));
        assert!(attempt(".package-cache-mutate", LockMode::Shared));
        drop(held);
        assert!(attempt(".package-cache", LockMode::Exclusive));
    }

    #[test]
    fn without_a_directory_for_locks_none_is_needed() {
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("missing");
        assert!(
            PackageCache::lock(&missing, SHORT, &Silent)
                .unwrap()
                .is_some()
        );
        assert!(!missing.exists());
    }

    #[test]
    fn waiting_ends_on_an_interrupt() {
        struct Interrupted;
        impl Monitor for Interrupted {
            fn is_interrupted(&self) -> bool {
                true
            }
        }
        let home = tempfile::tempdir().unwrap();
        let file = File::create(home.path().join(".package-cache")).unwrap();
        let _held = FileLock::try_acquire(file, LockMode::Exclusive).unwrap();
        let error =
            PackageCache::lock(home.path(), Duration::from_secs(60), &Interrupted).unwrap_err();
        assert!(matches!(error, Error::Interrupted));
    }
}
