//! How much of `max-cache-size` a cache may take.
//!
//! The caches of a step have to fit into the store together. One that does not fit is not saved:
//! retention would remove it, or another cache of the step, at the end of the job, and the next job
//! would save it again. Steps do not know of each other.

use crate::error::Result;
use crate::job::context::JobContext;
use crate::job::request::SaveTask;
use crate::monitor::Monitor;
use crate::ops::entries::disk_bytes;
use crate::ops::save::SaveOutcome;
use crate::store::{EntryGroup, EntryId, Store};

/// The share of the limit, in percent, that entries may take. Lists of files, the journal and other
/// files of the store take the rest.
const PERCENT_FOR_ENTRIES: u64 = 95;

/// The limit of a step, and its entries that are in the store.
pub(super) struct SizeLimit<'a> {
    store: &'a Store,
    monitor: &'a dyn Monitor,
    max_bytes: Option<u64>,
    entries: Vec<EntryId>,
}

impl<'a> SizeLimit<'a> {
    /// Begins with the entries that the step restored under the key that it looked up.
    pub(super) fn new(context: &JobContext<'a>, task: &SaveTask, store: &'a Store) -> Self {
        let exact = task.records.iter().filter(|record| record.exact);
        let entries = exact.filter_map(|record| EntryId::parse(record.entry.as_ref()?));
        Self {
            store,
            monitor: context.monitor,
            max_bytes: task.max_bytes,
            entries: entries.collect(),
        }
    }

    /// The bytes that an entry of a group may take; none if there is no limit. Other entries of the
    /// group take nothing, because they are removed first.
    pub(super) fn for_entry_of(&self, group: &EntryGroup) -> Result<Option<u64>> {
        let Some(limit) = self.max_bytes else {
            return Ok(None);
        };
        let group = group.id();
        let others = self.entries.iter().filter(|id| id.group() != group);
        let used = disk_bytes(self.store, others, self.monitor)?;
        let for_entries = limit / 100 * PERCENT_FOR_ENTRIES;
        Ok(Some(for_entries.saturating_sub(used)))
    }

    /// Notes the outcome of a save. Warns if the cache does not fit.
    pub(super) fn note(&mut self, cache: &str, id: EntryId, outcome: &SaveOutcome) {
        if let SaveOutcome::TooLarge(excess) = outcome {
            self.monitor
                .warn(&format!("{cache} is not saved: {excess}"));
        } else {
            self.entries.push(id);
        }
    }
}
