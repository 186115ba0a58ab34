//! Removing the entries that a retention policy evicts.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::ops::LOCK_TIMEOUT;
use crate::ops::entries::{StoreFiles, list};
use crate::store::gc::GcStats;
use crate::store::lock::GcLock;
use crate::store::retention::{RetentionCandidate, RetentionDecision, RetentionPolicy, decide};
use crate::store::{Entry, EntryId, Store};

#[derive(Debug)]
pub struct Pruned {
    /// The last used entry first.
    pub decisions: Vec<(RetentionDecision, Entry)>,
    /// Bytes of the files that only evicted entries use. Known if the sizes of files were needed,
    /// and for a dry run.
    pub evicted_bytes: Option<u64>,
    /// `None` for a dry run.
    pub collected: Option<GcStats>,
}

/// Evicts entries and frees the space of everything that no entry needs.
///
/// Errors: [`Error::Busy`](crate::error::Error::Busy) if others use the store for a while. Nothing
/// is removed then.
pub fn prune(
    store: &Store,
    policy: &RetentionPolicy,
    dry_run: bool,
    monitor: &dyn Monitor,
) -> Result<Pruned> {
    if dry_run {
        let _shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
        return decide_all(store, policy, true, monitor);
    }
    let gc_lock = super::lock_for_gc(store, monitor)?;
    let pruned = decide_all(store, policy, policy.max_bytes.is_some(), monitor)?;
    let evicted: Vec<EntryId> = pruned
        .decisions
        .iter()
        .filter(|(decision, _)| decision.evict.is_some())
        .map(|(decision, _)| decision.id.clone())
        .collect();
    let collected = remove_and_collect(store, &gc_lock, &evicted, monitor)?;
    Ok(Pruned {
        collected: Some(collected),
        ..pruned
    })
}

/// Removes entries and everything that no other entry needs.
///
/// Errors: [`Error::Busy`](crate::error::Error::Busy) if others use the store. Nothing is removed
/// then.
pub(crate) fn remove(store: &Store, ids: &[EntryId], monitor: &dyn Monitor) -> Result<GcStats> {
    let gc_lock = super::lock_for_gc(store, monitor)?;
    remove_and_collect(store, &gc_lock, ids, monitor)
}

fn remove_and_collect(
    store: &Store,
    gc_lock: &GcLock,
    ids: &[EntryId],
    monitor: &dyn Monitor,
) -> Result<GcStats> {
    monitor.begin(Stage::Cleaning, 0);
    store.remove_entries(gc_lock, ids)?;
    store.collect_garbage(gc_lock, monitor)
}

/// Reading which files an entry uses takes longer than everything else, so it is done only
/// `with_sizes`.
fn decide_all(
    store: &Store,
    policy: &RetentionPolicy,
    with_sizes: bool,
    monitor: &dyn Monitor,
) -> Result<Pruned> {
    let mut entries: HashMap<EntryId, Entry> = HashMap::new();
    let mut files = StoreFiles::new(store);
    let mut candidates = Vec::new();
    for listed in list(store, monitor)? {
        let numbers = if with_sizes {
            files.of(&listed.entry, monitor)?
        } else {
            Vec::new()
        };
        candidates.push(listed.candidate(numbers, &[]));
        entries.insert(listed.id, listed.entry);
    }
    let decisions = decide(&candidates, &files.sizes, policy, Timestamp::now());
    Ok(Pruned {
        evicted_bytes: with_sizes.then(|| evicted_bytes(&candidates, &decisions, &files.sizes)),
        decisions: decisions
            .into_iter()
            .filter_map(|decision| entries.remove(&decision.id).map(|entry| (decision, entry)))
            .collect(),
        collected: None,
    })
}

/// Bytes of the files that only evicted entries need.
fn evicted_bytes(
    candidates: &[RetentionCandidate],
    decisions: &[RetentionDecision],
    sizes: &[u64],
) -> u64 {
    let evicted = decisions.iter().filter(|it| it.evict.is_some());
    let evicted: HashSet<&EntryId> = evicted.map(|decision| &decision.id).collect();
    let (evicted, retained): (Vec<_>, Vec<_>) = candidates
        .iter()
        .partition(|candidate| evicted.contains(&candidate.id));
    let needs = |candidates: &[&RetentionCandidate]| -> HashSet<usize> {
        let needs = candidates.iter().flat_map(|it| it.needs.iter().copied());
        needs.collect()
    };
    let (evicted, retained) = (needs(&evicted), needs(&retained));
    evicted.difference(&retained).map(|file| sizes[*file]).sum()
}
