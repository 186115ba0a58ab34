//! Who may work on the store at the same time.
//!
//! | | restore | save, same key | save, other key | collect |
//! | --- | --- | --- | --- | --- |
//! | restore | together | together | together | one waits |
//! | save | together | the second gives way | together | one waits |
//! | collect | skipped | skipped | skipped | skipped |
//!
//! Restoring and saving hold `locks/store` shared, collecting holds it alone. Collecting never
//! waits: when the store is in use it is skipped. Restoring and saving wait for a collection to
//! end, for a stated time. A save also holds the lock of its entry; it is taken after
//! `locks/store`, and nobody waits for it, so no two processes wait for each other. Locks of
//! entries are only removed by who holds `locks/store` alone, when nobody can be holding or opening
//! them.

use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Store;
use super::entry::EntryId;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileLock, LockMode, files};

/// How often a waiting process looks again.
const POLL: Duration = Duration::from_millis(20);

/// The right to read and save. Held for a whole operation.
#[derive(Debug)]
pub struct SharedLock {
    _store: FileLock,
}

/// The right to save one entry.
#[derive(Debug)]
pub struct SaveLock {
    _entry: FileLock,
}

/// The right to remove what is no longer needed.
#[derive(Debug)]
pub struct GcLock {
    _store: FileLock,
}

impl Store {
    /// Takes the right to read and save, waiting at most `patience` for a collection to end.
    pub fn lock_shared(&self, patience: Duration) -> Result<SharedLock> {
        let path = self.layout.store_lock();
        let begun = Instant::now();
        loop {
            let file = self.open_lock(&path)?;
            if let Some(lock) =
                FileLock::try_acquire(file, LockMode::Shared).context("lock", || &path)?
            {
                return Ok(SharedLock { _store: lock });
            }
            if begun.elapsed() >= patience {
                return Err(Error::Busy {
                    what: format!("the store {}", self.layout.root().display()),
                });
            }
            sleep(POLL);
        }
    }

    /// Takes the right to save an entry; none when somebody else is saving it now.
    pub fn try_lock_entry(&self, _sharing: &SharedLock, id: &EntryId) -> Result<Option<SaveLock>> {
        let path = self.layout.save_lock(id);
        let file = self.open_lock(&path)?;
        let lock = FileLock::try_acquire(file, LockMode::Exclusive).context("lock", || &path)?;
        Ok(lock.map(|lock| SaveLock { _entry: lock }))
    }

    /// Takes the right to remove things; none when somebody reads or saves now.
    pub fn try_lock_for_gc(&self) -> Result<Option<GcLock>> {
        let path = self.layout.store_lock();
        let file = self.open_lock(&path)?;
        let lock = FileLock::try_acquire(file, LockMode::Exclusive).context("lock", || &path)?;
        Ok(lock.map(|lock| GcLock { _store: lock }))
    }

    fn open_lock(&self, path: &Path) -> Result<File> {
        match files::open_lock(path, self.modes.file) {
            Err(error) if error.is_not_found() => {
                files::create_dir(&self.layout.locks(), self.modes.directory)?;
                files::open_lock(path, self.modes.file)
            }
            other => other,
        }
    }
}
