//! Reading entries and what they refer to.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::id::{EntryGroup, EntryId};
use super::layout;
use super::open::Store;
use super::pack::PackIndex;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Timestamp, WrongFile, files, is_mostly_holes};
use crate::tree::LeafId;
use crate::tree::apply::{Batch, ContentSource};
use crate::tree::manifest::{Manifest, References, is_source_record, verify_source_record};

/// Bytes of an entry: its list of paths can be long.
const MAX_ENTRY: u64 = 64 << 20;
/// Bytes of the record of an entry's units.
const MAX_RECORD: u64 = 512 << 20;
/// Bytes of a list of packs.
const MAX_MOVED: u64 = 1 << 20;

impl Store {
    /// The ids of all entries, or of the entries of one group.
    pub(crate) fn entry_ids(&self, group: Option<&EntryGroup>) -> Result<Vec<EntryId>> {
        let group = group.map(EntryGroup::id).unwrap_or_default();
        self.dir.list_as(&self.layout.entries(), |name| {
            let id = str::from_utf8(name).ok()?.strip_suffix(".json")?;
            id.starts_with(&group).then(|| EntryId::parse(id))?
        })
    }

    /// The ids of all packs, also of unneeded and damaged ones.
    pub(super) fn pack_ids(&self) -> Result<Vec<Digest>> {
        self.dir.list_as(&self.layout.packs(), |name| {
            layout::parse_digest(OsStr::from_bytes(name), ".pack")
        })
    }

    /// Turns the error of a file that is missing or can't be one of the store's into
    /// [`Error::Damaged`]; returns others unchanged.
    ///
    /// A file that can't be read now (no permission, a fault of the disk, too many open files) is
    /// not damaged: see [`Store::is_unreadable`].
    pub(crate) fn as_damage(&self, error: Error) -> Error {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        let Error::Io { path, source, .. } = &error else {
            return error;
        };
        if !path.starts_with(self.layout.root()) {
            return error;
        }
        match (WrongFile::of(&error), source.kind()) {
            (_, NotFound) => Error::damaged(path, "it is missing"),
            (Some(WrongFile::NotAFile), _) | (None, IsADirectory | NotADirectory) => {
                Error::damaged(path, "it is not a file")
            }
            (Some(WrongFile::TooLong), _) => Error::damaged(path, "it is too long"),
            (Some(WrongFile::Holes), _) => Error::damaged(path, "most of it is holes"),
            (None, _) => error,
        }
    }

    /// Whether an operation failed because a file of the store could not be read or written. That
    /// says nothing about its contents: a later attempt may succeed.
    pub(crate) fn is_unreadable(&self, error: &Error) -> bool {
        matches!(error, Error::Io { path, .. } if path.starts_with(self.layout.root()))
    }

    /// Reads an entry; none if it does not exist.
    pub(crate) fn read_entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        let path = self.layout.entry(id);
        match self.dir.read(&path, MAX_ENTRY) {
            Ok(bytes) => Entry::decode(&bytes, id, &path).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    pub(crate) fn read_manifest(&self, id: &Digest) -> Result<Manifest> {
        let path = self.layout.manifest(id);
        let read = || -> Result<Manifest> {
            let file = self.dir.open_file(&path)?;
            // The header has the length of the rest: what is longer is not read.
            let header = read_start(&file, References::PREFIX, &path)?;
            let length = Manifest::encoded_len(&header, id, &path)?;
            let (bytes, _) = files::read_open(&file, length).context("read", || &path)?;
            Manifest::decode(&bytes, id, &path)
        };
        read().map_err(|error| self.as_damage(error))
    }

    /// The bytes of an entry's record.
    pub(crate) fn read_record(&self, id: &Digest) -> Result<Vec<u8>> {
        let path = self.layout.manifest(id);
        let bytes = self.dir.read(&path, MAX_RECORD);
        let bytes = bytes.map_err(|error| self.as_damage(error))?;
        if is_source_record(&bytes) {
            verify_source_record(&bytes, id, &path)?;
        } else if Digest::of(&bytes) != *id {
            return Err(Error::damaged(&path, "its digest is wrong"));
        }
        Ok(bytes)
    }

    /// Reads only the part of a manifest that names the packs and blobs it needs.
    pub(crate) fn read_references(&self, manifest: &Digest) -> Result<References> {
        let path = self.layout.manifest(manifest);
        let read = || -> Result<References> {
            let file = self.dir.open_file(&path)?;
            let header = read_start(&file, References::PREFIX, &path)?;
            let length = References::required_len(&header, manifest, &path)?;
            if is_mostly_holes(&file, 0, length as u64).context("read", || &path)? {
                return Err(Error::damaged(&path, "most of it is holes"));
            }
            References::decode(&read_start(&file, length, &path)?, manifest, &path)
        };
        read().map_err(|error| self.as_damage(error))
    }

    /// Opens a pack and reads its index.
    pub(super) fn open_pack(&self, id: &Digest) -> Result<(PathBuf, File, PackIndex)> {
        let path = self.layout.pack(id);
        let file = self.dir.open_file(&path);
        let file = file.map_err(|error| self.as_damage(error))?;
        let index = PackIndex::read(&file, id, &path).map_err(|error| self.as_damage(error))?;
        Ok((path, file, index))
    }

    /// The packs that a pack was rewritten into; none if it was not rewritten.
    pub(super) fn read_moved(&self, id: &Digest) -> Result<Option<Vec<Digest>>> {
        let path = self.layout.moved(id);
        match self.dir.read(&path, MAX_MOVED) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::damaged(&path, format!("it cannot be read ({error})"))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    /// Records that an entry was used now.
    pub(crate) fn mark_used(&self, id: &EntryId) -> Result<()> {
        self.dir.touch(&self.layout.used(id), self.modes.file)
    }

    /// When an entry was last restored or saved.
    pub(crate) fn last_used(&self, id: &EntryId, created: Timestamp) -> Result<Timestamp> {
        let used = self.dir.stat(&self.layout.used(id))?;
        Ok(used.map_or(created, |used| used.mtime.max(created)))
    }
}

impl ContentSource for Store {
    fn locate(&self, manifest: &Manifest, leaves: &[LeafId]) -> Result<Vec<Batch>> {
        self.batches(manifest, leaves)
    }

    fn open(&self, path: &Path) -> Result<File> {
        let file = self.dir.open_file(path);
        file.map_err(|error| self.as_damage(error))
    }
}

/// The first bytes of a file.
fn read_start(file: &File, length: usize, path: &Path) -> Result<Vec<u8>> {
    // Before the memory is reserved: a length may be wrong.
    if length as u64 > files::length(file, path)? {
        return Err(Error::damaged(path, "it is too short"));
    }
    let mut bytes = vec![0; length];
    if files::read_exact_at(file, &mut bytes, 0).context("read", || path)? {
        Ok(bytes)
    } else {
        Err(Error::damaged(path, "it is too short"))
    }
}
