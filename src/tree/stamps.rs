//! Which files are still as they were when somebody last knew their contents (pure).
//!
//! Size and modification time don't tell: npm and pip give all files one time, `cp -p` and rsync
//! bring the time along, and a file of another version often has the same size. The time of the
//! last change (ctime) does: no program can set it, and everything that changes a file's contents,
//! mode, attributes or name sets it to the clock. So a file that was not changed since a moment
//! when it was known to be as a manifest says is so still, and need not be read.
//!
//! The same holds for the names in a directory: to add, remove or rename one changes the directory.
//! Where a root held nothing but what the manifest has, such a directory need not be listed to find
//! what is extra in it.
//!
//! Moments are read from the clock that gives files their times ([`Timestamp::file_clock_now`]), so
//! a change after the moment has a time that is not before it, however fast it follows.
//!
//! # What is not believed
//!
//! - Times without fractions that are less than two seconds before the moment: the filesystem has
//!   rounded them.
//! - A file below a directory that was moved to its place since, which changes the time of the
//!   directory and of nothing in it: such a directory was changed later than that moment while no
//!   name in it was, or it is below one. A directory that was moved in and had names added or
//!   removed afterwards can't be told from one that only had these; of its old files and
//!   directories, sizes and modification times to the nanosecond still have to be right.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::fs::Timestamp;
use crate::tree::Tree;
use crate::tree::scan::Scan;

/// What is known of a root, or of a directory below one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStamp {
    /// When it was as a manifest says.
    #[serde(rename = "moment")]
    pub clean_as_of: Timestamp,
    /// Since when each directory that did not change has the names in the manifest and no others.
    /// None where there may be others.
    #[serde(rename = "names")]
    pub no_extraneous_since: Option<Timestamp>,
}

impl RootStamp {
    /// What of it holds for a directory in the one that it is known of.
    pub(crate) fn below(self, changed: Timestamp, modified: Timestamp) -> Option<Self> {
        // Not so for one that was moved there since.
        let holds = |since: Timestamp| is_before(changed, since) || !is_before(modified, since);
        holds(self.clean_as_of).then(|| Self {
            no_extraneous_since: self.no_extraneous_since.filter(|since| holds(*since)),
            ..self
        })
    }

    /// Whether a directory of which it is known has the names in the manifest and no others.
    pub(crate) fn has_no_extraneous(self, changed: Timestamp) -> bool {
        self.no_extraneous_since
            .is_some_and(|since| is_before(changed, since))
    }
}

/// What is known of each root, by the root's name in the manifest. Nothing for one that never was
/// as the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootStamps(HashMap<Box<[u8]>, RootStamp>);

impl RootStamps {
    /// Notes what is known of a root.
    pub fn insert(&mut self, root: &[u8], sight: RootStamp) {
        self.0.insert(root.into(), sight);
    }

    /// What is known of a root.
    pub(crate) fn root(&self, root: &[u8]) -> Option<RootStamp> {
        self.0.get(root).copied()
    }

    /// For each leaf of a scan, whether it is as it was at its root's moment.
    pub fn untouched(&self, scan: &Scan) -> Vec<bool> {
        let tree = &scan.tree;
        let mut known: Vec<Option<RootStamp>> = vec![None; tree.dirs().len()];
        for id in tree.dir_ids() {
            let dir = &tree[id];
            known[id.index()] = if dir.parent == Tree::TOP {
                self.root(&dir.name)
            } else {
                let above = known[dir.parent.index()];
                above.and_then(|sight| sight.below(scan.dir_ctimes[id.index()], dir.mtime))
            };
        }
        let leaves = tree.leaves().iter().zip(&scan.stats);
        leaves
            .map(|(leaf, stat)| {
                let known = match leaf.parent {
                    Tree::TOP => self.root(&leaf.name),
                    parent => known[parent.index()],
                };
                known.is_some_and(|sight| is_before(stat.ctime, sight.clean_as_of))
            })
            .collect()
    }
}

/// Whether a time that a filesystem gave is certainly earlier than a moment.
fn is_before(time: Timestamp, moment: Timestamp) -> bool {
    if time.nanoseconds == 0 {
        return time.seconds < moment.seconds.saturating_sub(2);
    }
    time < moment
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::tree::Roots;
    use crate::tree::scan::{ScanOptions, scan};

    /// A directory with a file and a subdirectory with a file, a tick ago or more.
    fn tree() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("root/sub")).unwrap();
        fs::write(top.path().join("root/file"), "one").unwrap();
        fs::write(top.path().join("root/sub/file"), "two").unwrap();
        Timestamp::next_file_clock_tick().unwrap();
        top
    }

    /// The paths that are untouched since a moment, in the order of a scan.
    fn untouched(top: &Path, moment: Option<Timestamp>) -> Vec<String> {
        let places = Roots::new([((*b"root").into(), top.join("root"))]);
        let found = scan(&places, &ScanOptions::default()).unwrap();
        let mut seen = RootStamps::default();
        if let Some(moment) = moment {
            seen.insert(
                b"root",
                RootStamp {
                    clean_as_of: moment,
                    no_extraneous_since: None,
                },
            );
        }
        let leaves = found
            .tree
            .leaf_ids()
            .zip(seen.untouched(&found))
            .filter(|(_, untouched)| *untouched);
        leaves
            .map(|(leaf, _)| found.tree.leaf_path(leaf).display().to_string())
            .collect()
    }

    #[test]
    fn only_what_did_not_change_since_is_believed() {
        let top = tree();
        let moment = Timestamp::next_file_clock_tick().unwrap();
        assert_eq!(
            untouched(top.path(), Some(moment)),
            ["root/file", "root/sub/file"]
        );
        assert!(untouched(top.path(), None).is_empty());
        let file = fs::File::options()
            .write(true)
            .open(top.path().join("root/file"))
            .unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        fs::write(top.path().join("root/file"), "six").unwrap();
        file.set_modified(before).unwrap();
        assert_eq!(untouched(top.path(), Some(moment)), ["root/sub/file"]);
    }

    #[test]
    fn what_is_changed_in_the_tick_of_the_moment_is_not_believed() {
        let top = tree();
        let moment = Timestamp::file_clock_now();
        fs::write(top.path().join("root/file"), "six").unwrap();
        assert_eq!(untouched(top.path(), Some(moment)), ["root/sub/file"]);
    }

    #[test]
    fn files_below_a_directory_that_was_moved_in_are_not_believed() {
        let top = tree();
        fs::create_dir(top.path().join("other")).unwrap();
        fs::write(top.path().join("other/file"), "six").unwrap();
        let moment = Timestamp::next_file_clock_tick().unwrap();
        fs::rename(top.path().join("root/sub"), top.path().join("old")).unwrap();
        fs::rename(top.path().join("other"), top.path().join("root/sub")).unwrap();
        assert_eq!(untouched(top.path(), Some(moment)), ["root/file"]);
    }

    #[test]
    fn names_added_to_a_directory_leave_the_others_believed() {
        let top = tree();
        let moment = Timestamp::next_file_clock_tick().unwrap();
        fs::write(top.path().join("root/sub/new"), "").unwrap();
        assert_eq!(
            untouched(top.path(), Some(moment)),
            ["root/file", "root/sub/file"]
        );
    }

    #[test]
    fn a_directory_has_its_names_when_it_held_nothing_else_and_did_not_change() {
        let at = |nanoseconds| Timestamp {
            seconds: 10,
            nanoseconds,
        };
        let sight = |names: Option<u32>| RootStamp {
            clean_as_of: at(7),
            no_extraneous_since: names.map(at),
        };
        assert!(sight(Some(5)).has_no_extraneous(at(4)));
        assert!(!sight(Some(5)).has_no_extraneous(at(5)));
        assert!(!sight(None).has_no_extraneous(at(4)));
        // A name was added to it later, which its own time tells as well; one that was moved in has
        // its old time.
        assert_eq!(sight(Some(5)).below(at(8), at(8)), Some(sight(Some(5))));
        assert_eq!(sight(Some(5)).below(at(8), at(4)), None);
        assert_eq!(sight(Some(5)).below(at(6), at(4)), Some(sight(None)));
    }

    #[test]
    fn times_without_fractions_need_whole_seconds_between() {
        let at = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        assert!(is_before(at(10, 1), at(10, 2)) && !is_before(at(10, 1), at(10, 1)));
        assert!(is_before(at(10, 0), at(13, 0)));
        assert!(!is_before(at(10, 0), at(12, 999_999_999)));
    }
}
