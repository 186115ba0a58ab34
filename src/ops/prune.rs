//! Looking after a store: what is in it, whether it is whole, what can go.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Timestamp, files, remove_tree};
use crate::monitor::{Monitor, Stage};
use crate::ops::LOCK_TIMEOUT;
use crate::store::gc::GcStats;
use crate::store::retention::{
    RetentionCandidate, RetentionDecision, RetentionPolicy, decide, family, is_default_branch,
};
use crate::store::verify::VerifyReport;
use crate::store::{CacheScope, Entry, EntryId, Store};

/// An entry in a list.
#[derive(Debug)]
pub struct ListedEntry {
    /// Its id.
    pub id: EntryId,
    /// The entry.
    pub entry: Entry,
    /// When it was last used, or else saved.
    pub last_used: Timestamp,
}

/// All entries, those used last first. Damaged ones are named in a warning.
pub fn list(store: &Store, monitor: &dyn Monitor) -> Result<Vec<ListedEntry>> {
    let mut listed = Vec::new();
    for id in store.entry_ids(None)? {
        match store.read_entry(&id) {
            Ok(Some(entry)) => {
                let last_used = store.last_used(&id, &entry)?;
                listed.push(ListedEntry {
                    id,
                    entry,
                    last_used,
                });
            }
            Ok(None) => {}
            Err(error) => monitor.warn(&error.with_advice()),
        }
    }
    listed.sort_by(|one, other| {
        other
            .last_used
            .cmp(&one.last_used)
            .then_with(|| one.id.cmp(&other.id))
    });
    Ok(listed)
}

/// What pruning decided and did.
#[derive(Debug)]
pub struct Pruned {
    /// What happens to each entry, those used last first.
    pub decisions: Vec<(RetentionDecision, Entry)>,
    /// What was removed; none when it was only asked for, or the store was in use.
    pub collected: Option<GcStats>,
}

/// Removes the entries that a policy drops, and gives back the space of everything that no entry
/// needs.
///
/// When the store is in use nothing is removed and [`Error::Busy`] returned.
pub fn prune(
    store: &Store,
    policy: &RetentionPolicy,
    dry_run: bool,
    monitor: &dyn Monitor,
) -> Result<Pruned> {
    if dry_run {
        let _sharing = store.lock_shared(LOCK_TIMEOUT)?;
        return Ok(Pruned {
            decisions: decisions(store, policy, monitor)?,
            collected: None,
        });
    }
    let collecting = store.try_lock_for_gc()?.ok_or_else(|| Error::Busy {
        what: format!("the store {}", store.layout().root().display()),
    })?;
    let decisions = decisions(store, policy, monitor)?;
    let dropped: Vec<EntryId> = decisions
        .iter()
        .filter(|(decision, _)| decision.evict.is_some())
        .map(|(decision, _)| decision.id.clone())
        .collect();
    monitor.begin(Stage::Cleaning, 0);
    store.remove_entries(&collecting, &dropped)?;
    let collected = store.collect_garbage(&collecting)?;
    Ok(Pruned {
        decisions,
        collected: Some(collected),
    })
}

fn decisions(
    store: &Store,
    policy: &RetentionPolicy,
    monitor: &dyn Monitor,
) -> Result<Vec<(RetentionDecision, Entry)>> {
    let mut entries: HashMap<EntryId, Entry> = HashMap::new();
    let mut needs = Needs::new(store);
    let mut candidates = Vec::new();
    for listed in list(store, monitor)? {
        let needs = if policy.max_bytes.is_some() {
            needs.of(&listed.entry, monitor)?
        } else {
            Vec::new()
        };
        candidates.push(candidate(&listed, needs, &[]));
        entries.insert(listed.id, listed.entry);
    }
    let decisions = decide(&candidates, &needs.sizes, policy, Timestamp::now());
    Ok(decisions
        .into_iter()
        .filter_map(|decision| entries.remove(&decision.id).map(|entry| (decision, entry)))
        .collect())
}

/// An entry as retention sees it; `defaults` are the default branches that are known, by scope.
pub(crate) fn candidate(
    listed: &ListedEntry,
    needs: Vec<usize>,
    defaults: &[CacheScope],
) -> RetentionCandidate {
    RetentionCandidate {
        id: listed.id.clone(),
        kind: listed.entry.group.kind,
        family: family(&listed.entry.key),
        is_default_branch: is_default_branch(&listed.entry.group, defaults),
        last_used: listed.last_used,
        needs,
    }
}

/// The files of the store that entries need, numbered, with the bytes they take.
pub(crate) struct Needs<'s> {
    store: &'s Store,
    numbers: HashMap<Digest, usize>,
    pub(crate) sizes: Vec<u64>,
}

impl<'s> Needs<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self {
            store,
            numbers: HashMap::new(),
            sizes: Vec::new(),
        }
    }

    pub(crate) fn of(&mut self, entry: &Entry, monitor: &dyn Monitor) -> Result<Vec<usize>> {
        let layout = self.store.layout();
        let references = match self.store.read_references(&entry.manifest) {
            Err(error) if error.is_damage() => {
                monitor.warn(&error.with_advice());
                return Ok(Vec::new());
            }
            other => other?,
        };
        let mut needs = vec![self.number(&entry.manifest, &layout.manifest(&entry.manifest))?];
        if let Some(record) = &entry.sources {
            needs.push(self.number(record, &layout.manifest(record))?);
        }
        for (pack, _) in &references.packs {
            needs.push(self.number(pack, &layout.pack(pack))?);
        }
        for blob in &references.blobs {
            needs.push(self.number(blob, &layout.blob(blob))?);
        }
        Ok(needs)
    }

    fn number(&mut self, digest: &Digest, path: &std::path::Path) -> Result<usize> {
        if let Some(number) = self.numbers.get(digest) {
            return Ok(*number);
        }
        self.sizes
            .push(files::stat(path)?.map_or(0, |stat| stat.allocated));
        self.numbers.insert(*digest, self.sizes.len() - 1);
        Ok(self.sizes.len() - 1)
    }
}

/// Reads all of the store. With `repair`, damaged entries are set aside and damaged contents
/// removed.
pub fn verify(
    store: &Store,
    repair: bool,
    monitor: &dyn Monitor,
) -> Result<(VerifyReport, Option<GcStats>)> {
    let verified = {
        let sharing = store.lock_shared(LOCK_TIMEOUT)?;
        store.verify(&sharing, monitor)?
    };
    if !repair || (verified.damaged.is_empty() && verified.damaged_files.is_empty()) {
        return Ok((verified, None));
    }
    let collecting = store.try_lock_for_gc()?.ok_or_else(|| Error::Busy {
        what: format!("the store {}", store.layout().root().display()),
    })?;
    for error in &verified.damaged_files {
        if let Error::Damaged { path, .. } = error {
            store.mark_suspect(path)?;
            // A record of sources: nothing but times is lost with it.
            if path.starts_with(store.layout().manifests()) {
                remove_tree(path)?;
            }
        }
    }
    for (id, _) in &verified.damaged {
        store.quarantine(id)?;
    }
    let collected = store.collect_garbage(&collecting)?;
    Ok((verified, Some(collected)))
}
