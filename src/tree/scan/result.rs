//! The result of a scan, and what it skipped.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::fs::{Stat, Timestamp};
use crate::tree::model::{DirId, LeafId, Tree};

/// A tree as it is on disk.
#[derive(Debug)]
pub struct Scan {
    /// Its files have no contents. Hard links between its files are recognised.
    pub tree: Tree,
    /// The `stat` of each leaf, in the tree's order.
    pub stats: Vec<Stat>,
    /// The ctime of each directory, in the tree's order. Adding or removing a name changes it.
    pub dir_ctimes: Vec<Timestamp>,
    /// Names that the guide does not have.
    pub extraneous: Vec<ExtraneousName>,
    /// Temporary names of restores that are still running or were killed.
    pub stale_temps: Vec<ExtraneousName>,
    /// Paths that can't be saved.
    pub skipped: Vec<SkippedPath>,
    /// When the scan started, by the clock that gives files their times.
    pub started: Timestamp,
    /// The effective user of the scan.
    pub uid: u32,
}

impl Scan {
    /// Replaces the modification times of files that were given another one than a manifest has:
    /// those with the time of their root that `restamped` returns get the manifest's.
    pub(crate) fn undo_restamp(
        &mut self,
        known: &Tree,
        restamped: impl Fn(&[u8]) -> Option<Timestamp>,
    ) {
        let mut times = Vec::new();
        for (id, root) in self.tree.dirs_in(Tree::TOP) {
            let known_root = known.find_dir(Tree::TOP, &root.name);
            if let (Some(time), Some(known_root)) = (restamped(&root.name), known_root) {
                self.find_restamped(known, (id, known_root), time, &mut times);
            }
        }
        for (leaf, time) in times {
            self.stats[leaf.index()].mtime = time;
            self.tree.set_leaf_mtime(leaf, time);
        }
    }

    /// Adds the leaves below a directory that have the time `restamped`, with those of the known
    /// tree. `pair` is the directory in both trees.
    fn find_restamped(
        &self,
        known: &Tree,
        pair: (DirId, DirId),
        restamped: Timestamp,
        times: &mut Vec<(LeafId, Timestamp)>,
    ) {
        let mut pairs = vec![pair];
        while let Some((scanned, known_dir)) = pairs.pop() {
            for (id, leaf) in self.tree.leaves_in(scanned) {
                if leaf.mtime == restamped
                    && let Some(known_leaf) = known.find_leaf(known_dir, &leaf.name)
                {
                    times.push((id, known[known_leaf].mtime));
                }
            }
            for (id, dir) in self.tree.dirs_in(scanned) {
                if let Some(known_dir) = known.find_dir(known_dir, &dir.name) {
                    pairs.push((id, known_dir));
                }
            }
        }
    }
}

/// A name on disk that does not belong to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraneousName {
    /// The directory with the name.
    pub parent: DirId,
    pub name: Box<[u8]>,
}

/// A path that can't be saved.
#[derive(Debug)]
pub struct SkippedPath {
    pub path: PathBuf,
    pub reason: SkipReason,
}

/// Why a path can't be saved.
#[derive(Debug)]
pub enum SkipReason {
    /// It is a socket, fifo or device.
    Special,
    Unreadable(io::Error),
    /// It changed during each attempt to read it.
    Changing,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special => f.write_str("it is a socket, fifo or device"),
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                f.write_str("it may not be read")
            }
            Self::Unreadable(error) => write!(f, "it cannot be read ({error})"),
            Self::Changing => f.write_str("it kept changing while it was read"),
        }
    }
}
