//! Keeping two restores into the same place out of each other's way.
//!
//! A restore builds under temporary names beside what it replaces, and removes such names when it
//! finds them: a killed restore left them. So that they can't be those of a restore that is still
//! at work, each one locks the directories that its roots stand in (flock, so the lock ends with
//! its holder) from before it looks until it is done. Where that is not possible, because another
//! restore takes its time or the filesystem has no such locks, a restore goes on beside the other
//! one and leaves temporary names alone: in the worst case both do the same work twice.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, IoContext, Result};
use crate::fs::{Dir, FileLock, LockMode, files, is_temp_name, remove_child, wait_for_lock};
use crate::monitor::Monitor;
use crate::tree::Roots;

/// The directories that roots stand in, locked.
pub(crate) struct RootLock {
    locks: Vec<FileLock>,
    is_complete: bool,
}

impl RootLock {
    /// Locks the directories that exist, waiting at most `timeout` for other restores, and removes
    /// what killed ones left there.
    pub(crate) fn take(places: &Roots, timeout: Duration, monitor: &dyn Monitor) -> Result<Self> {
        let mut parents: Vec<&Path> = places
            .iter()
            .filter_map(|(_, path)| path.parent())
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

    /// Whether nobody else restores below the roots, so that temporary names there are of no use.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn lock(parent: &Path, timeout: Duration, monitor: &dyn Monitor) -> Result<Option<FileLock>> {
    // Opened for each attempt: another directory may have got the name meanwhile.
    let locked = wait_for_lock(timeout, monitor, || {
        FileLock::try_acquire(files::open(parent)?, LockMode::Exclusive).context("lock", || parent)
    });
    match locked {
        Ok(None) => {
            monitor.warn(&format!(
                "another process is still restoring into {}; going on beside it",
                parent.display()
            ));
            Ok(None)
        }
        // The directory does not exist yet, or can't be locked. The restore itself finds out what
        // that means.
        Err(error) if !matches!(error, Error::Interrupted) => Ok(None),
        other => other,
    }
}

/// Removes what killed restores left beside the roots.
fn remove_leftovers(parent: &Path) -> Result<()> {
    let dir = Dir::open(parent).context("open", || parent)?;
    for listed in dir.list().context("read", || parent)? {
        if is_temp_name(&listed.name) {
            // Somebody else's can't be removed, and does no harm.
            drop(remove_child(&dir, &listed.name));
        }
    }
    Ok(())
}
