//! Locks on files (flock): they end with the process that holds them, however it ends.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

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
    _held: Flock<OwnedFd>,
}

impl FileLock {
    /// Locks an open file or directory. None if another holder excludes this lock.
    pub fn try_acquire(file: File, mode: LockMode) -> io::Result<Option<Self>> {
        let how = match mode {
            LockMode::Shared => FlockArg::LockSharedNonblock,
            LockMode::Exclusive => FlockArg::LockExclusiveNonblock,
        };
        match Flock::lock(OwnedFd::from(file), how) {
            Ok(held) => Ok(Some(Self { _held: held })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
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
