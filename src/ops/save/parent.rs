//! The entry that a scan is compared with, so that what did not change is not read again.

use super::SaveRequest;
use crate::error::Result;
use crate::store::{Entry, EntryId, Store};
use crate::tree::compare;
use crate::tree::manifest::{Manifest, SourceRecord};
use crate::tree::stamps::RootStamps;

/// What a scan is compared with.
pub(super) struct Parent {
    pub(super) entry: Entry,
    pub(super) manifest: Manifest,
    /// When the roots were as it says.
    pub(super) seen: RootStamps,
}

impl Parent {
    /// Whether it is of the same key and holds just what is there.
    pub(super) fn is_same(
        &self,
        store: &Store,
        key: &str,
        manifest: &Manifest,
        recorded: Option<&SourceRecord>,
    ) -> bool {
        self.entry.key == key
            && compare::is_same(&self.manifest.tree, &manifest.tree)
            && is_recorded(store, &self.entry, recorded)
    }
}

/// Whether the record of an entry says the same of the sources' contents, or none was made now. An
/// old one stays right beside a target that did not change, but where workspaces share sources,
/// times are given back only to what all of their records agree on: one that is never renewed would
/// keep a change in another workspace looking new for ever.
fn is_recorded(store: &Store, entry: &Entry, recorded: Option<&SourceRecord>) -> bool {
    let known = || entry.sources.and_then(|id| store.read_record(&id).ok());
    recorded.is_none_or(|recorded| known().is_some_and(|known| known.has_same_contents(recorded)))
}

/// The entry to compare with: the one that was restored, else the newest of the group.
pub(super) fn find(store: &Store, request: &SaveRequest<'_>) -> Result<Option<Parent>> {
    if let Some(id) = &request.parent
        && let Some(restored) = read(store, id, request)?
    {
        return Ok(Some(restored));
    }
    let newest = newest_of_group(store, request)?;
    newest.map_or(Ok(None), |id| read(store, &id, request))
}

fn newest_of_group(store: &Store, request: &SaveRequest<'_>) -> Result<Option<EntryId>> {
    let mut of_group = Vec::new();
    for id in store.entry_ids(Some(request.group))? {
        if let Ok(Some(entry)) = store.read_entry(&id) {
            of_group.push((entry.created, id));
        }
    }
    Ok(of_group.into_iter().max().map(|(_, id)| id))
}

/// None where the entry is gone or damaged: without a parent everything is read, which is slower,
/// but right.
fn read(store: &Store, id: &EntryId, request: &SaveRequest<'_>) -> Result<Option<Parent>> {
    let found = store.read_entry(id).and_then(|entry| {
        entry
            .map(|entry| {
                store
                    .read_manifest(&entry)
                    .map(|manifest| (entry, manifest))
            })
            .transpose()
    });
    match found {
        Ok(found) => Ok(found.map(|(entry, manifest)| {
            let seen = store.root_stamps(&entry.manifest, request.places);
            Parent {
                entry,
                manifest,
                seen,
            }
        })),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
