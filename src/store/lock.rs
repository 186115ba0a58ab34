//! Which operations may work on the store at the same time.
//!
//! | | restore | save, same key | save, other key | garbage collection |
//! | --- | --- | --- | --- | --- |
//! | restore | together | together | together | one waits |
//! | save | together | the second one gives up | together | one waits |
//! | garbage collection | one waits | one waits | one waits | the second one gives up |
//!
//! Restores and saves hold `locks/store` shared, garbage collection holds it exclusively. Each waits
//! for the other, up to a timeout.
//!
//! A busy store always has a restore or a save, so garbage collection would never find it unused.
//! Therefore it holds `locks/turn` while it waits for `locks/store`: who comes later waits for
//! `locks/turn` first, and so garbage collection only waits for those who were there before. It
//! gives up after its timeout, which is shorter than that of restores and saves. While one garbage
//! collection waits, others give up at once.
//!
//! A save also holds the lock of its entry. It takes that lock after `locks/store` and never waits
//! for it, so there is no deadlock. Lock files of entries are removed only by the holder of the
//! exclusive lock: nobody can hold or open one then. The same holds for the locks of pushes to a
//! remote, which are waited for: a push holds `locks/store` shared, too, and waits for nothing else.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::id::EntryId;
use super::open::Store;
#[cfg(feature = "remote")]
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileLock, LockMode, wait_for_lock};
use crate::monitor::{Monitor, Silent};

/// Restores and saves hold `locks/turn` only while they take `locks/store`.
const TURN_TIMEOUT: Duration = Duration::from_millis(100);

/// Allows reading and saving. Held for a whole operation.
#[derive(Debug)]
pub struct SharedLock {
    _store: FileLock,
}

#[derive(Debug)]
pub struct SaveLock {
    _entry: FileLock,
}

/// Held while entries are copied to one place on a remote.
#[cfg(feature = "remote")]
#[derive(Debug)]
pub(crate) struct PushLock {
    _place: FileLock,
}

/// Allows removing entries and garbage.
#[derive(Debug)]
pub struct GcLock {
    _store: FileLock,
}

impl Store {
    /// Locks the store for reading and saving. Waits for garbage collection, at most `timeout`.
    pub fn lock_shared(&self, timeout: Duration) -> Result<SharedLock> {
        let lock = wait_for_lock(timeout, &Silent, || self.try_lock_shared())?;
        let lock = lock.ok_or_else(|| Error::Busy {
            what: format!("the store {}", self.layout.root().display()),
        })?;
        Ok(SharedLock { _store: lock })
    }

    fn try_lock_shared(&self) -> Result<Option<FileLock>> {
        let Some(_turn) = self.try_lock(&self.layout.turn_lock(), LockMode::Shared)? else {
            return Ok(None);
        };
        self.try_lock(&self.layout.store_lock(), LockMode::Shared)
    }

    /// Locks one entry for saving; none if another process is saving it.
    pub(crate) fn try_lock_entry(
        &self,
        _shared: &SharedLock,
        id: &EntryId,
    ) -> Result<Option<SaveLock>> {
        // `_shared` keeps garbage collection from removing the lock file after it was opened. Two
        // saves could then lock two files of the same name.
        let lock = self.try_lock(&self.layout.save_lock(id), LockMode::Exclusive)?;
        Ok(lock.map(|lock| SaveLock { _entry: lock }))
    }

    /// Locks a place on a remote for pushes of this store; none if another process pushes there.
    #[cfg(feature = "remote")]
    pub(crate) fn try_lock_push(
        &self,
        _shared: &SharedLock,
        place: &Digest,
    ) -> Result<Option<PushLock>> {
        let lock = self.try_lock(&self.layout.push_lock(place), LockMode::Exclusive)?;
        Ok(lock.map(|lock| PushLock { _place: lock }))
    }

    /// Locks the store for removals. Waits at most `timeout` for those who use it; none if they use
    /// it for longer, or if another garbage collection waits already.
    pub(crate) fn lock_for_gc(
        &self,
        timeout: Duration,
        monitor: &dyn Monitor,
    ) -> Result<Option<GcLock>> {
        let try_turn = || self.try_lock(&self.layout.turn_lock(), LockMode::Exclusive);
        let Some(_turn) = wait_for_lock(timeout.min(TURN_TIMEOUT), monitor, try_turn)? else {
            return Ok(None);
        };
        let lock = wait_for_lock(timeout, monitor, || {
            self.try_lock(&self.layout.store_lock(), LockMode::Exclusive)
        })?;
        Ok(lock.map(|lock| GcLock { _store: lock }))
    }

    /// Whether a garbage collection waits for those who use the store.
    #[cfg(feature = "remote")]
    pub(crate) fn is_gc_waiting(&self) -> bool {
        let turn = self.try_lock(&self.layout.turn_lock(), LockMode::Shared);
        matches!(turn, Ok(None))
    }

    /// Locks the store for removals; none if another process is reading or saving.
    pub fn try_lock_for_gc(&self) -> Result<Option<GcLock>> {
        self.lock_for_gc(Duration::ZERO, &Silent)
    }

    fn try_lock(&self, path: &Path, mode: LockMode) -> Result<Option<FileLock>> {
        FileLock::try_acquire(self.open_lock(path)?, mode).context("lock", || path)
    }

    fn open_lock(&self, path: &Path) -> Result<File> {
        match self.dir.open_lock(path, self.modes.file) {
            // Somebody removed `locks`; nothing in it has to be kept.
            Err(error) if error.is_not_found() => {
                self.dir
                    .create_dir(&self.layout.locks(), self.modes.directory)?;
                self.dir.open_lock(path, self.modes.file)
            }
            other => other,
        }
    }
}
