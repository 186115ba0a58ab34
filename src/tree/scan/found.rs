//! One directory as a task of the scan found it.

use crate::fs::xattrs::Attribute;
use crate::fs::{Stat, Timestamp};
use crate::tree::model::Leaf;

/// A directory and the names in it, unsorted.
#[derive(Default)]
pub(super) struct FoundDir {
    pub(super) name: Box<[u8]>,
    pub(super) mode: u32,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    pub(super) attributes: Box<[Attribute]>,
    /// The parents of these leaves are not set yet.
    pub(super) leaves: Vec<(Leaf, Stat)>,
    /// Names of subdirectories, and the numbers of their tasks.
    pub(super) dirs: Vec<(Box<[u8]>, u32)>,
    pub(super) extraneous: Vec<Box<[u8]>>,
    pub(super) stale_temps: Vec<Box<[u8]>>,
    pub(super) only_if_non_empty: bool,
}
