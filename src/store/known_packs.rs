//! The packs and packed contents that a save may refer to.
//!
//! Reading the index of each pack takes long in a store with thousands of packs. For more than
//! [`MANY`] packs, the derived file `contents` lists their contents. The name of a pack is the
//! digest of its index, so this list stays right while the pack exists. But the pack may have been
//! damaged since, so it is opened before the first new reference to it.

use std::collections::{HashMap, HashSet};

use super::derived::MANY;
use super::lock::SharedLock;
use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::workers;

/// The number of a pack that a save refers to: one in the store, or one that the save is writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackSlot(u32);

impl PackSlot {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// No store has as many packs as there are slots.
fn slot_of_last(packs: &[Option<Digest>]) -> PackSlot {
    PackSlot(u32::try_from(packs.len() - 1).unwrap_or(u32::MAX))
}

/// A content that is in a pack of the store, or in one that the save is writing.
#[derive(Clone, Copy)]
pub(super) struct KnownContent {
    pub(super) slot: PackSlot,
    #[cfg_attr(
        not(feature = "remote"),
        expect(dead_code, reason = "only a pull compares it")
    )]
    pub(super) length: u32,
}

/// Digest and length of each content of a pack.
type Contents = Vec<(Digest, u32)>;

#[derive(Default)]
pub(super) struct KnownPacks {
    /// The packs by slot; none for a pack that is being written.
    packs: Vec<Option<Digest>>,
    slots: HashMap<Digest, PackSlot>,
    /// The contents of the packs in the store and of those that are being written.
    contents: HashMap<Digest, KnownContent>,
    /// Packs in the store that were not opened yet.
    unopened: HashSet<PackSlot>,
}

impl KnownPacks {
    /// Adds all packs in the store except `suspects`, with their contents.
    pub(super) fn add_all(
        &mut self,
        store: &Store,
        lock: &SharedLock,
        suspects: &[Digest],
    ) -> Result<()> {
        let mut ids = store.pack_ids()?;
        ids.retain(|id| !suspects.contains(id));
        let path = store.layout.pack_contents();
        let known: Vec<(Digest, Contents)> = if ids.len() > MANY {
            store.read_derived(&path).unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut known: HashMap<Digest, Contents> = known.into_iter().collect();
        let mut all = Vec::with_capacity(ids.len());
        let mut unknown = Vec::new();
        for id in ids {
            match known.remove(&id) {
                Some(contents) => {
                    self.add(id, &contents, false);
                    all.push((id, contents));
                }
                None => unknown.push(id),
            }
        }
        let outdated = unknown.len() + known.len();
        for (id, contents) in read_contents(store, unknown)? {
            self.add(id, &contents, true);
            all.push((id, contents));
        }
        if outdated > MANY {
            // Without permission to write, the packs are read again the next time.
            drop(store.write_derived(lock, &path, &all));
        }
        Ok(())
    }

    fn add(&mut self, id: Digest, contents: &[(Digest, u32)], was_opened: bool) {
        let known = self.slots.contains_key(&id);
        let slot = self.slot_of(&id);
        if !known && !was_opened {
            self.unopened.insert(slot);
        }
        for (content, length) in contents {
            self.insert(*content, slot, *length as usize);
        }
    }

    /// The slot of a pack in the store that was opened.
    pub(super) fn slot_of(&mut self, id: &Digest) -> PackSlot {
        let packs = &mut self.packs;
        *self.slots.entry(*id).or_insert_with(|| {
            packs.push(Some(*id));
            slot_of_last(packs)
        })
    }

    /// The slot of a pack that is being written.
    pub(super) fn new_slot(&mut self) -> PackSlot {
        self.packs.push(None);
        slot_of_last(&self.packs)
    }

    /// The pack at a slot has been written.
    pub(super) fn set_written(&mut self, slot: PackSlot, id: Digest) {
        self.packs[slot.index()] = Some(id);
    }

    /// A content in a pack. None if no intact pack is known to contain it.
    pub(super) fn find(&mut self, store: &Store, content: &Digest) -> Result<Option<KnownContent>> {
        let Some(known) = self.contents.get(content).copied() else {
            return Ok(None);
        };
        let KnownContent { slot, .. } = known;
        if !self.unopened.contains(&slot) {
            return Ok(Some(known));
        }
        let is_intact = self.is_intact(store, slot)?;
        self.unopened.remove(&slot);
        if is_intact {
            return Ok(Some(known));
        }
        self.contents.retain(|_, known| known.slot != slot);
        Ok(None)
    }

    fn is_intact(&self, store: &Store, slot: PackSlot) -> Result<bool> {
        let unread = self.packs[slot.index()].iter().copied().collect();
        Ok(!read_contents(store, unread)?.is_empty())
    }

    /// Makes room for so many new contents.
    pub(super) fn reserve(&mut self, count: usize) {
        self.contents.reserve(count);
    }

    pub(super) fn insert(
        &mut self,
        content: Digest,
        slot: PackSlot,
        length: usize,
    ) -> KnownContent {
        // No content of a pack is longer than `LARGEST_CONTENT`.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let known = KnownContent { slot, length };
        self.contents.insert(content, known);
        known
    }

    pub(super) fn into_packs(self) -> WrittenPacks {
        WrittenPacks(self.packs)
    }
}

/// The packs by slot, after all have been written.
pub(super) struct WrittenPacks(Vec<Option<Digest>>);

impl WrittenPacks {
    pub(super) fn get(&self, slot: PackSlot) -> Option<Digest> {
        self.0[slot.index()]
    }
}

/// Reads the indexes of packs. Skips packs that can't be read now, and damaged ones, which it marks
/// as suspect: a save stores their contents again.
fn read_contents(store: &Store, ids: Vec<Digest>) -> Result<Vec<(Digest, Contents)>> {
    let indexes = workers::map(&ids, |id| store.open_pack(id).map(|(_, _, index)| index));
    let mut read = Vec::with_capacity(indexes.len());
    for (id, index) in ids.into_iter().zip(indexes) {
        match index {
            Ok(index) => {
                let records = index.records.iter();
                let contents = records.map(|record| (record.digest, record.length));
                read.push((id, contents.collect()));
            }
            Err(error) if error.is_damage() => store.mark_suspect(&store.layout.pack(&id))?,
            Err(error) if store.is_unreadable(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{files, remove_tree};

    #[test]
    fn a_pack_that_could_not_be_checked_is_checked_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("cache")).unwrap();
        let (pack, content) = (Digest::of(b"pack"), Digest::of(b"content"));
        files::write_new(&store.layout.pack(&pack), 0o600, b"damaged").unwrap();
        // The damage can't be noted.
        let quarantine = store.layout.quarantine();
        remove_tree(&quarantine).unwrap();
        files::write_new(&quarantine, 0o600, b"").unwrap();
        let mut known = KnownPacks::default();
        known.add(pack, &[(content, 7)], false);
        for _ in 0..2 {
            assert!(known.find(&store, &content).is_err());
        }
        files::remove(&quarantine).unwrap();
        assert!(known.find(&store, &content).unwrap().is_none());
    }
}
