//! Reading entries and what they refer to.

use std::fs::File;
use std::path::PathBuf;

use super::entry::Entry;
use super::id::{EntryGroup, EntryId};
use super::layout;
use super::open::Store;
use super::pack::PackIndex;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Timestamp, files};
use crate::tree::manifest::{Manifest, References, is_source_record, verify_source_record};

impl Store {
    /// The ids of all entries, or of the entries of one group.
    pub(crate) fn entry_ids(&self, group: Option<&EntryGroup>) -> Result<Vec<EntryId>> {
        let group = group.map(EntryGroup::id);
        let names = files::list(&self.layout.entries())?;
        let ids = names
            .iter()
            .filter_map(|name| EntryId::parse(name.to_str()?.strip_suffix(".json")?));
        Ok(ids
            .filter(|id| group.as_ref().is_none_or(|group| id.group() == group))
            .collect())
    }

    /// The ids of all packs, also of unneeded and damaged ones.
    pub(super) fn pack_ids(&self) -> Result<Vec<Digest>> {
        let names = files::list(&self.layout.packs())?;
        Ok(names
            .iter()
            .filter_map(|name| layout::parse_digest(name, ".pack"))
            .collect())
    }

    /// Turns the error of a store file that can't be read into [`Error::Damaged`]; returns others
    /// unchanged.
    ///
    /// Whatever the cause, only the entries that need this file are affected.
    pub(crate) fn as_damage(&self, error: Error) -> Error {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match &error {
            Error::Io { path, source, .. } if path.starts_with(self.layout.root()) => {
                match source.kind() {
                    NotFound => Error::damaged(path, "it is missing"),
                    IsADirectory | NotADirectory => Error::damaged(path, "it is not a file"),
                    PermissionDenied => Error::damaged(path, "it may not be read"),
                    _ if source.raw_os_error() == Some(nix::libc::EIO) => {
                        Error::damaged(path, "the disk cannot read it")
                    }
                    _ => error,
                }
            }
            _ => error,
        }
    }

    /// Reads an entry; none if it does not exist.
    pub(crate) fn read_entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        let path = self.layout.entry(id);
        match files::read(&path) {
            Ok(bytes) => Entry::decode(&bytes, id, &path).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    pub(crate) fn read_manifest(&self, entry: &Entry) -> Result<Manifest> {
        let path = self.layout.manifest(&entry.manifest);
        let bytes = files::read(&path).map_err(|error| self.as_damage(error))?;
        Manifest::decode(&bytes, &entry.manifest, &path)
    }

    /// The bytes of an entry's record.
    pub(crate) fn read_record(&self, id: &Digest) -> Result<Vec<u8>> {
        let path = self.layout.manifest(id);
        let bytes = files::read(&path).map_err(|error| self.as_damage(error))?;
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
        let file = files::open(&path).map_err(|error| self.as_damage(error))?;
        let read = |length: usize| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length];
            let whole = files::read_exact_at(&file, &mut bytes, 0).context("read", || &path);
            let whole = whole.map_err(|error| self.as_damage(error))?;
            if whole {
                Ok(bytes)
            } else {
                Err(Error::damaged(&path, "it is too short"))
            }
        };
        let length = References::required_len(&read(References::PREFIX)?, manifest, &path)?;
        if length as u64 > files::length(&file, &path)? {
            return Err(Error::damaged(&path, "it is too short"));
        }
        References::decode(&read(length)?, manifest, &path)
    }

    /// Opens a pack and reads its index.
    pub(super) fn open_pack(&self, id: &Digest) -> Result<(PathBuf, File, PackIndex)> {
        let path = self.layout.pack(id);
        let file = files::open(&path).map_err(|error| self.as_damage(error))?;
        let index = PackIndex::read(&file, id, &path).map_err(|error| self.as_damage(error))?;
        Ok((path, file, index))
    }

    /// The packs that a pack was rewritten into; none if it was not rewritten.
    pub(super) fn read_moved(&self, id: &Digest) -> Result<Option<Vec<Digest>>> {
        let path = self.layout.moved(id);
        match files::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::damaged(&path, format!("it cannot be read ({error})"))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    /// Records that an entry was used now.
    pub(crate) fn mark_used(&self, id: &EntryId) -> Result<()> {
        files::touch(&self.layout.used(id), self.modes.file)
    }

    /// When an entry was last restored or saved.
    pub fn last_used(&self, id: &EntryId, entry: &Entry) -> Result<Timestamp> {
        Ok(files::mtime(&self.layout.used(id))?
            .map_or(entry.created, |used| used.max(entry.created)))
    }
}
