//! Removing the entries that a retention policy evicts.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::ops::LOCK_TIMEOUT;
use crate::ops::entries::{StoreFiles, list};
use crate::store::gc::{GcStats, KnownEntries};
use crate::store::lock::GcLock;
use crate::store::retention::{
    RetentionCandidate, RetentionDecision, RetentionPolicy, decide, family,
};
use crate::store::{Entry, EntryGroup, EntryId, EntryKey, KeepKeys, Store};

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

impl Pruned {
    pub(crate) fn evicted(&self) -> EvictedEntries {
        let decisions = self.decisions.iter();
        let evicted = decisions.filter(|(decision, _)| decision.evict.is_some());
        EvictedEntries {
            count: evicted.count() as u64,
            freed_bytes: self.collected.map_or(0, |collected| collected.bytes),
        }
    }
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
    let decisions = pruned.decisions.iter();
    let known = decisions.map(|(decision, entry)| (&decision.id, entry));
    let known = known.collect();
    let collected = remove_and_collect(store, &gc_lock, (&evicted, &known), monitor)?;
    Ok(Pruned {
        collected: Some(collected),
        ..pruned
    })
}

/// What a job evicted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EvictedEntries {
    pub(crate) count: u64,
    pub(crate) freed_bytes: u64,
}

/// Evicts what a policy without a limit of bytes evicts of some groups. Reads few files and locks
/// nobody out if there is nothing to remove.
///
/// Errors: [`Error::Busy`](crate::error::Error::Busy) if others use the store for a while. Nothing
/// is removed then.
pub(crate) fn prune_groups(
    store: &Store,
    groups: &[EntryGroup],
    policy: &RetentionPolicy,
    monitor: &dyn Monitor,
) -> Result<EvictedEntries> {
    {
        let lock = store.lock_shared(LOCK_TIMEOUT)?;
        let evictions = evictions_of_groups(store, KeepKeys::IfAny(&lock), groups, policy)?;
        if evictions == GroupEvictions::default() && !store.may_have_garbage()? {
            return Ok(EvictedEntries::default());
        }
    }
    let gc_lock = super::lock_for_gc(store, monitor)?;
    // Decided again: others may have used the store meanwhile.
    let GroupEvictions { ids, .. } = evictions_of_groups(store, KeepKeys::Never, groups, policy)?;
    let collected = remove_and_collect(store, &gc_lock, (&ids, &KnownEntries::new()), monitor)?;
    Ok(EvictedEntries {
        count: ids.len() as u64,
        freed_bytes: collected.bytes,
    })
}

/// What a policy evicts of some groups.
#[derive(Debug, Default, PartialEq, Eq)]
struct GroupEvictions {
    ids: Vec<EntryId>,
    /// Entries that can't be read. Garbage collection reports them.
    unreadable: usize,
}

fn evictions_of_groups(
    store: &Store,
    keep: KeepKeys<'_>,
    groups: &[EntryGroup],
    policy: &RetentionPolicy,
) -> Result<GroupEvictions> {
    let mut candidates = Vec::new();
    let mut unreadable = 0;
    for group in groups {
        let keys = store.entry_keys(group, keep, |id| {
            let entry = store.read_entry(id);
            unreadable += usize::from(entry.is_err());
            Ok(entry.unwrap_or(None))
        })?;
        for EntryKey { id, key, created } in keys {
            candidates.push(RetentionCandidate {
                last_used: store.last_used(&id, created).unwrap_or(created),
                id,
                kind: group.kind,
                family: family(&key),
                is_default_branch: false,
                needs: Vec::new(),
            });
        }
    }
    let decisions = decide(&candidates, &[], policy, Timestamp::now());
    let evicted = decisions.into_iter().filter(|it| it.evict.is_some());
    Ok(GroupEvictions {
        ids: evicted.map(|decision| decision.id).collect(),
        unreadable,
    })
}

/// Removes entries and everything that no other entry needs.
///
/// Errors: [`Error::Busy`](crate::error::Error::Busy) if others use the store. Nothing is removed
/// then.
pub(crate) fn remove(store: &Store, ids: &[EntryId], monitor: &dyn Monitor) -> Result<GcStats> {
    let gc_lock = super::lock_for_gc(store, monitor)?;
    remove_and_collect(store, &gc_lock, (ids, &KnownEntries::new()), monitor)
}

/// `known` are entries that were read with the same lock.
fn remove_and_collect(
    store: &Store,
    gc_lock: &GcLock,
    (ids, known): (&[EntryId], &KnownEntries<'_>),
    monitor: &dyn Monitor,
) -> Result<GcStats> {
    monitor.begin(Stage::Cleaning, 0);
    store.remove_entries(gc_lock, ids)?;
    store.collect_garbage_knowing(gc_lock, known, monitor)
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
