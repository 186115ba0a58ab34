//! State that one phase of a job leaves for a later phase: `memories/<name>`.
//!
//! Runners do this themselves, but `act` loses what the main phase saves for the post phase.

use super::lock::SharedLock;
use super::open::{Store, WRITE_TIMEOUT};
use crate::error::Result;

/// Bytes of a state that is read.
const MAX_STATE: u64 = 64 << 20;

impl Store {
    pub fn put_job_state(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let lock = self.lock_shared(WRITE_TIMEOUT)?;
        self.put_job_state_under(&lock, name, bytes)
    }

    /// The same for a holder of the lock, who would wait in vain for a garbage collection that waits
    /// for this holder.
    pub(crate) fn put_job_state_under(
        &self,
        _lock: &SharedLock,
        name: &str,
        bytes: &[u8],
    ) -> Result<()> {
        self.dir
            .create_dir(&self.layout.job_states(), self.modes.directory)?;
        self.write_atomically(&self.layout.job_state(name), bytes)
    }

    pub(crate) fn job_state(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.dir.read(&self.layout.job_state(name), MAX_STATE) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a state and removes it.
    pub(crate) fn take_job_state(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.layout.job_state(name);
        let bytes = self.dir.read(&path, MAX_STATE).ok()?;
        // If this fails, garbage collection removes the file when it is old.
        drop(self.dir.remove(&path));
        Some(bytes)
    }
}
