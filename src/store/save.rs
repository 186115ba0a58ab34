//! Writing contents into the store and publishing the manifest and the entry that refer to them.

#[cfg(feature = "remote")]
mod blob_writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blob::{BlobSource, CopiedBlob};
use super::entry::Entry;
pub use super::known_packs::PackSlot;
use super::known_packs::{KnownPacks, WrittenPacks};
use super::lock::{SaveLock, SharedLock};
use super::open::{Store, random_name};
use super::{blob, pack};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Extent, Reflinker};
use crate::tree::manifest::Manifest;
use crate::workers;

/// A pack is closed when it is longer than this. Small packs are more often wholly unused, and are
/// rewritten faster.
const FULL_PACK: u64 = 64 << 20;

/// Writes contents into the store, from several threads. Unpublished files are removed on drop.
pub struct ContentWriter<'s> {
    store: &'s Store,
    lock: &'s SharedLock,
    temp_dir: SaveTempDir<'s>,
    known: Mutex<KnownPacks>,
    /// Packs that are not full and that no thread is writing to.
    idle: Mutex<Vec<(PackSlot, pack::PackWriter)>>,
    suspects: Vec<Digest>,
    reflinker: Reflinker,
    added: AtomicU64,
}

impl<'s> ContentWriter<'s> {
    /// While the lock is held, nothing is removed from the store.
    pub fn begin(store: &'s Store, lock: &'s SharedLock) -> Result<Self> {
        Ok(Self {
            store,
            lock,
            temp_dir: SaveTempDir::create(store)?,
            known: Mutex::default(),
            idle: Mutex::default(),
            suspects: store.suspects()?,
            reflinker: Reflinker::default(),
            added: AtomicU64::new(0),
        })
    }

    /// Finds out what the packs in the store hold, so that it is not stored again. At most `new`
    /// contents will be added to it.
    pub(crate) fn find_existing_packs(&self, new: usize) -> Result<()> {
        let mut known = workers::lock(&self.known);
        known.add_all(self.store, self.lock, &self.suspects)?;
        // While it grows, a table needs the memory of the old one too.
        known.reserve(new);
        Ok(())
    }

    /// The slot of a pack in the store; none if a new entry must not refer to it.
    pub(crate) fn existing_pack(&self, id: &Digest) -> Result<Option<PackSlot>> {
        if self.suspects.contains(id) {
            return Ok(None);
        }
        match self.store.open_pack(id) {
            Ok(_) => Ok(Some(workers::lock(&self.known).slot_of(id))),
            Err(error) if error.is_damage() || self.store.is_unreadable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the store has a blob that a new entry may refer to.
    pub(crate) fn has_blob(&self, digest: &Digest, length: u64) -> bool {
        !self.suspects.contains(digest) && self.store.has_blob(digest, length)
    }

    /// Writes small contents next to each other into a pack, except those that the store has.
    pub(crate) fn put_in_pack(&self, contents: &[(Digest, &[u8])]) -> Result<Vec<PackSlot>> {
        let (slot, mut writer) = self.pack_with_room()?;
        let mut new = Vec::new();
        let mut slots = Vec::with_capacity(contents.len());
        {
            // Other threads refer to these contents from now on, before they are written. If the
            // write fails, the whole save fails, and no entry refers to them.
            let mut known = workers::lock(&self.known);
            for content in contents {
                let found = known.find(self.store, &content.0)?;
                let known = found.unwrap_or_else(|| {
                    new.push(*content);
                    known.insert(content.0, slot, content.1.len())
                });
                slots.push(known.slot);
            }
        }
        writer.append(&new)?;
        self.added.fetch_add(
            new.iter().map(|(_, data)| data.len() as u64).sum(),
            Ordering::Relaxed,
        );
        if writer.length() < FULL_PACK {
            workers::lock(&self.idle).push((slot, writer));
        } else {
            self.close(slot, writer)?;
        }
        Ok(slots)
    }

    fn pack_with_room(&self) -> Result<(PackSlot, pack::PackWriter)> {
        // A pack is taken out of the list while a thread writes to it, so no lock is held then.
        if let Some(idle) = workers::lock(&self.idle).pop() {
            return Ok(idle);
        }
        let writer = self.store.new_pack(self.temp_dir.new_path())?;
        Ok((workers::lock(&self.known).new_slot(), writer))
    }

    fn close(&self, slot: PackSlot, writer: pack::PackWriter) -> Result<()> {
        if writer.is_empty() {
            return Ok(());
        }
        let (id, path) = writer.finish()?;
        let Store { dir, layout, .. } = self.store;
        if !dir.rename_noreplace(&path, &layout.pack(&id))? {
            // The existing pack is damaged, marked as such, or unreadable; otherwise its contents
            // would have been known. This one is intact.
            dir.rename(&path, &layout.pack(&id))?;
            self.store.unmark_suspect(&id)?;
        }
        workers::lock(&self.known).set_written(slot, id);
        Ok(())
    }

    /// Writes the data of an open file, without its holes, into a blob.
    pub(crate) fn put_blob(&self, file: &File, path: &Path, extents: &[Extent]) -> Result<Digest> {
        let source = BlobSource {
            file,
            path,
            extents,
        };
        let unfinished = self.temp_dir.new_path();
        let to = self
            .store
            .dir
            .create_new(&unfinished, self.store.modes.file)?;
        let copied = blob::copy_data(&source, (&to, &unfinished), &self.reflinker)?;
        self.publish_blob(&unfinished, &copied)?;
        Ok(copied.digest)
    }

    fn publish_blob(&self, unfinished: &Path, copied: &CopiedBlob) -> Result<()> {
        if self.suspects.contains(&copied.digest) {
            // `publish_blob` would keep the damaged file if its length is right. The mark is
            // removed last: garbage collection keeps a marked blob that is intact.
            let Store { dir, layout, .. } = self.store;
            self.store.create_blob_shelf(&copied.digest)?;
            dir.rename(unfinished, &layout.blob(&copied.digest))?;
            self.store.unmark_suspect(&copied.digest)?;
        } else if self.store.publish_blob(unfinished, copied)? {
            self.added.fetch_add(copied.length, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Closes all packs. Afterwards [`FinishedContents::pack`] knows the pack of each slot.
    pub fn finish(self) -> Result<FinishedContents<'s>> {
        let idle = std::mem::take(&mut *workers::lock(&self.idle));
        for (slot, writer) in idle {
            self.close(slot, writer)?;
        }
        Ok(FinishedContents {
            store: self.store,
            temp_dir: self.temp_dir,
            packs: workers::into_inner(self.known).into_packs(),
            added_bytes: self.added.into_inner(),
        })
    }
}

/// All contents are in the store. The manifest and the entry are not published yet.
pub struct FinishedContents<'s> {
    store: &'s Store,
    temp_dir: SaveTempDir<'s>,
    packs: WrittenPacks,
    /// Bytes of contents that the store did not have before.
    pub added_bytes: u64,
}

impl FinishedContents<'_> {
    pub fn pack(&self, slot: PackSlot) -> Result<Digest> {
        self.packs
            .get(slot)
            .ok_or_else(|| Error::defect("contents were put into a pack that was not written"))
    }

    /// Publishes the record of an entry, which is published later.
    pub(crate) fn publish_record(&self, record: &[u8]) -> Result<Digest> {
        let id = Digest::of(record);
        self.publish_in_manifests(&id, record)?;
        Ok(id)
    }

    fn publish_in_manifests(&self, id: &Digest, bytes: &[u8]) -> Result<()> {
        let unfinished = self.temp_dir.new_path();
        let Store { dir, layout, modes } = self.store;
        dir.write_new(&unfinished, modes.file, bytes)?;
        // An existing file is replaced: it is equal, because `id` is its digest, or damaged.
        dir.rename(&unfinished, &layout.manifest(id))
    }

    /// Publishes a manifest, then the entry that `make_entry` returns for the manifest's digest.
    ///
    /// With `replace` it replaces an entry of the same key; otherwise it keeps that entry and
    /// returns false.
    pub fn publish(
        &self,
        _lock: &SaveLock,
        manifest: &Manifest,
        replace: bool,
        make_entry: impl FnOnce(Digest) -> Entry,
    ) -> Result<bool> {
        // Contents, manifest, entry: whatever can be found is complete, also after a kill.
        let (bytes, id) = manifest.encode()?;
        self.publish_in_manifests(&id, &bytes)?;
        let entry = make_entry(id);
        let unfinished = self.temp_dir.new_path();
        let Store { dir, layout, modes } = self.store;
        dir.write_new(&unfinished, modes.file, &entry.encode()?)?;
        let path = layout.entry(&entry.id());
        if replace {
            if dir.stat(&path)?.is_some() {
                self.store.expect_garbage()?;
            }
            dir.rename(&unfinished, &path).map(|()| true)
        } else {
            dir.rename_noreplace(&unfinished, &path)
        }
    }
}

impl Store {
    /// Begins a pack in the new file `path`.
    pub(super) fn new_pack(&self, path: PathBuf) -> Result<pack::PackWriter> {
        pack::PackWriter::begin(self.dir.create_new(&path, self.modes.file)?, path)
    }
}

/// A directory in `tmp` for the unfinished files of one save; removed on drop.
struct SaveTempDir<'s> {
    store: &'s Store,
    path: PathBuf,
}

impl<'s> SaveTempDir<'s> {
    fn create(store: &'s Store) -> Result<Self> {
        let path = store.layout.tmp().join(random_name());
        store.dir.create_dir(&path, store.modes.directory)?;
        Ok(Self { store, path })
    }

    fn new_path(&self) -> PathBuf {
        self.path.join(random_name())
    }
}

impl Drop for SaveTempDir<'_> {
    fn drop(&mut self) {
        // Garbage collection removes what remains.
        drop(self.store.dir.remove_tree(&self.path));
    }
}
