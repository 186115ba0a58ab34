//! The entry that a scan is compared with, so that what did not change is not read again.

use crate::digest::Digest;
use crate::error::Result;
use crate::ops::save::request::SaveRequest;
use crate::store::lock::SharedLock;
use crate::store::{Entry, EntryGroup, EntryId, KeepKeys, Store};
use crate::tree::compare;
use crate::tree::manifest::Manifest;
use crate::tree::stamp::Stamp;

pub(super) struct Parent {
    pub(super) entry: Entry,
    pub(super) manifest: Manifest,
    /// By what unchanged files are recognised.
    pub(super) stamp: Stamp,
}

impl Parent {
    /// The entry that the roots were restored from, or else the newest of the group.
    pub(super) fn find(
        store: &Store,
        lock: &SharedLock,
        request: &SaveRequest<'_>,
    ) -> Result<Option<Self>> {
        if let Some(id) = &request.parent
            && let Some(restored) = Self::read(store, id, request)?
        {
            return Ok(Some(restored));
        }
        match newest_of_group(store, lock, request.group)? {
            Some(id) => Self::read(store, &id, request),
            None => Ok(None),
        }
    }

    /// `None` where the entry is gone, damaged or unreadable. Without a parent every file is read, which is
    /// slower but correct.
    fn read(store: &Store, id: &EntryId, request: &SaveRequest<'_>) -> Result<Option<Self>> {
        let read = || -> Result<Option<Self>> {
            let Some(entry) = store.read_entry(id)? else {
                return Ok(None);
            };
            let manifest = store.read_manifest(&entry.manifest)?;
            let stamp = store.stamp(&entry.manifest, &manifest, request.roots);
            Ok(Some(Self {
                entry,
                manifest,
                stamp,
            }))
        };
        match read() {
            Err(error) if error.is_damage() || store.is_unreadable(&error) => Ok(None),
            result => result,
        }
    }

    /// Whether the entry has this key, these contents and this record.
    pub(super) fn is_same(&self, key: &str, manifest: &Manifest, record: Option<&[u8]>) -> bool {
        self.entry.key == key
            && compare::is_same(&self.manifest.tree, &manifest.tree)
            && self.entry.record == record.map(Digest::of)
    }
}

fn newest_of_group(
    store: &Store,
    lock: &SharedLock,
    group: &EntryGroup,
) -> Result<Option<EntryId>> {
    let read = |id: &EntryId| Ok(store.read_entry(id).unwrap_or(None));
    let keys = store.entry_keys(group, KeepKeys::IfMany(lock), read)?;
    let newest = keys.into_iter().max_by_key(|key| key.created);
    Ok(newest.map(|key| key.id))
}
