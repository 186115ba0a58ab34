//! Sets the modification times of scanned files and directories.
//!
//! Each one is reached by descriptors from its root, never through a symlink. What changed since
//! the scan keeps its time, because somebody is working on it.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use super::cursor::Cursor;
use super::model::{DirId, LeafId};
use super::roots::Roots;
use super::scan::Scan;
use crate::error::{Error, Result};
use crate::fs::{Dir, Stat, Timestamp, set_mtime};
use crate::workers;

/// A modification time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtimeChange {
    /// Set this time, unless the file or directory changed since the scan.
    To(Timestamp),
    /// Set this time even if the file or directory changed since the scan. Where only the owner may
    /// do that, set the current time.
    Renew(Timestamp),
}

/// The outcome for a list of changes.
#[derive(Debug, Default)]
pub(crate) struct SetStats {
    /// How many times were set.
    pub set: u64,
    /// The latest ctime of those, by the clock of their filesystem.
    pub last_ctime: Option<Timestamp>,
    /// How many files and directories changed or vanished since the scan.
    pub changed: u64,
    /// What the filesystem refused, and why.
    pub refused: Vec<(PathBuf, io::Error)>,
}

impl SetStats {
    fn record(&mut self, outcome: SetResult, path: impl FnOnce() -> PathBuf) {
        match outcome {
            SetResult::Set(ctime) => {
                self.set += 1;
                self.last_ctime = self.last_ctime.max(Some(ctime));
            }
            SetResult::Changed => self.changed += 1,
            SetResult::Refused(error) => self.refused.push((path(), error)),
        }
    }
}

/// How many changes a thread takes at a time.
const CHUNK: usize = 64;

/// Sets the times of leaves, in parallel. Fastest in the order of
/// [`crate::tree::Tree::leaf_ids_depth_first`].
pub(crate) fn set_leaf_mtimes(
    scan: &Scan,
    roots: &Roots,
    changes: &[(LeafId, MtimeChange)],
) -> Result<SetStats> {
    set_all(scan, roots, changes)
}

/// Sets the times of directories, in parallel.
pub(crate) fn set_dir_mtimes(
    scan: &Scan,
    roots: &Roots,
    changes: &[(DirId, MtimeChange)],
) -> Result<SetStats> {
    set_all(scan, roots, changes)
}

fn set_all<T: MtimeTarget>(
    scan: &Scan,
    roots: &Roots,
    changes: &[(T, MtimeChange)],
) -> Result<SetStats> {
    let stats = Mutex::new(SetStats::default());
    let chunks: Vec<&[(T, MtimeChange)]> = changes.chunks(CHUNK).collect();
    workers::for_each_in_order(
        &chunks,
        || Cursor::new(&scan.tree, roots),
        |cursor, chunk| {
            for (target, change) in *chunk {
                let outcome = set_one(scan, cursor, *target, *change)?;
                workers::lock(&stats).record(outcome, || target.path(scan, roots));
            }
            Ok::<(), Error>(())
        },
    )?;
    Ok(workers::into_inner(stats))
}

/// The outcome for one file or directory.
enum SetResult {
    /// Its ctime after the change.
    Set(Timestamp),
    Changed,
    Refused(io::Error),
}

fn set_one<T: MtimeTarget>(
    scan: &Scan,
    cursor: &mut Cursor<'_>,
    target: T,
    change: MtimeChange,
) -> Result<SetResult> {
    match target.open(cursor) {
        Ok(open) => Ok(open.change_mtime(change, |stat| target.is_as_scanned(scan, stat))),
        // A directory on the path was made inaccessible, removed or replaced since the scan.
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            Ok(SetResult::Refused(source))
        }
        Err(Error::Io { .. }) => Ok(SetResult::Changed),
        Err(error) => Err(error),
    }
}

/// Identifies a file or directory of a scan.
trait MtimeTarget: Copy + Sync {
    fn path(self, scan: &Scan, roots: &Roots) -> PathBuf;
    fn open<'c>(self, cursor: &'c mut Cursor<'_>) -> Result<OpenTarget<'c>>;
    fn is_as_scanned(self, scan: &Scan, stat: &Stat) -> bool;
}

impl MtimeTarget for LeafId {
    fn path(self, scan: &Scan, roots: &Roots) -> PathBuf {
        roots.leaf_path(&scan.tree, self)
    }

    fn open<'c>(self, cursor: &'c mut Cursor<'_>) -> Result<OpenTarget<'c>> {
        let (dir, name) = cursor.enter_parent(self)?;
        Ok(OpenTarget::Leaf(dir, name))
    }

    fn is_as_scanned(self, scan: &Scan, stat: &Stat) -> bool {
        stat.same_state(&scan.stats[self.index()])
    }
}

impl MtimeTarget for DirId {
    fn path(self, scan: &Scan, roots: &Roots) -> PathBuf {
        roots.dir_path(&scan.tree, self)
    }

    fn open<'c>(self, cursor: &'c mut Cursor<'_>) -> Result<OpenTarget<'c>> {
        cursor.enter(self).map(OpenTarget::Dir)
    }

    fn is_as_scanned(self, scan: &Scan, stat: &Stat) -> bool {
        stat.mtime == scan.tree[self].mtime
    }
}

/// A file by its parent and name, or an open directory.
enum OpenTarget<'c> {
    Leaf(&'c Dir, &'c [u8]),
    Dir(&'c Dir),
}

impl OpenTarget<'_> {
    fn change_mtime(
        &self,
        change: MtimeChange,
        is_as_scanned: impl FnOnce(&Stat) -> bool,
    ) -> SetResult {
        let result = match change {
            MtimeChange::To(time) => match self.stat() {
                Ok(stat) if is_as_scanned(&stat) => self.set_mtime(time),
                Ok(_) => return SetResult::Changed,
                Err(error) => Err(error),
            },
            MtimeChange::Renew(time) => self.set_mtime(time).or_else(|_| self.touch()),
        };
        match result.and_then(|()| self.stat()) {
            Ok(stat) => SetResult::Set(stat.ctime),
            Err(error) if error.kind() == io::ErrorKind::NotFound => SetResult::Changed,
            Err(error) => SetResult::Refused(error),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        match self {
            Self::Leaf(dir, name) => dir.stat_at(name),
            Self::Dir(dir) => dir.stat(),
        }
    }

    fn set_mtime(&self, time: Timestamp) -> io::Result<()> {
        match self {
            Self::Leaf(dir, name) => dir.set_mtime_at(name, time),
            Self::Dir(dir) => set_mtime(*dir, time),
        }
    }

    fn touch(&self) -> io::Result<()> {
        match self {
            Self::Leaf(dir, name) => dir.touch_at(name),
            Self::Dir(dir) => dir.touch_at(b"."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tree::scan::{ScanOptions, scan};

    const LONG_AGO: Timestamp = Timestamp {
        seconds: 1_000_000_000,
        nanoseconds: 7,
    };

    #[test]
    fn times_are_set_to_the_nanosecond_on_files_symlinks_and_directories() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("dir")).unwrap();
        fs::write(top.path().join("dir/file"), "text").unwrap();
        std::os::unix::fs::symlink("/nowhere", top.path().join("dir/link")).unwrap();
        let roots = Roots::new([((*b".").into(), top.path().to_owned())]);
        let scanned = scan(&roots, &ScanOptions::default()).unwrap();
        let leaves: Vec<_> = scanned
            .tree
            .leaf_ids()
            .map(|leaf| (leaf, MtimeChange::To(LONG_AGO)))
            .collect();
        let dirs: Vec<_> = scanned
            .tree
            .dir_ids()
            .map(|dir| (dir, MtimeChange::To(LONG_AGO)))
            .collect();
        assert_eq!(set_leaf_mtimes(&scanned, &roots, &leaves).unwrap().set, 2);
        assert_eq!(set_dir_mtimes(&scanned, &roots, &dirs).unwrap().set, 2);
        let after = scan(&roots, &ScanOptions::default()).unwrap().tree;
        assert!(after.leaves().iter().all(|leaf| leaf.mtime == LONG_AGO));
        assert!(after.dirs()[1..].iter().all(|dir| dir.mtime == LONG_AGO));
    }

    #[test]
    fn what_was_changed_since_the_scan_keeps_its_time() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("changed"), "one").unwrap();
        fs::write(top.path().join("removed"), "one").unwrap();
        let roots = Roots::new([((*b".").into(), top.path().to_owned())]);
        let scanned = scan(&roots, &ScanOptions::default()).unwrap();
        fs::write(top.path().join("changed"), "other").unwrap();
        fs::remove_file(top.path().join("removed")).unwrap();
        let leaves: Vec<_> = scanned
            .tree
            .leaf_ids()
            .map(|leaf| (leaf, MtimeChange::To(LONG_AGO)))
            .collect();
        let set = set_leaf_mtimes(&scanned, &roots, &leaves).unwrap();
        assert_eq!((set.set, set.changed, set.refused.len()), (0, 2, 0));
        let after = scan(&roots, &ScanOptions::default()).unwrap().tree;
        assert!(after.leaves()[0].mtime > LONG_AGO);
    }
}
