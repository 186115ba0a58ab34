//! Removing the entries that a retention policy evicts.

use std::collections::HashMap;

use crate::error::Result;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::ops::LOCK_TIMEOUT;
use crate::ops::entries::{StoreFiles, list};
use crate::store::gc::GcStats;
use crate::store::retention::{RetentionDecision, RetentionPolicy, decide};
use crate::store::{Entry, EntryId, Store};

#[derive(Debug)]
pub struct Pruned {
    /// The last used entry first.
    pub decisions: Vec<(RetentionDecision, Entry)>,
    /// `None` for a dry run.
    pub collected: Option<GcStats>,
}

/// Evicts entries and frees the space of everything that no entry needs.
///
/// Errors: [`Error::Busy`](crate::error::Error::Busy) if others use the store. Nothing is removed
/// then.
pub fn prune(
    store: &Store,
    policy: &RetentionPolicy,
    dry_run: bool,
    monitor: &dyn Monitor,
) -> Result<Pruned> {
    if dry_run {
        let _shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
        return Ok(Pruned {
            decisions: decide_all(store, policy, monitor)?,
            collected: None,
        });
    }
    let gc_lock = super::lock_for_gc(store)?;
    let decisions = decide_all(store, policy, monitor)?;
    let evicted: Vec<EntryId> = decisions
        .iter()
        .filter(|(decision, _)| decision.evict.is_some())
        .map(|(decision, _)| decision.id.clone())
        .collect();
    monitor.begin(Stage::Cleaning, 0);
    store.remove_entries(&gc_lock, &evicted)?;
    Ok(Pruned {
        collected: Some(store.collect_garbage(&gc_lock)?),
        decisions,
    })
}

fn decide_all(
    store: &Store,
    policy: &RetentionPolicy,
    monitor: &dyn Monitor,
) -> Result<Vec<(RetentionDecision, Entry)>> {
    let mut entries: HashMap<EntryId, Entry> = HashMap::new();
    let mut files = StoreFiles::new(store);
    let mut candidates = Vec::new();
    for listed in list(store, monitor)? {
        // Only `max_bytes` needs the sizes of the entries' files.
        let numbers = match policy.max_bytes {
            Some(_) => files.of(&listed.entry, monitor)?,
            None => Vec::new(),
        };
        candidates.push(listed.candidate(numbers, &[]));
        entries.insert(listed.id, listed.entry);
    }
    let decisions = decide(&candidates, &files.sizes, policy, Timestamp::now());
    Ok(decisions
        .into_iter()
        .filter_map(|decision| entries.remove(&decision.id).map(|entry| (decision, entry)))
        .collect())
}
