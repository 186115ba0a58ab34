//! A lock for restores into the same directory.
//!
//! A restore creates files under temporary names beside those that it replaces, and removes
//! existing temporary names, which a killed restore left. To spare those of a running restore, each
//! restore locks the parent directories of its roots (flock, so the lock ends with its holder)
//! before it reads them, and until it ends. It creates them first if they are missing: two restores
//! that both find nothing there would otherwise mix their files. If that fails, because another restore takes longer
//! than the timeout or the filesystem has no such locks, the restore continues without the lock and
//! removes no temporary names: in the worst case, both restores do the same work.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, IoContext, Result};
use crate::fs::{Dir, FileLock, LockMode, files, is_temp_name, remove_child, wait_for_lock};
use crate::monitor::Monitor;
use crate::tree::Roots;

/// Locks on the parent directories of roots.
pub(crate) struct RootLock {
    locks: Vec<FileLock>,
    is_complete: bool,
}

impl RootLock {
    /// Creates and locks the directories, waiting at most `timeout` for other restores, and removes
    /// what killed ones left there.
    pub(crate) fn take(places: &Roots, timeout: Duration, monitor: &dyn Monitor) -> Result<Self> {
        let mut parents: Vec<&Path> = places
            .iter()
            .filter_map(|(_, root)| root.real.parent())
            .collect();
        // In the same order for all, so that no two wait for each other.
        parents.sort_unstable();
        parents.dedup();
        let start = Instant::now();
        let mut claim = Self {
            locks: Vec::new(),
            is_complete: true,
        };
        for parent in parents {
            let Some(lock) = lock(parent, timeout.saturating_sub(start.elapsed()), monitor)? else {
                claim.is_complete = false;
                continue;
            };
            claim.locks.push(lock);
            remove_leftovers(parent)?;
        }
        Ok(claim)
    }

    /// Whether all directories are locked: then no other restore runs there, and temporary names
    /// are leftovers.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn lock(parent: &Path, timeout: Duration, monitor: &dyn Monitor) -> Result<Option<FileLock>> {
    // Opened for each attempt: another directory may have got the name meanwhile.
    let locked = wait_for_lock(timeout, monitor, || {
        files::create_dir_all(parent)?;
        FileLock::try_acquire(files::open(parent)?, LockMode::Exclusive).context("lock", || parent)
    });
    match locked {
        Ok(None) => {
            monitor.warn(&format!(
                "another process is still restoring into {}; continuing without the lock",
                parent.display()
            ));
            Ok(None)
        }
        // The directory can't be created or locked. The restore itself finds out what that means.
        Err(error) if !matches!(error, Error::Interrupted) => Ok(None),
        other => other,
    }
}

/// Removes what killed restores left beside the roots.
fn remove_leftovers(parent: &Path) -> Result<()> {
    let dir = Dir::open(parent).context("open", || parent)?;
    for listed in dir.list().context("read", || parent)? {
        if is_temp_name(&listed.name) {
            // Removing another user's name may fail, and the name does no harm.
            drop(remove_child(&dir, &listed.name));
        }
    }
    Ok(())
}
