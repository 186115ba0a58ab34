//! The keys of a group's entries.
//!
//! A lookup by prefix, and a save that looks for the newest entry, need the key and the time of each
//! entry of a group. For a group with more than [`MANY`] entries, the derived file `keys/<group>`
//! has them, so that few entries have to be read.
//!
//! A record counts only while the entry's file has the inode and ctime that it had before it was
//! read. An entry that replaces another one has a new inode, because its file is written while the
//! old one exists. A later one may get the old inode again, but not the old ctime.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::derived::MANY;
use super::entry::Entry;
use super::id::{EntryGroup, EntryId};
use super::key_match::KeyCandidate;
use super::lock::SharedLock;
use super::open::Store;
use crate::error::Result;
use crate::fs::Timestamp;
use crate::workers;

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

/// The inode and ctime of an entry's file.
type EntryState = (u64, Timestamp);

/// An entry in `keys/<group>`.
#[derive(Serialize, Deserialize)]
struct KeyRecord {
    id: String,
    state: EntryState,
    key: String,
    created: Timestamp,
}

impl Store {
    /// The keys of all entries of a group, sorted by id.
    ///
    /// Calls `read` for each entry that has to be read; it returns none for one that does not count.
    /// A holder of the lock keeps what was read.
    pub(crate) fn entry_keys(
        &self,
        group: &EntryGroup,
        lock: Option<&SharedLock>,
        mut read: impl FnMut(&EntryId) -> Result<Option<Entry>>,
    ) -> Result<Vec<EntryKey>> {
        let ids = self.entry_ids(Some(group))?;
        let mut keys = Vec::with_capacity(ids.len());
        if ids.len() <= MANY {
            for id in &ids {
                keys.extend(EntryKey::of(id, read(id)?, group));
            }
            return Ok(keys);
        }
        let path = self.layout.keys(&group.id());
        let mut known = self.known_keys(&path);
        let mut key_states = Vec::with_capacity(ids.len());
        let mut unknown = 0;
        // The states are those before the entries are read: an entry that is replaced meanwhile
        // does not have its record's state later.
        for (id, state) in ids.iter().zip(self.entry_states(&ids)?) {
            let Some(state) = state else { continue };
            let record = known.remove(id).filter(|record| record.state == state);
            let key = if let Some(KeyRecord { key, created, .. }) = record {
                let id = id.clone();
                Some(EntryKey { id, key, created })
            } else {
                unknown += 1;
                EntryKey::of(id, read(id)?, group)
            };
            if let Some(key) = key {
                keys.push(key);
                key_states.push(state);
            }
        }
        // What is left of the known ones is gone.
        if let Some(lock) = lock
            && unknown + known.len() > MANY
        {
            // Without permission to write, the entries are read again the next time.
            drop(self.put_keys(lock, &path, &keys, &key_states));
        }
        Ok(keys)
    }

    fn known_keys(&self, path: &Path) -> HashMap<EntryId, KeyRecord> {
        let records: Vec<KeyRecord> = self.read_derived(path).unwrap_or_default();
        let with_id = |record: KeyRecord| Some((EntryId::parse(&record.id)?, record));
        records.into_iter().filter_map(with_id).collect()
    }

    fn put_keys(
        &self,
        lock: &SharedLock,
        path: &Path,
        keys: &[EntryKey],
        states: &[EntryState],
    ) -> Result<()> {
        let record = |(key, state): (&EntryKey, &EntryState)| KeyRecord {
            id: key.id.to_string(),
            state: *state,
            key: key.key.clone(),
            created: key.created,
        };
        let records: Vec<KeyRecord> = keys.iter().zip(states).map(record).collect();
        self.dir
            .create_dir(&self.layout.keys_dir(), self.modes.directory)?;
        self.write_derived(lock, path, &records)
    }

    /// The state of each entry's file; none for one that does not exist.
    fn entry_states(&self, ids: &[EntryId]) -> Result<Vec<Option<EntryState>>> {
        let Some(dir) = self.dir.open_dir(&self.layout.entries())? else {
            return Ok(vec![None; ids.len()]);
        };
        let state = |id: &EntryId| {
            let stat = dir.stat(&self.layout.entry(id))?;
            Ok(stat.map(|stat| (stat.inode, stat.ctime)))
        };
        workers::map(ids, state).into_iter().collect()
    }
}
