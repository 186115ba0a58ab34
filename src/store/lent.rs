//! Directories that jobs restored from ready copies, or would have if there had been more copies.
//!
//! Jobs that run at the same time want a copy each. A job that finds none left, while others hold
//! copies, restores in another way, and its directory becomes one more copy when it ends. So there
//! are as many copies as jobs used at once. A job that did not take a copy for another reason (its
//! directory existed, for example) does not add one: otherwise each such job would.
//!
//! `lent/<manifest>-<number>-<device>-<inode>` notes a directory of either kind, by its device and
//! inode. A note that is lost costs a copy, and nothing else.

use std::ffi::OsString;
use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{Stat, Timestamp, files};

/// Seconds that a job takes at most, as far as the number of copies is concerned.
const JOB_TIME: i64 = 3_600;

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
        !self.lent_notes(manifest, number).is_empty()
    }

    /// How many directories jobs got lately, and probably still have. A job that saves nothing
    /// leaves its note behind.
    pub(super) fn count_lent(&self, manifest: &Digest, number: u32) -> usize {
        let now = Timestamp::now().seconds;
        let is_recent = |name: &OsString| {
            let found = self.dir.stat(&self.layout.lent_dir().join(name));
            let noted = found.ok().flatten().map(|stat| stat.mtime.seconds);
            noted.is_some_and(|noted| now.saturating_sub(noted) < JOB_TIME)
        };
        let notes = self.lent_notes(manifest, number);
        notes.iter().filter(|name| is_recent(name)).count()
    }

    fn lent_notes(&self, manifest: &Digest, number: u32) -> Vec<OsString> {
        let prefix = format!("{manifest}-{number}-");
        let mut names = self.dir.list(&self.layout.lent_dir()).unwrap_or_default();
        names.retain(|name| name.to_str().is_some_and(|name| name.starts_with(&prefix)));
        names
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
