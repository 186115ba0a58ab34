//! What a restore leaves for the save of the same job.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{FileNumber, FreshnessRecord};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::store::Store;

/// How far the clock may move against the time since boot before it counts as set, in
/// milliseconds. Clocks that are slewed stay below it.
const CLOCK_TOLERANCE: i64 = 1_000;

/// The last restore into a target directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RestoreNote {
    /// The time that the records and artifacts of fresh units were given.
    pub(crate) time: Timestamp,
    /// The record in the store that decided.
    pub(crate) record: Option<Digest>,
    /// The fresh units: the names of their roots, and their directories of records.
    pub(crate) fresh: Vec<(String, PathBuf)>,
    /// The recorded files that were different, missing or unreadable.
    pub(crate) different: Vec<FileNumber>,
    /// The files that were given their old modification times, with their ctimes since then.
    pub(crate) given: Vec<(PathBuf, Timestamp)>,
    /// The units that were compiled again, with the reason of each.
    pub(crate) stale: Vec<(String, String)>,
    /// The labels of the fresh units.
    pub(crate) fresh_labels: Vec<String>,
    /// The clock's distance to the time since boot, in milliseconds.
    clock_offset: i64,
}

/// The last restore into the target directory.
#[derive(Default)]
pub(crate) struct LastRestore {
    pub(crate) note: Option<RestoreNote>,
    pub(crate) record: Option<FreshnessRecord>,
}

impl RestoreNote {
    pub(crate) fn new(time: Timestamp, record: Option<Digest>) -> Self {
        Self {
            time,
            record,
            fresh: Vec::new(),
            different: Vec::new(),
            given: Vec::new(),
            stale: Vec::new(),
            fresh_labels: Vec::new(),
            clock_offset: Timestamp::offset_to_boot_clock(),
        }
    }

    /// All units by their labels, each with the reason why it was not fresh.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let stale = self.stale.iter();
        let stale = stale.map(|(label, reason)| (label.as_str(), Some(reason.as_str())));
        let fresh = self.fresh_labels.iter().map(|label| (label.as_str(), None));
        stale.chain(fresh)
    }

    /// Whether somebody set the clock since the restore.
    pub(crate) fn clock_changed(&self) -> bool {
        let moved = Timestamp::offset_to_boot_clock() - self.clock_offset;
        moved.abs() > CLOCK_TOLERANCE
    }

    /// The note of the last restore into the directory `target`.
    pub(crate) fn read(store: &Store, target: &Path) -> Result<Option<Self>> {
        let Some(bytes) = store.job_state(&name(target))? else {
            return Ok(None);
        };
        // An older program's note has another form. Without it, less stays fresh.
        Ok(postcard::from_bytes(&bytes).ok())
    }

    pub(crate) fn write(&self, store: &Store, target: &Path) -> Result<()> {
        let bytes = postcard::to_stdvec(self).map_err(Error::defect)?;
        store.put_job_state(&name(target), &bytes)
    }
}

fn name(target: &Path) -> String {
    format!(
        "freshness-{}",
        Digest::of(target.as_os_str().as_encoded_bytes())
    )
}
