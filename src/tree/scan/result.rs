//! The result of a scan, and what it skipped.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::leaf_stat::LeafStat;
use crate::fs::{Stat, Timestamp};
use crate::tree::model::{DirId, LeafId, Tree};

/// A tree as it is on disk.
#[derive(Debug)]
pub struct Scan {
    /// Its files have no contents. Hard links between its files are recognised.
    pub tree: Tree,
    /// What else is known of each leaf, in the tree's order.
    pub stats: Vec<LeafStat>,
    /// The `stat` of each directory from before it was listed, in the tree's order. None for the top.
    pub dir_stats: Vec<Option<Stat>>,
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
    /// Whether a leaf is still in the state in which it was scanned.
    pub(crate) fn has_state(&self, id: LeafId, stat: &Stat) -> bool {
        let (leaf, scanned) = (&self.tree[id], &self.stats[id.index()]);
        (leaf.mode, leaf.mtime) == (stat.mode, stat.mtime)
            && (scanned.device, scanned.inode, scanned.ctime())
                == (stat.device, stat.inode, stat.ctime)
    }

    /// Replaces the modification times of files that were given another one than a manifest has:
    /// those with the time `restamped` get that of the known tree.
    pub(crate) fn undo_restamp(&mut self, known: &Tree, restamped: Timestamp) {
        for (leaf, time) in self.restamped(known, restamped) {
            self.tree.set_leaf_mtime(leaf, time);
        }
    }

    /// The leaves with the time `restamped`, with the times that they have in the known tree.
    fn restamped(&self, known: &Tree, restamped: Timestamp) -> Vec<(LeafId, Timestamp)> {
        let mut times = Vec::new();
        let mut pairs = vec![(Tree::TOP, Tree::TOP)];
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
        times
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
    /// The user may not read it.
    Forbidden,
    /// A directory that the user may not enter, or not list.
    ClosedDirectory,
    /// It changed during each attempt to read it.
    Changing,
}

/// Why a name is not part of a scan.
///
/// What the user may not read can't be cached, and is skipped. Any other error could hit a name that
/// belongs to the tree (no more descriptors, a failing disk). Without it the tree would not be
/// complete, so such an error ends the scan.
#[derive(Debug)]
pub(super) enum ScanObstacle {
    Skip(SkipReason),
    Failure(io::Error),
}

impl ScanObstacle {
    /// The obstacle of a directory.
    pub(super) fn of_dir(self) -> Self {
        match self {
            Self::Skip(SkipReason::Forbidden) => Self::Skip(SkipReason::ClosedDirectory),
            other => other,
        }
    }
}

impl From<io::Error> for ScanObstacle {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Skip(SkipReason::Forbidden),
            _ => Self::Failure(error),
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special => f.write_str("it is a socket, fifo or device"),
            Self::Forbidden | Self::ClosedDirectory => f.write_str("it may not be read"),
            Self::Changing => f.write_str("it kept changing while it was read"),
        }
    }
}
