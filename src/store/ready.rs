//! Ready copies: whole directories that jobs no longer need, kept as they are to be put back by a
//! rename.
//!
//! `ready/<manifest>-<number>-<bytes>` is the directory that was a root of an entry with that
//! manifest when it was saved: the root of that number among the manifest's directories, taking
//! that many bytes on disk. A rename puts it there, and a rename takes it away, so exactly one job
//! gets it, whatever else happens at the time, and it takes the same time for any size.
//!
//! # Why it is right
//!
//! A ready copy is never an entry's contents, only a place from which a restore may start: after
//! the rename the restore goes on as it would over any directory that happens to be there, compares
//! everything with the manifest, and mends what differs. A directory keeps its inode when it is
//! renamed and its files keep their times, so what is known of them ([`crate::store::stamps`])
//! still holds, and an unchanged copy is not read.
//!
//! The entry is complete without it. Where a rename is not possible (another filesystem, another
//! user's directory, one in use as a mount point) there is none, and nothing is lost.

use std::path::{Path, PathBuf};

use super::layout;
use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{Timestamp, effective_uid, files, remove_tree};
use crate::tree::{Roots, Tree};

/// A ready copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCopy {
    /// Where it is.
    pub path: PathBuf,
    /// The manifest that describes it.
    pub manifest: Digest,
    /// Which of the manifest's roots it is.
    pub root: u32,
    /// Bytes that it took on disk when it was kept.
    pub bytes: u64,
}

impl ReadyCopy {
    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?;
        let mut parts = name.to_str()?.splitn(3, '-');
        let manifest = layout::parse_digest(parts.next()?.as_ref(), "")?;
        let root = parts.next()?.parse().ok()?;
        let bytes = parts.next()?.parse().ok()?;
        Some(Self {
            path,
            manifest,
            root,
            bytes,
        })
    }

    /// When it was kept; none when it is gone.
    pub fn kept_since(&self) -> Result<Option<Timestamp>> {
        Ok(files::stat(&self.path)?.map(|stat| stat.ctime))
    }
}

impl Store {
    /// All ready copies.
    pub fn ready_copies(&self) -> Result<Vec<ReadyCopy>> {
        let dir = self.layout().ready_copies();
        Ok(files::list(&dir)?
            .iter()
            .filter_map(|name| ReadyCopy::parse(dir.join(name)))
            .collect())
    }

    /// Moves the directories among an entry's roots into the store, unless there is a copy of them
    /// already. `bytes` is what all of them take on disk. Returns how many were moved.
    pub fn put_ready_copies(
        &self,
        manifest: &Digest,
        tree: &Tree,
        roots: &Roots,
        bytes: u64,
    ) -> Result<u32> {
        let present = self.ready_copies()?;
        let mut kept = 0;
        for (number, path) in directories(tree, roots) {
            if present
                .iter()
                .any(|copy| copy.manifest == *manifest && copy.root == number)
            {
                continue;
            }
            files::create_dir(&self.layout().ready_copies(), self.modes().directory)?;
            // The bytes of several roots are not known one by one.
            let share = if number == 0 { bytes } else { 0 };
            kept += u32::from(files::try_move_dir(
                path,
                &self.layout().ready_copy(manifest, number, share),
            )?);
        }
        Ok(kept)
    }

    /// Puts ready copies where roots are missing. Returns how many there were.
    pub fn take_ready_copies(&self, manifest: &Digest, tree: &Tree, roots: &Roots) -> Result<u32> {
        let copies = self.ready_copies()?;
        let mut taken = 0;
        for (number, path) in directories(tree, roots) {
            let copy = copies
                .iter()
                .find(|copy| copy.manifest == *manifest && copy.root == number);
            // What another user left can be moved, but not be written to afterwards.
            let ours = |copy: &&ReadyCopy| {
                files::stat(&copy.path)
                    .ok()
                    .flatten()
                    .is_some_and(|stat| stat.uid == effective_uid())
            };
            if let Some(copy) = copy.filter(ours) {
                taken += u32::from(files::try_move_dir(&copy.path, path)?);
            }
        }
        Ok(taken)
    }

    /// Removes a ready copy. Another process may have taken it meanwhile.
    pub fn remove_ready_copy(&self, copy: &ReadyCopy) -> Result<()> {
        // By another name first, so that nobody takes half of it.
        let doomed = self.layout().tmp().join(super::open::random_name());
        if files::try_move_dir(&copy.path, &doomed)? {
            remove_tree(&doomed).map(drop)
        } else {
            Ok(())
        }
    }
}

/// The directories among the roots, with their numbers.
fn directories<'a>(tree: &'a Tree, roots: &'a Roots) -> impl Iterator<Item = (u32, &'a Path)> {
    let dirs = (0..).zip(tree.dirs_in(Tree::TOP));
    dirs.filter_map(|(number, (_, dir))| Some((number, roots.path(&dir.name).ok()?)))
}
