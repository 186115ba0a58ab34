//! Listing the entries of a store, and what they take on disk.

use std::collections::HashMap;
use std::path::Path;

use crate::digest::Digest;
use crate::error::Result;
use crate::fs::Timestamp;
use crate::monitor::Monitor;
use crate::ops::LOCK_TIMEOUT;
use crate::store::retention::{RetentionCandidate, family, is_default_branch};
use crate::store::size::FileSizes;
use crate::store::{CacheScope, Entry, EntryId, Store};
use crate::workers;

#[derive(Debug)]
pub struct ListedEntry {
    pub id: EntryId,
    pub entry: Entry,
    /// When the entry was last restored, or else saved.
    pub last_used: Timestamp,
}

impl ListedEntry {
    /// The entry as retention sees it. `files` are those that [`StoreFiles`] numbers.
    pub(super) fn candidate(
        &self,
        files: Vec<usize>,
        default_branches: &[CacheScope],
    ) -> RetentionCandidate {
        RetentionCandidate {
            id: self.id.clone(),
            kind: self.entry.group.kind,
            family: family(&self.entry.key),
            is_default_branch: is_default_branch(&self.entry.group, default_branches),
            last_used: self.last_used,
            needs: files,
        }
    }
}

/// All entries, the last used first. A damaged entry is a warning.
pub fn list(store: &Store, monitor: &dyn Monitor) -> Result<Vec<ListedEntry>> {
    let mut listed = Vec::new();
    let ids = store.entry_ids(None)?;
    let entries = workers::map(&ids, |id| store.read_entry(id));
    for (id, entry) in ids.into_iter().zip(entries) {
        match entry {
            Ok(Some(entry)) => listed.push(ListedEntry {
                // Without the permission to look, only the time of the save is known.
                last_used: store.last_used(&id, entry.created).unwrap_or(entry.created),
                id,
                entry,
            }),
            // Removed since the names were listed.
            Ok(None) => {}
            Err(error) => monitor.warn(&error.with_advice()),
        }
    }
    listed.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.id.cmp(&b.id)));
    Ok(listed)
}

/// All entries, the last used first, each with its share of the bytes of the store. What several
/// entries use is divided among them.
pub(crate) fn inventory(store: &Store, monitor: &dyn Monitor) -> Result<Vec<(ListedEntry, u64)>> {
    let _shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
    let listed = list(store, monitor)?;
    let ready = ready_shares(store, &listed);
    let mut files = StoreFiles::new(store);
    let mut files_of_entries = Vec::with_capacity(listed.len());
    for listed in &listed {
        files_of_entries.push(files.of(&listed.entry, monitor)?);
    }
    let mut users = vec![0_u64; files.sizes.len()];
    for number in files_of_entries.iter().flatten() {
        users[*number] += 1;
    }
    let share = |number: &usize| files.sizes[*number] / users[*number];
    let shares = files_of_entries
        .iter()
        .zip(&ready)
        .map(|(numbers, ready)| numbers.iter().map(share).sum::<u64>() + ready);
    let shares: Vec<u64> = shares.collect();
    Ok(listed.into_iter().zip(shares).collect())
}

/// The share of each entry in the ready copies.
fn ready_shares(store: &Store, listed: &[ListedEntry]) -> Vec<u64> {
    let mut bytes: HashMap<Digest, u64> = HashMap::new();
    // Without permission to look, they count nothing.
    for copy in store.ready_copies().unwrap_or_default() {
        *bytes.entry(copy.manifest).or_default() += copy.bytes;
    }
    let mut users: HashMap<Digest, u64> = HashMap::new();
    for listed in listed {
        *users.entry(listed.entry.manifest).or_default() += 1;
    }
    let shares = listed.iter().map(|listed| {
        let manifest = &listed.entry.manifest;
        bytes.get(manifest).copied().unwrap_or(0) / users[manifest]
    });
    shares.collect()
}

/// Bytes on disk that entries need together. An entry that does not exist or can't be read needs
/// none.
pub(crate) fn disk_bytes<'i>(
    store: &Store,
    ids: impl IntoIterator<Item = &'i EntryId>,
    monitor: &dyn Monitor,
) -> Result<u64> {
    let _shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
    let mut files = StoreFiles::new(store);
    for id in ids {
        if let Ok(Some(entry)) = store.read_entry(id) {
            files.of(&entry, monitor)?;
        }
    }
    Ok(files.sizes.iter().sum())
}

/// The files of a store that entries use, numbered.
pub(super) struct StoreFiles<'s> {
    store: &'s Store,
    disk: FileSizes<'s>,
    numbers: HashMap<Digest, usize>,
    /// Bytes on disk, by number.
    pub(super) sizes: Vec<u64>,
}

impl<'s> StoreFiles<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        Self {
            store,
            disk: FileSizes::new(store),
            numbers: HashMap::new(),
            sizes: Vec::new(),
        }
    }

    /// The numbers of the files that an entry uses. None if its manifest is damaged or unreadable,
    /// which is a warning.
    pub(super) fn of(&mut self, entry: &Entry, monitor: &dyn Monitor) -> Result<Vec<usize>> {
        let layout = self.store.layout();
        let references = match self.store.read_references(&entry.manifest) {
            Err(error) if error.is_damage() || self.store.is_unreadable(&error) => {
                monitor.warn(&error.with_advice());
                return Ok(Vec::new());
            }
            result => result?,
        };
        let mut numbers = vec![self.number(&entry.manifest, &layout.manifest(&entry.manifest))];
        if let Some(record) = &entry.record {
            numbers.push(self.number(record, &layout.manifest(record)));
        }
        for (pack, _) in &references.packs {
            numbers.push(self.number(pack, &layout.pack(pack)));
        }
        for blob in &references.blobs {
            numbers.push(self.number(blob, &layout.blob(blob)));
        }
        Ok(numbers)
    }

    fn number(&mut self, digest: &Digest, path: &Path) -> usize {
        if let Some(number) = self.numbers.get(digest) {
            return *number;
        }
        let number = self.sizes.len();
        self.sizes.push(self.disk.allocated(path));
        self.numbers.insert(*digest, number);
        number
    }
}
