//! Directories that jobs restored from ready copies, or would have if there had been more copies.
//!
//! Jobs that run at the same time want a copy each. A job that finds none left, while others hold
//! copies, restores in another way, and its directory becomes one more copy when it ends. So there
//! are as many copies as jobs used at once. A job that did not take a copy for another reason (its
//! directory existed, for example) does not add one: otherwise each such job would.
//!
//! `lent/<manifest>-<number>-<device>-<inode>` notes a directory of either kind, by its device and
//! inode. A note that is lost costs a copy, and nothing else.

use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{Stat, files};

impl Store {
    /// Notes that a job got the directory at `path` for root `number` of a manifest.
    pub(crate) fn note_lent(&self, manifest: &Digest, number: u32, path: &Path) {
        let note = || -> Result<()> {
            let Some(stat) = files::stat_link(path)? else {
                return Ok(());
            };
            self.dir
                .create_dir(&self.layout.lent_dir(), self.modes.directory)?;
            let note = self.layout.lent(manifest, number, &stat);
            self.dir.touch(&note, self.modes.file)
        };
        // The restore is complete without it.
        drop(note());
    }

    /// Whether a job has a ready copy of a root.
    pub(super) fn has_lent(&self, manifest: &Digest, number: u32) -> bool {
        let prefix = format!("{manifest}-{number}-");
        let names = self.dir.list(&self.layout.lent_dir()).unwrap_or_default();
        let mut names = names.iter().filter_map(|name| name.to_str());
        names.any(|name| name.starts_with(&prefix))
    }

    /// Whether a directory is noted. Removes the note, because the job returns the directory.
    pub(super) fn take_back(&self, manifest: &Digest, number: u32, stat: &Stat) -> bool {
        let note = self.layout.lent(manifest, number, stat);
        let is_noted = matches!(self.dir.stat(&note), Ok(Some(_)));
        if is_noted {
            // Garbage collection removes a note that stays.
            drop(self.dir.remove_tree(&note));
        }
        is_noted
    }
}
