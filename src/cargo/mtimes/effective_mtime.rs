//! When the sources came to their places (rule 9 of the room).
//!
//! A modification time says when contents were written, wherever that was: who moves a file back,
//! or copies it with its times, puts contents under an old time that a build in between did not
//! see. The time of the last change (ctime) says when they came. No program can set it, and a
//! rename sets it too.

use serde::{Deserialize, Serialize};

use crate::cargo::mtimes::LATER;
use crate::digest::Digest;
use crate::fs::{Stat, Timestamp};
use crate::tree::scan::Scan;
use crate::tree::{DirId, LeafId, Tree};

/// When times were replayed, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayMark {
    /// All that was replayed had changed by then, by the clock of the filesystem.
    pub moment: Timestamp,
    /// The directories that were there, by the digests of their paths, sorted.
    directories: Vec<Digest>,
}

impl ReplayMark {
    /// Times were replayed in the directories of a tree.
    pub fn new(moment: Timestamp, tree: &Tree) -> Self {
        let mut directories: Vec<Digest> = tree.dir_ids().map(|id| name_of(tree, id)).collect();
        directories.sort_unstable();
        Self {
            moment,
            directories,
        }
    }

    fn had(&self, tree: &Tree, dir: DirId) -> bool {
        self.directories.binary_search(&name_of(tree, dir)).is_ok()
    }
}

fn name_of(tree: &Tree, dir: DirId) -> Digest {
    Digest::of(tree.dir_path(dir).as_os_str().as_encoded_bytes())
}

/// When the files and directories of a scan arrived.
pub(crate) struct EffectiveMtimes<'a> {
    scan: &'a Scan,
    /// What changed no later than this is as its times say.
    since: Timestamp,
    /// For each directory, when it or the last one around it arrived as a whole.
    moved: Vec<Option<Timestamp>>,
}

impl<'a> EffectiveMtimes<'a> {
    /// Looks at a scan. Before `since` nobody can have built anything from what was not as its
    /// times said.
    pub(crate) fn new(scan: &'a Scan, since: Timestamp) -> Self {
        let mut moved: Vec<Option<Timestamp>> = vec![None; scan.tree.dirs().len()];
        for id in scan.tree.dir_ids() {
            let dir = &scan.tree[id];
            let changed = scan.dir_ctimes[id.index()];
            let own = is_hidden(dir.mtime, changed, since).then_some(changed);
            moved[id.index()] = own.max(moved[dir.parent.index()]);
        }
        Self { scan, since, moved }
    }

    /// The modification time of a file or symlink, or when it arrived if that was later.
    pub(crate) fn of_leaf(&self, id: LeafId, stat: &Stat) -> Timestamp {
        let own = if is_hidden(stat.mtime, stat.ctime, self.since) {
            stat.ctime
        } else {
            stat.mtime
        };
        self.with_moves(self.scan.tree[id].parent, own.max(stat.mtime))
    }

    /// The same of a directory.
    pub(crate) fn of_dir(&self, id: DirId) -> Timestamp {
        self.with_moves(id, self.scan.tree[id].mtime)
    }

    fn with_moves(&self, dir: DirId, time: Timestamp) -> Timestamp {
        self.moved[dir.index()].map_or(time, |moved| moved.max(time))
    }
}

/// Whether something changed later than its modification time tells, and long enough for a build in
/// between.
fn is_hidden(modified: Timestamp, changed: Timestamp, since: Timestamp) -> bool {
    changed > modified.plus_milliseconds(LATER) && changed > since
}

/// Before which times nothing is given that an earlier step of the job gave times: those that it
/// has now, or when it arrived since. A build may have seen it otherwise in between.
pub(crate) struct MtimeFloor<'a> {
    arrivals: EffectiveMtimes<'a>,
    /// For each directory, whether the step saw it.
    seen: Vec<bool>,
}

impl<'a> MtimeFloor<'a> {
    pub(crate) fn new(scan: &'a Scan, given: &ReplayMark) -> Self {
        let mut seen = vec![false; scan.tree.dirs().len()];
        scan.tree
            .dir_ids()
            .for_each(|id| seen[id.index()] = given.had(&scan.tree, id));
        Self {
            arrivals: EffectiveMtimes::new(scan, given.moment),
            seen,
        }
    }

    pub(crate) fn of_leaf(&self, id: LeafId) -> Option<Timestamp> {
        let scan = self.arrivals.scan;
        let is_seen = self.seen[scan.tree[id].parent.index()];
        is_seen.then(|| self.arrivals.of_leaf(id, &scan.stats[id.index()]))
    }

    pub(crate) fn of_dir(&self, id: DirId) -> Option<Timestamp> {
        self.seen[id.index()].then(|| self.arrivals.of_dir(id))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::tree::Roots;
    use crate::tree::scan::{ScanOptions, scan};

    const LONG_AGO: Timestamp = Timestamp {
        seconds: 1_000_000_000,
        nanoseconds: 0,
    };

    /// A directory with two files, one of them in a subdirectory; all of it has old times.
    fn old() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("sub")).unwrap();
        for name in ["file", "sub/file"] {
            fs::write(top.path().join(name), "").unwrap();
        }
        for name in ["file", "sub/file", "sub", ""] {
            make_old(&top.path().join(name));
        }
        top
    }

    fn make_old(path: &Path) {
        fs::File::open(path)
            .unwrap()
            .set_modified(LONG_AGO.into())
            .unwrap();
    }

    fn look(top: &Path) -> Scan {
        scan(
            &Roots::new([((*b".").into(), top.to_owned())]),
            &ScanOptions::default(),
        )
        .unwrap()
    }

    /// Whether each file, then each directory, is as old as its time says.
    fn are_old(scan: &Scan, since: Timestamp) -> Vec<bool> {
        let arrivals = EffectiveMtimes::new(scan, since);
        let leaves = scan
            .tree
            .leaf_ids()
            .map(|id| arrivals.of_leaf(id, &scan.stats[id.index()]));
        let dirs = scan.tree.dir_ids().map(|id| arrivals.of_dir(id));
        leaves.chain(dirs).map(|time| time == LONG_AGO).collect()
    }

    #[test]
    fn what_has_old_times_arrived_when_they_were_set_unless_that_does_not_matter() {
        let top = old();
        let scan = look(top.path());
        assert_eq!(are_old(&scan, LONG_AGO), [false; 4]);
        assert_eq!(are_old(&scan, Timestamp::now()), [true; 4]);
    }

    #[test]
    fn only_what_was_touched_since_arrived_since() {
        let top = old();
        let moment = Timestamp::now();
        Timestamp::next_file_clock_tick().unwrap();
        make_old(&top.path().join("file"));
        assert_eq!(
            are_old(&look(top.path()), moment),
            [false, true, true, true]
        );
    }

    #[test]
    fn all_that_is_in_a_directory_arrives_with_it() {
        let top = old();
        let moment = Timestamp::now();
        Timestamp::next_file_clock_tick().unwrap();
        fs::rename(top.path().join("sub"), top.path().join("aside")).unwrap();
        fs::rename(top.path().join("aside"), top.path().join("sub")).unwrap();
        make_old(top.path());
        // The directory around it changed its names and was given an old time: it may have been
        // moved as well.
        assert_eq!(
            are_old(&look(top.path()), moment),
            [false, false, false, false]
        );
        assert_eq!(
            are_old(&look(&top.path().join("sub")), moment),
            [false, false]
        );
    }

    #[test]
    fn later_steps_give_nothing_in_directories_of_earlier_ones_an_earlier_time() {
        let top = old();
        let given = ReplayMark::new(Timestamp::now(), &look(top.path()).tree);
        fs::create_dir(top.path().join("later")).unwrap();
        fs::write(top.path().join("later/file"), "").unwrap();
        let scan = look(top.path());
        let floors = MtimeFloor::new(&scan, &given);
        let found: Vec<_> = scan.tree.leaf_ids().map(|id| floors.of_leaf(id)).collect();
        assert_eq!(found, [Some(LONG_AGO), None, Some(LONG_AGO)]);
    }
}
