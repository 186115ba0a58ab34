//! Stamps: by which a later restore or save recognises files that did not change (pure).
//!
//! Size and modification time don't prove that a file is unchanged: npm and pip give all files the
//! same time, `cp -p` and rsync copy the time, and another version of a file often has the same
//! size. So a stamp holds what programs can't choose: for each file whose contents were seen to
//! match the manifest, its device, its inode number and its ctime at that time.
//!
//! # Why a file with the inode and the ctime in the stamp is unchanged
//!
//! - Everything that changes a file's contents, attributes, mode, owner or names gives it the
//!   current time as its ctime, and no program can give it another one. So an inode with the same
//!   ctime was not changed since.
//! - A file that is moved or copied there, that lies on a disk mounted over it, or that comes with a
//!   moved directory is another inode. An inode number that is used again comes with the time at
//!   which it was created again.
//! - When a disk or an image returns to an earlier state, its files return to the ctimes of that
//!   state. What had been changed, and is stamped with the time of that change, has another one.
//!   The clock being set does not matter: times are compared for equality, to the nanosecond.
//! - The stamp is about single files. Whether other files of the tree were restored, and whether
//!   another process was writing there too, makes no difference to what it says about one.
//!
//! The same holds for the names in a directory: adding, removing or renaming one changes the ctime
//! of the directory. A directory that had no extraneous names and has the inode and the ctime in the
//! stamp still has none, and need not be listed.
//!
//! # What is not stamped
//!
//! - A file whose ctime is not before the scan: the clock that gives files their times advances in
//!   ticks of up to 10 ms, and a second change in the same tick leaves the same ctime. Files that a
//!   restore wrote itself are the exception; it waits for the next tick before it ends.
//! - A ctime without a fraction of a second: the filesystem rounds its times, or a program that
//!   builds disk images wrote it, and gives the next version of the image the same.
//! - Files on a filesystem where the number of an inode or its ctime does not come from this kernel:
//!   network filesystems, overlayfs, FUSE ([`crate::fs::proves_unchanged`]).
//!
//! A stamp ends with the boot of the machine ([`crate::fs::boot_id`]): after a power cut, a disk may
//! have the new times of a file and its old blocks.
//!
//! # What remains
//!
//! - A process that keeps a file mapped into memory and writes to it: the kernel sets the ctime at
//!   the first write, and again only after it wrote the page to disk (up to half a minute later; on
//!   tmpfs never). What is written in between, after the file was read, is not noticed. A process
//!   that has ended is no problem.
//! - A change that another process makes to a file while the restore that wrote it is still running,
//!   in the same tick, if it also sets back the modification time.
//! - What only root can do: writing to the disk below the filesystem, mounting a copy of a disk that
//!   was made while it was mounted, or setting the clock so that a time repeats to the nanosecond.

mod encoding;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::fs::{Stat, Timestamp};
use crate::tree::manifest::Manifest;
use crate::tree::model::{DirId, LeafId, LeafKind, Tree};

/// What identifies a file or directory in one state. It stays the same until something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InodeState {
    pub(crate) device: u64,
    inode: u64,
    seconds: i64,
    /// Not zero, so that an `Option` of a state takes no more memory.
    nanoseconds: NonZeroU32,
}

impl InodeState {
    /// None if the ctime could stay the same through a change.
    pub(crate) fn of(stat: impl Into<Inode>) -> Option<Self> {
        let Inode {
            device,
            number,
            ctime,
        } = stat.into();
        Some(Self {
            device,
            inode: number,
            seconds: ctime.seconds,
            nanoseconds: NonZeroU32::new(ctime.nanoseconds)?,
        })
    }

    /// None too if a later change could have the same ctime, unless it was before `limit`.
    pub(crate) fn before(limit: Timestamp, stat: impl Into<Inode>) -> Option<Self> {
        Self::of(stat).filter(|state| state.ctime() < limit)
    }

    /// The state of the same inode after it was changed on purpose. None for another inode.
    pub(crate) fn after_change(self, stat: impl Into<Inode>) -> Option<Self> {
        Self::of(stat).filter(|state| (state.device, state.inode) == (self.device, self.inode))
    }

    pub(crate) fn is_state_of(self, stat: impl Into<Inode>) -> bool {
        Self::of(stat) == Some(self)
    }

    fn ctime(self) -> Timestamp {
        Timestamp {
            seconds: self.seconds,
            nanoseconds: self.nanoseconds.get(),
        }
    }
}

/// A file or directory at one time.
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) number: u64,
    pub(crate) ctime: Timestamp,
}

impl From<&Stat> for Inode {
    fn from(stat: &Stat) -> Self {
        Self {
            device: stat.device,
            number: stat.inode,
            ctime: stat.ctime,
        }
    }
}

/// The states in which the files of a manifest were seen to match it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// For each leaf of the manifest, its state when its contents matched.
    leaves: Vec<Option<InodeState>>,
    /// For each directory of the manifest, its state when it had no other names.
    dirs: Vec<Option<InodeState>>,
    /// The modification time that some files have instead of the manifest's.
    pub(crate) restamped: Option<Timestamp>,
}

impl Stamp {
    /// A stamp that says nothing yet about a tree.
    pub(crate) fn for_tree(tree: &Tree) -> Self {
        Self::of_leaves(tree, vec![None; tree.leaves().len()])
    }

    /// A stamp with the states of a tree's leaves.
    pub(crate) fn of_leaves(tree: &Tree, leaves: Vec<Option<InodeState>>) -> Self {
        Self {
            leaves,
            dirs: vec![None; tree.dirs().len()],
            restamped: None,
        }
    }

    pub(crate) fn set_leaf(&mut self, id: LeafId, state: Option<InodeState>) {
        if let Some(known) = self.leaves.get_mut(id.index()) {
            *known = state;
        }
    }

    pub(crate) fn set_dir(&mut self, id: DirId, state: Option<InodeState>) {
        if let Some(known) = self.dirs.get_mut(id.index()) {
            *known = state;
        }
    }

    pub(crate) fn leaf(&self, id: LeafId) -> Option<InodeState> {
        *self.leaves.get(id.index())?
    }

    pub(crate) fn dir(&self, id: DirId) -> Option<InodeState> {
        *self.dirs.get(id.index())?
    }

    /// Whether a file on disk is the leaf of the manifest, unchanged.
    pub(crate) fn is_unchanged(&self, id: LeafId, stat: impl Into<Inode>) -> bool {
        self.leaf(id).is_some_and(|state| state.is_state_of(stat))
    }

    /// Whether a directory on disk has only names that the directory of the manifest has.
    pub(crate) fn has_no_extraneous(&self, id: DirId, stat: &Stat) -> bool {
        self.dir(id).is_some_and(|state| state.is_state_of(stat))
    }

    /// Drops the states on devices for which `proves` is false.
    pub(crate) fn retain_devices(&mut self, proves: impl Fn(u64) -> bool) {
        for state in self.leaves.iter_mut().chain(&mut self.dirs) {
            *state = state.filter(|state| proves(state.device));
        }
    }

    /// Takes the new states of files that got the modification time `restamped` on purpose.
    /// `now` returns the inode, the size and the modification time that a leaf has now.
    pub(crate) fn follow_restamp(
        &mut self,
        manifest: &Manifest,
        restamped: Timestamp,
        now: impl Fn(LeafId) -> Option<(Inode, u64, Timestamp)>,
    ) {
        for (id, leaf) in manifest.tree.leaf_ids().zip(manifest.tree.leaves()) {
            let (Some(state), LeafKind::File(file)) = (self.leaf(id), &leaf.kind) else {
                continue;
            };
            if let Some((inode, size, mtime)) = now(id)
                && (size, mtime) == (file.size, restamped)
            {
                self.set_leaf(id, state.after_change(inode));
            }
        }
        self.restamped = Some(restamped);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::fs::files;

    fn stamp_of(state: Option<InodeState>) -> Stamp {
        Stamp {
            leaves: vec![state],
            ..Stamp::default()
        }
    }

    fn stat(path: &Path) -> Stat {
        files::stat(path).unwrap().unwrap()
    }

    #[test]
    fn a_file_changed_under_its_old_mtime_is_not_unchanged() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("file");
        fs::write(&path, "one").unwrap();
        let now = Timestamp::next_file_clock_tick().unwrap();
        let stamp = stamp_of(InodeState::before(now, &stat(&path)));
        assert!(stamp.is_unchanged(LeafId(0), &stat(&path)));
        assert!(!stamp.is_unchanged(LeafId(1), &stat(&path)));
        let file = fs::File::options().write(true).open(&path).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        fs::write(&path, "six").unwrap();
        file.set_modified(before).unwrap();
        assert!(!stamp.is_unchanged(LeafId(0), &stat(&path)));
    }

    #[test]
    fn a_file_changed_in_the_tick_of_the_scan_gets_no_state() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("file");
        let now = Timestamp::file_clock_now();
        fs::write(&path, "one").unwrap();
        assert_eq!(InodeState::before(now, &stat(&path)), None);
    }

    #[test]
    fn a_ctime_in_whole_seconds_proves_nothing() {
        let top = tempfile::tempdir().unwrap();
        let mut stat = stat(top.path());
        stat.ctime.nanoseconds = 0;
        assert_eq!(InodeState::of(&stat), None);
        stat.ctime.nanoseconds = 1;
        assert!(InodeState::of(&stat).is_some());
    }

    #[test]
    fn only_the_same_inode_is_followed_through_a_change() {
        let top = tempfile::tempdir().unwrap();
        let (one, two) = (top.path().join("one"), top.path().join("two"));
        fs::write(&one, "same").unwrap();
        fs::write(&two, "same").unwrap();
        let known = InodeState::of(&stat(&one)).unwrap();
        assert_eq!(known.after_change(&stat(&two)), None);
        fs::hard_link(&one, top.path().join("link")).unwrap();
        assert!(known.after_change(&stat(&one)).is_some());
    }
}
