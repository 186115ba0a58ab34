//! Damaged entries, and marks on packs and blobs in which damage was found.

use std::path::Path;

use super::entry::Entry;
use super::id::EntryId;
use super::layout;
use super::lock::{GcLock, SharedLock};
use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;

impl Store {
    /// Moves a damaged entry to `quarantine`; it no longer exists then.
    pub(crate) fn quarantine(&self, _lock: &GcLock, id: &EntryId) -> Result<()> {
        self.move_to_quarantine(id)
    }

    /// Like [`Store::quarantine`], while others may save the entry again. `found` is the entry that
    /// was read and found to be damaged; none if its file could not be read as an entry. Returns
    /// false if another process saves the entry or has saved it since: then it stays.
    pub fn quarantine_unless_saved(
        &self,
        lock: &SharedLock,
        id: &EntryId,
        found: Option<&Entry>,
    ) -> Result<bool> {
        let Some(_save_lock) = self.try_lock_entry(lock, id)? else {
            return Ok(false);
        };
        match self.read_entry(id) {
            Ok(Some(entry)) if found != Some(&entry) => return Ok(false),
            Err(error) if !error.is_damage() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        self.move_to_quarantine(id).map(|()| true)
    }

    fn move_to_quarantine(&self, id: &EntryId) -> Result<()> {
        self.create_quarantine()?;
        self.expect_garbage()?;
        let quarantined = self.layout.quarantined(id);
        match self.dir.rename(&self.layout.entry(id), &quarantined) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn create_quarantine(&self) -> Result<()> {
        let quarantine = self.layout.quarantine();
        self.dir.create_dir(&quarantine, self.modes.directory)
    }

    /// How many files are in `quarantine`.
    pub(crate) fn quarantined_files(&self) -> Result<usize> {
        Ok(self.dir.list(&self.layout.quarantine())?.len())
    }

    /// How many names are in `tmp`.
    pub(crate) fn unfinished_files(&self) -> Result<usize> {
        Ok(self.dir.list(&self.layout.tmp())?.len())
    }

    /// Marks a damaged pack or blob. No new entry refers to it until garbage collection has checked
    /// it.
    pub(crate) fn mark_suspect(&self, path: &Path) -> Result<()> {
        let stem = path.file_stem().unwrap_or_default();
        match layout::parse_digest(stem, "") {
            Some(digest)
                if path.starts_with(self.layout.packs())
                    || path.starts_with(self.layout.blobs()) =>
            {
                self.create_quarantine()?;
                self.expect_garbage()?;
                let suspect = self.layout.suspect(&digest);
                self.dir.touch(&suspect, self.modes.file)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unmark_suspect(&self, digest: &Digest) -> Result<()> {
        // Somebody may have put a directory in the place of the file.
        self.dir.remove_tree(&self.layout.suspect(digest))
    }

    /// The packs and blobs that are marked as damaged.
    pub(crate) fn suspects(&self) -> Result<Vec<Digest>> {
        let names = self.dir.list(&self.layout.quarantine())?;
        Ok(names
            .iter()
            .filter_map(|name| layout::parse_digest(name, ".suspect"))
            .collect())
    }
}
