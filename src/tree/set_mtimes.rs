//! Sets modification times of what was scanned, and of nothing else.
//!
//! Every name is reached by descriptors from its root, never through a symlink. What is not in the
//! state any more in which it was scanned keeps its time: somebody is working on it.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::fs::{Dir, Stat, Timestamp, set_mtime};
use crate::tree::scan::Scan;
use crate::tree::{Cursor, DirId, LeafId, Roots};
use crate::workers;

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtimeChange {
    /// This one, if nobody changed the file or directory since the scan.
    To(Timestamp),
    /// This one, or where only the owner may set it the time now; whatever happened since the scan.
    Renew(Timestamp),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct SetStats {
    /// How many have the time now that was asked for.
    pub set: u64,
    /// When the last of them got it, by the clock of its filesystem.
    pub last_ctime: Option<Timestamp>,
    /// What was changed or removed since the scan.
    pub changed: u64,
    /// What the filesystem did not allow, and why.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// How many files or directories make a job.
const CHUNK: usize = 64;

/// Sets the times of leaves, in parallel; best given in the order of
/// [`crate::tree::Tree::leaf_ids_depth_first`].
pub fn set_leaf_mtimes(
    scan: &Scan,
    places: &Roots,
    changes: &[(LeafId, MtimeChange)],
) -> Result<SetStats> {
    each(scan, places, changes, |cursor, &(leaf, change)| {
        let (dir, name) = cursor.enter_parent(leaf)?;
        let is_as_scanned = |stat: &Stat| stat.same_state(&scan.stats[leaf.index()]);
        let set = |time| dir.set_mtime_at(name, time);
        Ok(attempt(
            change,
            || dir.stat_at(name),
            is_as_scanned,
            set,
            || dir.touch_at(name),
        ))
    })
}

/// Sets the times of directories, in parallel.
pub fn set_dir_mtimes(
    scan: &Scan,
    places: &Roots,
    changes: &[(DirId, MtimeChange)],
) -> Result<SetStats> {
    each(scan, places, changes, |cursor, &(id, change)| {
        let dir: &Dir = cursor.enter(id)?;
        let is_as_scanned = |stat: &Stat| stat.mtime == scan.tree[id].mtime;
        let set = |time| set_mtime(dir, time);
        Ok(attempt(
            change,
            || dir.stat(),
            is_as_scanned,
            set,
            || dir.touch_at(b"."),
        ))
    })
}

/// What became of one.
enum SetResult {
    /// It was given its time, at this one.
    At(Timestamp),
    Changed,
    Refused(io::Error),
}

fn attempt(
    change: MtimeChange,
    look: impl Fn() -> io::Result<Stat>,
    is_as_scanned: impl FnOnce(&Stat) -> bool,
    set: impl FnOnce(Timestamp) -> io::Result<()>,
    touch: impl FnOnce() -> io::Result<()>,
) -> SetResult {
    let result = match change {
        MtimeChange::To(time) => match look() {
            Ok(stat) if is_as_scanned(&stat) => set(time),
            Ok(_) => return SetResult::Changed,
            Err(error) => Err(error),
        },
        MtimeChange::Renew(time) => set(time).or_else(|_| touch()),
    };
    match result.and_then(|()| look()) {
        Ok(stat) => SetResult::At(stat.ctime),
        Err(error) if error.kind() == io::ErrorKind::NotFound => SetResult::Changed,
        Err(error) => SetResult::Refused(error),
    }
}

/// Names what a change is for.
trait NamedTarget {
    fn path(&self, scan: &Scan, places: &Roots) -> PathBuf;
}

impl NamedTarget for LeafId {
    fn path(&self, scan: &Scan, places: &Roots) -> PathBuf {
        places.leaf_path(&scan.tree, *self)
    }
}

impl NamedTarget for DirId {
    fn path(&self, scan: &Scan, places: &Roots) -> PathBuf {
        places.dir_path(&scan.tree, *self)
    }
}

fn each<'a, T: NamedTarget + Copy + Sync>(
    scan: &'a Scan,
    places: &'a Roots,
    changes: &[(T, MtimeChange)],
    run: impl Fn(&mut Cursor<'a>, &(T, MtimeChange)) -> Result<SetResult> + Sync,
) -> Result<SetStats> {
    let outcome = Mutex::new(SetStats::default());
    let chunks: Vec<&[(T, MtimeChange)]> = changes.chunks(CHUNK).collect();
    workers::for_each_in_order(
        &chunks,
        || Cursor::new(&scan.tree, places),
        |cursor, chunk| {
            for change in *chunk {
                let done = match run(cursor, change) {
                    // The way to it is another one than was scanned, or closed.
                    Err(Error::Io { source, .. })
                        if source.kind() == io::ErrorKind::PermissionDenied =>
                    {
                        SetResult::Refused(source)
                    }
                    Err(Error::Io { .. }) => SetResult::Changed,
                    other => other?,
                };
                let mut outcome = workers::lock(&outcome);
                match done {
                    SetResult::At(time) => {
                        outcome.set += 1;
                        outcome.last_ctime = outcome.last_ctime.max(Some(time));
                    }
                    SetResult::Changed => outcome.changed += 1,
                    SetResult::Refused(error) => {
                        outcome.refused.push((change.0.path(scan, places), error))
                    }
                }
            }
            Ok::<(), Error>(())
        },
    )?;
    Ok(workers::into_inner(outcome))
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
        let places = Roots::new([((*b".").into(), top.path().to_owned())]);
        let seen = scan(&places, &ScanOptions::default()).unwrap();
        let leaves: Vec<_> = seen
            .tree
            .leaf_ids()
            .map(|leaf| (leaf, MtimeChange::To(LONG_AGO)))
            .collect();
        let dirs: Vec<_> = seen
            .tree
            .dir_ids()
            .map(|dir| (dir, MtimeChange::To(LONG_AGO)))
            .collect();
        assert_eq!(set_leaf_mtimes(&seen, &places, &leaves).unwrap().set, 2);
        assert_eq!(set_dir_mtimes(&seen, &places, &dirs).unwrap().set, 2);
        let after = scan(&places, &ScanOptions::default()).unwrap().tree;
        assert!(after.leaves().iter().all(|leaf| leaf.mtime == LONG_AGO));
        assert!(after.dirs()[1..].iter().all(|dir| dir.mtime == LONG_AGO));
    }

    #[test]
    fn what_was_changed_since_the_scan_keeps_its_time() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("changed"), "one").unwrap();
        fs::write(top.path().join("removed"), "one").unwrap();
        let places = Roots::new([((*b".").into(), top.path().to_owned())]);
        let seen = scan(&places, &ScanOptions::default()).unwrap();
        fs::write(top.path().join("changed"), "other").unwrap();
        fs::remove_file(top.path().join("removed")).unwrap();
        let leaves: Vec<_> = seen
            .tree
            .leaf_ids()
            .map(|leaf| (leaf, MtimeChange::To(LONG_AGO)))
            .collect();
        let set = set_leaf_mtimes(&seen, &places, &leaves).unwrap();
        assert_eq!((set.set, set.changed, set.refused.len()), (0, 2, 0));
        let after = scan(&places, &ScanOptions::default()).unwrap().tree;
        assert!(after.leaves()[0].mtime > LONG_AGO);
    }
}
