//! Locks on files (flock): they end with the process that holds them, however it ends.

use std::fs::File;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// The first pause between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Several processes can hold it at the same time.
    Shared,
    Exclusive,
}

/// A lock that is held until the value is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock {
    held: File,
}

impl FileLock {
    /// Locks an open file or directory. None if another holder excludes this lock.
    pub fn try_acquire(file: File, mode: LockMode) -> io::Result<Option<Self>> {
        let how = match mode {
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
            LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(&file, how) {
            Ok(()) => Ok(Some(Self { held: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Unlocked explicitly: a copy of the descriptor would keep the lock. A network filesystem
        // may refuse, and nothing can be done then. The end of the process ends the lock too.
        let _ = flock(&self.held, FlockOperation::Unlock);
    }
}

/// Calls `try_lock` until it returns a lock; none when `timeout` has passed. There is always one
/// attempt.
///
/// flock(2) can block, but it has no timeout, and a blocked thread does not see an interruption.
///
/// Errors: those of `try_lock`, and [`Error::Interrupted`].
pub(crate) fn wait_for_lock<L>(
    timeout: Duration,
    monitor: &dyn Monitor,
    mut try_lock: impl FnMut() -> Result<Option<L>>,
) -> Result<Option<L>> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(lock) = try_lock()? {
            return Ok(Some(lock));
        }
        if monitor.is_interrupted() {
            return Err(Error::Interrupted);
        }
        if start.elapsed() >= timeout {
            return Ok(None);
        }
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
