//! The keys of a group's entries.
//!
//! A lookup by prefix, and a save that looks for the newest entry, need the key and the time of each
//! entry of a group. For a group with more than [`MANY`] entries, the derived file `keys/<group>`
//! has them, so that few entries have to be read.
//!
//! While `entries` has the state in the file, what the file says is all that there is
//! ([`super::entries_state`]). Otherwise the names are listed, and a record counts only while the
//! entry's file has the inode and ctime that it had before it was read. An entry that replaces
//! another one has a new inode, because its file is written while the old one exists. A later one may
//! get the old inode again, but not the old ctime.

use std::cmp::Ordering;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::derived::MANY;
use super::entries_state::{EntriesState, SeenEntries};
use super::entry::Entry;
use super::id::{EntryGroup, EntryId};
use super::key_match::KeyCandidate;
use super::layout::Layout;
use super::lock::SharedLock;
use super::open::Store;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::workers;

/// The version of the encoding; a file of another one is ignored. Version 1 was a list, whose length
/// is where this number is now, and is never so small.
const VERSION: u32 = 2;

/// What a lookup needs to know of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryKey {
    pub(crate) id: EntryId,
    pub(crate) key: String,
    pub(crate) created: Timestamp,
}

impl EntryKey {
    pub(crate) fn as_candidate(&self) -> KeyCandidate<'_> {
        KeyCandidate {
            key: &self.key,
            created: self.created,
        }
    }

    /// None for an entry of another group. Its id can begin with the same digits.
    fn of(id: &EntryId, entry: Option<Entry>, group: &EntryGroup) -> Option<Self> {
        let entry = entry.filter(|entry| entry.group == *group)?;
        Some(Self {
            id: id.clone(),
            key: entry.key,
            created: entry.created,
        })
    }
}

/// When the keys of a group are kept for the next reader. That takes a lock.
#[derive(Clone, Copy)]
pub(crate) enum KeepKeys<'l> {
    Never,
    /// If more than [`MANY`] entries are new or gone. For those who change an entry next.
    IfMany(&'l SharedLock),
    /// If any entry is new or gone, of this group or of another.
    IfAny(&'l SharedLock),
}

impl<'l> KeepKeys<'l> {
    /// `changed` is the number of entries that are new or gone.
    fn lock(self, changed: usize, state: Option<&EntriesState>) -> Option<&'l SharedLock> {
        match self {
            Self::Never => None,
            Self::IfMany(lock) => (changed > MANY).then_some(lock),
            Self::IfAny(lock) => (changed > MANY || state.is_some()).then_some(lock),
        }
    }
}

/// The inode and ctime of an entry's file.
type EntryState = (u64, Timestamp);

/// The contents of `keys/<group>`.
#[derive(Serialize, Deserialize)]
struct KeyRecords<'a> {
    version: u32,
    /// While `entries` has this state, there are records of all entries of the group.
    complete_in: Option<EntriesState>,
    /// Sorted by id.
    #[serde(borrow)]
    records: Vec<KeyRecord<'a>>,
}

/// An entry in `keys/<group>`.
#[derive(Serialize, Deserialize)]
struct KeyRecord<'a> {
    id: &'a str,
    state: EntryState,
    key: &'a str,
    created: Timestamp,
}

impl KeyRecord<'_> {
    fn to_key(&self, id: EntryId) -> EntryKey {
        EntryKey {
            id,
            key: self.key.to_owned(),
            created: self.created,
        }
    }
}

impl KeyRecords<'_> {
    /// The keys of all entries; none if there may be others.
    fn all_keys(&self, seen: &SeenEntries) -> Option<Vec<EntryKey>> {
        if !seen.is_in(self.complete_in.as_ref()?) {
            return None;
        }
        let keys = self.records.iter();
        keys.map(|record| Some(record.to_key(EntryId::parse(record.id)?)))
            .collect()
    }
}

/// The records of entries that were listed.
struct KnownKeys<'k> {
    records: &'k [KeyRecord<'k>],
    /// How many records are outdated.
    gone: usize,
}

impl<'k> KnownKeys<'k> {
    /// The record of the next entry, in the order of ids. None if it has none for this state.
    fn take(&mut self, id: &EntryId, state: EntryState) -> Option<&'k KeyRecord<'k>> {
        while let [record, rest @ ..] = self.records {
            match record.id.cmp(id.as_str()) {
                Ordering::Greater => return None,
                Ordering::Equal if record.state == state => {
                    self.records = rest;
                    return Some(record);
                }
                Ordering::Equal | Ordering::Less => {
                    self.records = rest;
                    self.gone += 1;
                }
            }
        }
        None
    }
}

/// The keys of the entries that were listed.
#[derive(Default)]
struct ListedKeys {
    keys: Vec<EntryKey>,
    /// The states of their files, before they were read.
    states: Vec<EntryState>,
    /// How many were read.
    unknown: usize,
    /// Whether an entry could not be read.
    is_incomplete: bool,
}

impl Store {
    /// The keys of all entries of a group, sorted by id.
    ///
    /// Calls `read` for each entry that has to be read; it returns none for one that does not count.
    pub(crate) fn entry_keys(
        &self,
        group: &EntryGroup,
        keep: KeepKeys<'_>,
        mut read: impl FnMut(&EntryId) -> Result<Option<Entry>>,
    ) -> Result<Vec<EntryKey>> {
        let path = self.layout.keys(&group.id());
        let seen = self.see_entries()?;
        let file = self.open_derived(&path);
        let known: Option<KeyRecords<'_>> = file.as_ref().and_then(|file| file.decode());
        let known = known.filter(|known| known.version == VERSION);
        if let Some(keys) = known.as_ref().and_then(|known| known.all_keys(&seen)) {
            return Ok(keys);
        }
        let ids = self.entry_ids(Some(group))?;
        if ids.len() <= MANY {
            let mut keys = Vec::with_capacity(ids.len());
            for id in &ids {
                keys.extend(EntryKey::of(id, read(id)?, group));
            }
            return Ok(keys);
        }
        let mut known = KnownKeys {
            records: known.as_ref().map_or(&[], |known| &known.records),
            gone: 0,
        };
        let listed = self.listed_keys(&ids, &mut known, |id| {
            Ok(EntryKey::of(id, read(id)?, group))
        })?;
        let changed = listed.unknown + known.gone + known.records.len();
        let state = self.entries_state(&seen);
        let state = state.filter(|_| !listed.is_incomplete);
        if let Some(lock) = keep.lock(changed, state.as_ref()) {
            // Without permission to write, the entries are read again the next time.
            drop(self.put_keys(lock, &path, &listed, state));
        }
        Ok(listed.keys)
    }

    fn listed_keys(
        &self,
        ids: &[EntryId],
        known: &mut KnownKeys<'_>,
        mut read: impl FnMut(&EntryId) -> Result<Option<EntryKey>>,
    ) -> Result<ListedKeys> {
        let mut listed = ListedKeys::default();
        // The states are those before the entries are read: an entry that is replaced meanwhile
        // does not have its record's state later.
        for (id, state) in ids.iter().zip(self.entry_states(ids)?) {
            let Some(state) = state else { continue };
            let key = if let Some(record) = known.take(id, state) {
                Some(record.to_key(id.clone()))
            } else {
                listed.unknown += 1;
                read(id)?
            };
            if let Some(key) = key {
                listed.keys.push(key);
                listed.states.push(state);
            } else {
                // It may become readable in the same state of `entries`.
                listed.is_incomplete = true;
            }
        }
        Ok(listed)
    }

    fn put_keys(
        &self,
        lock: &SharedLock,
        path: &Path,
        listed: &ListedKeys,
        complete_in: Option<EntriesState>,
    ) -> Result<()> {
        fn record<'k>((key, state): (&'k EntryKey, &EntryState)) -> KeyRecord<'k> {
            KeyRecord {
                id: key.id.as_str(),
                state: *state,
                key: &key.key,
                created: key.created,
            }
        }
        let records = KeyRecords {
            version: VERSION,
            complete_in,
            records: listed.keys.iter().zip(&listed.states).map(record).collect(),
        };
        self.dir
            .create_dir(&self.layout.keys_dir(), self.modes.directory)?;
        self.write_derived(lock, path, &records)
    }

    /// The state of each entry's file; none for one that does not exist.
    fn entry_states(&self, ids: &[EntryId]) -> Result<Vec<Option<EntryState>>> {
        let Some(dir) = self.dir.open_dir(&self.layout.entries())? else {
            return Ok(vec![None; ids.len()]);
        };
        // The results are short: there are thousands of them, and hardly ever an error.
        let state = |id: &EntryId| {
            let stat = dir.stat_name(&Layout::entry_name(id)).map_err(Box::new)?;
            Ok(stat.map(|stat| (stat.inode, stat.ctime)))
        };
        let states: Result<_, Box<Error>> = workers::map(ids, state).into_iter().collect();
        states.map_err(|error| *error)
    }
}

#[cfg(test)]
mod tests;
