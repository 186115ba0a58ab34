//! Damaged entries, and marks on packs and blobs in which damage was found.

use std::path::Path;

use super::id::EntryId;
use super::layout;
use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::files;

impl Store {
    /// Moves a damaged entry to `quarantine`; it no longer exists then.
    pub fn quarantine(&self, id: &EntryId) -> Result<()> {
        files::create_dir(&self.layout.quarantine(), self.modes.directory)?;
        match files::rename(&self.layout.entry(id), &self.layout.quarantined(id)) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
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
                files::create_dir(&self.layout.quarantine(), self.modes.directory)?;
                files::touch(&self.layout.suspect(&digest), self.modes.file)
            }
            _ => Ok(()),
        }
    }

    /// The packs and blobs that are marked as damaged.
    pub(crate) fn suspects(&self) -> Result<Vec<Digest>> {
        let names = files::list(&self.layout.quarantine())?;
        Ok(names
            .iter()
            .filter_map(|name| layout::parse_digest(name, ".suspect"))
            .collect())
    }
}
