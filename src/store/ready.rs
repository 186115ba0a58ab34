//! Ready copies: whole directories that a job no longer needs, kept to be restored by a rename.
//!
//! `ready/<manifest>-<number>-<bytes>-<inode>` is a directory that was a root of an entry when it was
//! saved: root `number` of the entry's manifest, `bytes` large on disk. One rename moves it into
//! the store and one rename moves it out. So exactly one job gets it, whatever happens at the same
//! time, and the time does not depend on the size. [`crate::store::lent`] is about the number of
//! copies, [`crate::store::prepared`] about copies that no job left.
//!
//! # Why it is correct
//!
//! A ready copy is never the contents of an entry, only a starting point for a restore. After the
//! rename, the restore proceeds as it does over any existing directory: it compares everything with
//! the manifest and repairs what differs. A rename keeps the inode of the directory and the times
//! of its files. So the stamp of the tree ([`crate::store::stamps`]) is still valid, and an
//! unchanged copy is not read.
//!
//! The entry is complete without it. If a rename is impossible (another filesystem, another user's
//! directory, a mount point), there is no ready copy and nothing is lost.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::id::EntryGroup;
use super::layout;
use super::lock::SharedLock;
use super::open::{Store, random_name};
use super::ready_limit::{CopyCounts, ReadyLimit};
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{Stat, Timestamp, effective_uid, files};
use crate::tree::{Roots, Tree};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCopy {
    pub path: PathBuf,
    /// The manifest that the directory matched when it was kept.
    pub manifest: Digest,
    /// Which of the manifest's roots it is.
    pub root: u32,
    /// Bytes that it used on disk when it was kept.
    pub bytes: u64,
}

/// The roots of a job that ended.
pub(crate) struct ReturnedRoots<'a> {
    /// What they match.
    pub(crate) manifest: &'a Digest,
    /// What they may have matched when they were restored, if that is another manifest.
    pub(crate) earlier: Option<&'a Digest>,
    pub(crate) tree: &'a Tree,
    pub(crate) roots: &'a Roots,
    /// What removing all of them frees.
    pub(crate) bytes: u64,
}

/// What a restore got of ready copies.
#[derive(Debug, Default)]
pub(crate) struct TakenCopies {
    /// The places of the roots that were moved out of the store.
    pub(crate) taken: Vec<PathBuf>,
    /// Numbers and paths of the roots whose copies were all taken by others.
    pub(crate) missed: Vec<(u32, PathBuf)>,
}

/// Seconds until a ready copy is removed if a later one of the same root is there.
const SURPLUS_AGE: i64 = 86_400;

/// The copies that jobs did not use lately: there is another copy of the same root that was kept
/// later, and jobs take that one first.
pub(super) fn surplus(copies: &[(ReadyCopy, Timestamp)], now: Timestamp) -> Vec<&ReadyCopy> {
    let is_surplus = |(copy, kept): &&(ReadyCopy, Timestamp)| {
        let mut others = copies.iter();
        now.seconds.saturating_sub(kept.seconds) > SURPLUS_AGE
            && others.any(|(other, since)| other.is_of(&copy.manifest, copy.root) && since > kept)
    };
    let surplus = copies.iter().filter(is_surplus);
    surplus.map(|(copy, _)| copy).collect()
}

/// The copies beyond a limit: those that were kept first, because jobs take the last one.
fn excess(copies: &[(ReadyCopy, Timestamp)], maximum: usize) -> Vec<&ReadyCopy> {
    let is_excess = |(copy, kept): &&(ReadyCopy, Timestamp)| {
        let is_later = |(other, since): &&(ReadyCopy, Timestamp)| {
            other.is_of(&copy.manifest, copy.root) && (since, &other.path) > (kept, &copy.path)
        };
        copies.iter().filter(is_later).count() >= maximum
    };
    let excess = copies.iter().filter(is_excess);
    excess.map(|(copy, _)| copy).collect()
}

impl ReadyCopy {
    fn is_of(&self, manifest: &Digest, root: u32) -> bool {
        self.manifest == *manifest && self.root == root
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?;
        let mut parts = name.to_str()?.splitn(4, '-');
        let manifest = layout::parse_digest(parts.next()?.as_ref(), "")?;
        let root = parts.next()?.parse().ok()?;
        let bytes: u64 = parts.next()?.parse().ok()?;
        // Somebody may have made up the name: sums of sizes stay far from an overflow.
        let bytes = bytes.min(1 << 50);
        Some(Self {
            path,
            manifest,
            root,
            bytes,
        })
    }
}

impl Store {
    pub fn ready_copies(&self) -> Result<Vec<ReadyCopy>> {
        let dir = self.layout.ready_copies();
        let names = self.dir.list(&dir)?;
        Ok(names
            .iter()
            .filter_map(|name| ReadyCopy::parse(dir.join(name)))
            .collect())
    }

    /// When a ready copy was moved into the store; the epoch if it is gone or can't be looked at.
    pub(crate) fn kept_since(&self, copy: &ReadyCopy) -> Timestamp {
        let found = self.dir.stat(&copy.path).ok().flatten();
        // A rename changes the ctime of what is renamed, but not its mtime.
        found.map_or_else(Timestamp::default, |stat| stat.ctime)
    }

    /// Moves those directories among the roots into the store that `limit` admits. Returns how many
    /// more copies the next jobs may need.
    pub(crate) fn put_ready_copies(
        &self,
        returned: &ReturnedRoots<'_>,
        limit: ReadyLimit,
    ) -> Result<usize> {
        let ReturnedRoots {
            manifest, bytes, ..
        } = *returned;
        let mut lacking = 0;
        let present = self.ready_copies()?;
        for (number, path) in directories(returned.tree, returned.roots) {
            let Some(stat) = files::stat_link(path)? else {
                continue;
            };
            let count = |id| present.iter().filter(|copy| copy.is_of(id, number)).count();
            let was_lent = self.take_back(manifest, number, &stat);
            let came_from = |id: &&Digest| self.take_back(id, number, &stat);
            let earlier = returned.earlier.filter(came_from).map(|id| count(id) + 1);
            let present = count(manifest);
            if !limit.admits(present, was_lent) {
                continue;
            }
            // The sizes of single roots are not known; the first one stands for all.
            let share = if number == 0 { bytes } else { 0 };
            let kept_as = self.ready_path(manifest, number, share, &stat)?;
            if self.dir.move_in(path, &kept_as)? {
                let copies = CopyCounts {
                    present: present + 1,
                    lent: self.count_lent(manifest, number),
                    earlier,
                };
                lacking = lacking.max(limit.lacking(&copies));
            }
        }
        Ok(lacking)
    }

    /// The path of a ready copy, in a directory that exists then.
    pub(super) fn ready_path(
        &self,
        manifest: &Digest,
        number: u32,
        bytes: u64,
        stat: &Stat,
    ) -> Result<PathBuf> {
        let dir = self.layout.ready_copies();
        self.dir.create_dir(&dir, self.modes.directory)?;
        Ok(self.layout.ready_copy(manifest, number, bytes, stat.inode))
    }

    /// Removes the ready copies of a group's entries that exceed a limit: there were more before
    /// the limit was set, or jobs that ended at the same time moved theirs.
    ///
    /// Copies of other groups stay: a job must not take from branches that it may not write to.
    pub(crate) fn limit_ready_copies(
        &self,
        _lock: &SharedLock,
        group: &EntryGroup,
        limit: ReadyLimit,
    ) -> Result<()> {
        let Some(maximum) = limit.maximum() else {
            return Ok(());
        };
        let copies = self.ready_copies()?.into_iter();
        let with_time = copies.map(|copy| {
            let since = self.kept_since(&copy);
            (copy, since)
        });
        let kept: Vec<_> = with_time.collect();
        let excess = excess(&kept, maximum);
        if excess.is_empty() {
            return Ok(());
        }
        // What an entry that can't be read has stays; garbage collection reports the entry.
        let ids = self.entry_ids(Some(group))?;
        let entries = ids
            .iter()
            .filter_map(|id| self.read_entry(id).ok().flatten());
        let entries = entries.filter(|entry| entry.group == *group);
        let manifests: HashSet<Digest> = entries.map(|entry| entry.manifest).collect();
        for copy in excess {
            if manifests.contains(&copy.manifest) {
                self.remove_ready_copy(copy)?;
            }
        }
        Ok(())
    }

    /// Moves ready copies to where roots are missing: of several the one that was kept last, so that
    /// those which are not needed grow old. On an error, roots that were missing are missing again.
    pub(crate) fn take_ready_copies(
        &self,
        manifest: &Digest,
        tree: &Tree,
        roots: &Roots,
    ) -> Result<TakenCopies> {
        // The restore works without them.
        let mut copies = self.ready_copies().unwrap_or_default();
        copies.retain(|copy| copy.manifest == *manifest);
        copies.sort_by_cached_key(|copy| Reverse(self.kept_since(copy)));
        let mut result = TakenCopies::default();
        for (number, path) in directories(tree, roots) {
            let is_missing = matches!(files::stat_link(path), Ok(None));
            let copies = copies.iter().filter(|copy| copy.is_of(manifest, number));
            let is_taken = self
                .take_first_ready_copy(copies, path)
                .inspect_err(|_| self.discard_taken(&result.taken))?;
            if is_taken {
                result.taken.push(path.to_owned());
                self.note_lent(manifest, number, path);
            } else if is_missing && self.has_lent(manifest, number) {
                result.missed.push((number, path.to_owned()));
            }
        }
        Ok(result)
    }

    /// Removes what [`Store::take_ready_copies`] moved. If it fails, the next restore compares and
    /// repairs the files.
    pub(crate) fn discard_taken(&self, taken: &[PathBuf]) {
        for path in taken {
            let doomed = self.layout.tmp().join(random_name());
            if let Ok(true) = self.dir.move_in(path, &doomed) {
                // Garbage collection removes what remains.
                drop(self.dir.remove_tree(&doomed));
            }
        }
    }

    /// Moves the first of some ready copies that can be moved to `path`. Returns false if none can.
    fn take_first_ready_copy<'c>(
        &self,
        copies: impl Iterator<Item = &'c ReadyCopy>,
        path: &Path,
    ) -> Result<bool> {
        for copy in copies {
            if self.take_ready_copy(copy, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves a ready copy to `path`. Returns false if it is not a directory of this user.
    ///
    /// No lock decides who gets it: the rename fails if another job was faster, and also if the
    /// path has contents already. Then the restore works without it.
    fn take_ready_copy(&self, copy: &ReadyCopy, path: &Path) -> Result<bool> {
        let Ok(Some(dir)) = self.dir.open_dir(&copy.path) else {
            return Ok(false);
        };
        let kept = dir.own_stat()?;
        // Another user's directory can be moved here, but not written to afterwards.
        if kept.uid != effective_uid() || !self.dir.move_out(&copy.path, path)? {
            return Ok(false);
        }
        let identity = |stat: Stat| (stat.device, stat.inode);
        let moved = files::stat_link(path).ok().flatten();
        if moved.map(identity) == Some(identity(kept)) {
            return Ok(true);
        }
        // Somebody replaced it before the rename, perhaps by a symlink.
        let aside = self.layout.tmp().join(random_name());
        self.dir.move_in(path, &aside)?;
        Ok(false)
    }

    /// Removes a ready copy. Returns how many bytes that freed: none if another process has taken
    /// it, or if it belongs to another user and can't be moved.
    pub(crate) fn remove_ready_copy(&self, copy: &ReadyCopy) -> Result<u64> {
        // Renamed first, so that no process takes a copy that is half removed.
        let doomed = self.layout.tmp().join(random_name());
        if !self.dir.move_dir(&copy.path, &doomed)? {
            return Ok(0);
        }
        self.dir.remove_tree(&doomed)?;
        Ok(copy.bytes)
    }
}

/// The directories among the roots, with the numbers of the roots.
pub(super) fn directories<'a>(
    tree: &'a Tree,
    roots: &'a Roots,
) -> impl Iterator<Item = (u32, &'a Path)> {
    let dirs = (0..).zip(tree.dirs_in(Tree::TOP));
    dirs.filter_map(|(number, (_, dir))| {
        let root = roots.get(&dir.name).ok()?;
        // Moving what a symlink leads to would leave the link without a target.
        (!root.is_linked()).then_some((number, root.path.as_path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy that was kept some days after the epoch.
    fn kept(root: u32, day: i64) -> (ReadyCopy, Timestamp) {
        let copy = ReadyCopy {
            path: PathBuf::from(format!("{root}-{day}")),
            manifest: Digest::of(b"manifest"),
            root,
            bytes: 1,
        };
        let time = Timestamp {
            seconds: day * SURPLUS_AGE,
            nanoseconds: 0,
        };
        (copy, time)
    }

    #[test]
    fn of_several_copies_of_a_root_those_that_are_old_are_removed_except_the_last() {
        let now = Timestamp {
            seconds: 5 * SURPLUS_AGE + 1,
            nanoseconds: 0,
        };
        let copies = [
            kept(0, 1),
            kept(0, 3),
            kept(0, 5),
            kept(1, 1),
            kept(2, 2),
            kept(2, 3),
        ];
        let removed: Vec<_> = surplus(&copies, now)
            .into_iter()
            .map(|it| &it.path)
            .collect();
        assert_eq!(removed, ["0-1", "0-3", "2-2"].map(PathBuf::from).each_ref());
    }

    #[test]
    fn the_copies_of_each_root_that_were_kept_last_stay_below_a_limit() {
        let mut copies = vec![kept(0, 1), kept(0, 3), kept(0, 2), kept(1, 1)];
        let beyond = |copies: &[_], maximum| -> Vec<PathBuf> {
            let excess = excess(copies, maximum).into_iter();
            excess.map(|copy| copy.path.clone()).collect()
        };
        let names = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(beyond(&copies, 1), names(&["0-1", "0-2"]));
        assert_eq!(beyond(&copies, 2), names(&["0-1"]));
        assert_eq!(beyond(&copies, 0).len(), 4);
        assert!(beyond(&copies, 3).is_empty());
        // Of copies that were kept at the same time, the name decides.
        let (mut same, time) = kept(1, 1);
        same.path = PathBuf::from("1-2");
        copies.push((same, time));
        assert_eq!(beyond(&copies[3..], 1), names(&["1-1"]));
    }
}
