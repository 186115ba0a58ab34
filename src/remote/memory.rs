//! What a look-up found, for other jobs of the machine that look for the same at the same time.
//!
//! Ten jobs of a matrix start within a second and look up the same key. The first one asks the
//! remote; the others wait for it and read what it found. A result is used for [`MEMORY_TIME`] after
//! its look-up began, so a job that starts when another machine has saved something sees that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::Trust;
use super::record::RemoteRecord;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::wait_for_lock;
use crate::ops::second_tier::LocalTier;
use crate::stats::event;
use crate::store::lock::SaveLock;
use crate::store::{EntryGroup, EntryId};

/// How long a result is used.
const MEMORY_TIME: Duration = Duration::from_secs(5);
/// How long a job waits for another one that asks the remote.
const WAIT_LIMIT: Duration = Duration::from_secs(3);

/// A look-up of a key in a group of a remote, for one kind of run.
pub(super) struct LookupMemory {
    /// Who holds the lock of this name asks the remote.
    lock: EntryId,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    /// When the look-up began, in milliseconds since the epoch.
    began: i64,
    records: Vec<(Trust, RemoteRecord)>,
}

/// The right to ask the remote, or what another job found out meanwhile.
pub(super) enum Turn {
    Ask(LookupTurn),
    Known(Vec<(Trust, RemoteRecord)>),
}

pub(super) struct LookupTurn {
    /// Without it, the job asks although another one may, too: the lock cannot be had.
    _lock: Option<SaveLock>,
    began: i64,
}

impl LookupMemory {
    pub(super) fn new(remote: &str, trust: Trust, group: &EntryGroup, key: &str) -> Self {
        let lookup = Digest::of(format!("{remote}\n{trust}\n{key}").as_bytes());
        // No key of an entry looks like this, so no save takes the lock.
        let lock = group.entry_id(&format!("look-up on the remote {lookup}"));
        let name = format!("remote-lookup-{lock}");
        Self { lock, name }
    }

    /// Waits for another job that does the same look-up.
    ///
    /// Errors: [`Error::Interrupted`](crate::error::Error::Interrupted).
    pub(super) fn turn(&self, local: LocalTier<'_>) -> Result<Turn> {
        let LocalTier {
            store,
            lock,
            monitor,
        } = local;
        let try_lock = || match store.try_lock_entry(lock, &self.lock) {
            Ok(taken) => Ok(taken.map(Some)),
            Err(_) => Ok(Some(None)),
        };
        let turn = wait_for_lock(WAIT_LIMIT, monitor, try_lock)?.flatten();
        let now = event::now();
        Ok(match self.read(local, now) {
            Some(records) => Turn::Known(records),
            None => Turn::Ask(LookupTurn {
                _lock: turn,
                began: now,
            }),
        })
    }

    fn read(&self, local: LocalTier<'_>, now: i64) -> Option<Vec<(Trust, RemoteRecord)>> {
        let bytes = local.store.job_state(&self.name).ok()??;
        let remembered: Remembered = serde_json::from_slice(&bytes).ok()?;
        let age = u64::try_from(now.checked_sub(remembered.began)?).ok()?;
        (Duration::from_millis(age) < MEMORY_TIME).then_some(remembered.records)
    }

    /// Keeps what the look-up of a turn found. A failure costs the next job a look-up.
    pub(super) fn keep(
        &self,
        local: LocalTier<'_>,
        turn: &LookupTurn,
        records: &[(Trust, RemoteRecord)],
    ) {
        let remembered = Remembered {
            began: turn.began,
            records: records.to_vec(),
        };
        if let Ok(bytes) = serde_json::to_vec(&remembered) {
            let LocalTier { store, lock, .. } = local;
            drop(store.put_job_state_under(lock, &self.name, &bytes));
        }
    }
}
