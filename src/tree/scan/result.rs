//! The result of a scan, and what it skipped.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::fs::{Stat, Timestamp};
use crate::tree::model::{DirId, Tree};

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
