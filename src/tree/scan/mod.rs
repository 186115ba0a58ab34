//! Looking at what is there, in parallel: a job for each directory.

mod flatten;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

pub use crate::tree::scan::walk::scan;

use super::{DirId, Tree};
use crate::fs::{Stat, Timestamp};
use crate::tree::stamps::RootStamps;

/// What to look at.
#[derive(Default)]
pub struct ScanOptions<'a> {
    /// Look only at the names that this tree has; others are reported as extra. For comparing a
    /// directory with a manifest without reading all of, say, a home directory.
    pub guide: Option<&'a Tree>,
    /// Do not list a directory whose time is the one in the guide: nothing was added to it since,
    /// unless somebody set the time back. For comparisons in which names that the guide does not
    /// have don't matter.
    pub trust_mtimes: bool,
    /// What is known of the roots from when they were as the guide: a directory that did not change
    /// since it held just the names that the guide has is not listed either.
    pub stamps: Option<&'a RootStamps>,
    /// Do not ask for extended attributes: all are taken for empty.
    pub without_attributes: bool,
    /// Decides what is left out.
    pub filter: Option<PathFilter<'a>>,
    /// A directory to leave out, by device and inode: the store itself.
    pub store: Option<(u64, u64)>,
}

/// Decides what is left out, given absolute paths and whether they are directories.
pub type PathFilter<'a> = &'a (dyn Fn(&Path, bool) -> Filter + Sync);

/// What to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Take it.
    Include,
    /// Leave it out with everything below it.
    Exclude,
    /// Take this directory only if something below it is taken.
    IncludeIfNonEmpty,
}

/// What was found.
#[derive(Debug)]
pub struct Scan {
    /// The tree, its files without contents. Hard links among themselves are recognised.
    pub tree: Tree,
    /// What the filesystem said of each leaf, in the tree's order.
    pub stats: Vec<Stat>,
    /// When each directory was last changed, in the tree's order; a name that is added or removed
    /// is a change too.
    pub dir_ctimes: Vec<Timestamp>,
    /// Names that the guide does not have.
    pub extraneous: Vec<ExtraneousName>,
    /// Names of what a restore has not finished, or never will because it was killed.
    pub stale_temps: Vec<ExtraneousName>,
    /// What was left out, and why.
    pub skipped: Vec<SkippedPath>,
    /// When the scan began, by the clock that gives files their times.
    pub started: Timestamp,
    /// The user who looked.
    pub uid: u32,
}

/// A name that does not belong to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraneousName {
    /// The directory it stands in, as the scan's tree numbers it.
    pub parent: DirId,
    /// The name.
    pub name: Box<[u8]>,
}

/// Something that can't be kept.
#[derive(Debug)]
pub struct SkippedPath {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is left out.
    pub reason: SkipReason,
}

/// Why something is left out.
#[derive(Debug)]
pub enum SkipReason {
    /// A socket, fifo or device.
    Special,
    /// It can't be read.
    Unreadable(io::Error),
    /// It changed each time it was read.
    Changing,
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Special => f.write_str("it is a socket, fifo or device"),
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                f.write_str("it may not be read")
            }
            Self::Unreadable(error) => write!(f, "it can't be read ({error})"),
            Self::Changing => f.write_str("it kept changing while it was read"),
        }
    }
}
