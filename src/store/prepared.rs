//! Ready copies that are prepared ahead of the jobs that take them.
//!
//! Jobs that start at the same time want a copy each, and the job before them leaves one. Where the
//! filesystem can share blocks (reflink), more copies take little space and time: a restore into
//! `tmp`, then a rename of each root.
//!
//! # Why it is correct
//!
//! An ordinary restore makes a prepared copy. So its contents had the right digests, its times,
//! modes, attributes and links are those of the manifest, and its stamp
//! ([`crate::store::stamps`]) is that of this restore. From then on it is a copy like any other: a
//! starting point that the next restore compares with the manifest. It gets its name in `ready`
//! when it is complete, and garbage collection removes what a killed process left in `tmp`.
//!
//! # Its size
//!
//! Blocks that a copy shares with a blob are counted with the blob, and removing the copy does not
//! free them. So a copy counts only for what it does not share: the contents that are in packs.
//! That also holds for a directory that a job moved in, because blobs are cloned from its files or
//! its files from blobs. If a file shares nothing after all (another build wrote the same bytes), the
//! copy counts for less than it takes, and its removal frees more than expected.

use std::path::{Path, PathBuf};

use super::open::{Store, random_name};
use super::ready::directories;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{files, probe};
use crate::tree::manifest::Manifest;
use crate::tree::{ContentLocation, Roots};

/// Bytes in which filesystems allocate space.
const BLOCK: u64 = 4096;

impl Store {
    /// Whether files of the store's filesystem can share blocks.
    pub(crate) fn shares_blocks(&self) -> bool {
        probe::can_reflink(&self.layout.tmp()).unwrap_or(false)
    }

    /// Creates a directory that garbage collection removes, unless it is gone before.
    pub(crate) fn create_aside(&self) -> Result<PathBuf> {
        let aside = self.layout.tmp().join(random_name());
        self.dir.create_dir(&aside, self.modes.directory)?;
        Ok(aside)
    }

    /// Removes what [`Store::create_aside`] created.
    pub(crate) fn remove_aside(&self, aside: &Path) -> Result<()> {
        self.dir.remove_tree(aside)
    }

    /// Makes restored directories of the store ready copies of a manifest.
    pub(crate) fn put_prepared_copy(
        &self,
        id: &Digest,
        manifest: &Manifest,
        roots: &Roots,
    ) -> Result<()> {
        for (number, path) in directories(&manifest.tree, roots) {
            let Some(stat) = files::stat_link(path)? else {
                continue;
            };
            let bytes = unshared_bytes(manifest);
            self.dir
                .move_dir(path, &self.ready_path(id, number, bytes, &stat)?)?;
        }
        Ok(())
    }
}

/// Bytes on disk of the contents of a tree that no blob can share.
pub(crate) fn unshared_bytes(manifest: &Manifest) -> u64 {
    let contents = manifest.contents();
    let unshared = contents.filter(|(_, content)| content.location != ContentLocation::Blob);
    let bytes = unshared.map(|(file, _)| file.data_len().next_multiple_of(BLOCK));
    bytes.fold(0, u64::saturating_add)
}
