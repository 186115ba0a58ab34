//! Locks on files (flock): they end with the process that holds them, however it ends.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Together with other shared holders.
    Shared,
    /// By one holder alone.
    Exclusive,
}

/// A lock that is held until the value is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock {
    _held: Flock<OwnedFd>,
}

impl FileLock {
    /// Takes the lock on an open file or directory if nobody holds it in a way that excludes this
    /// one.
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
