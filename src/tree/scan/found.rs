//! One directory as a task of the scan found it.

use crate::fs::Stat;
use crate::fs::xattrs::Attribute;
use crate::tree::model::Leaf;

/// A directory and the names in it, unsorted.
#[derive(Default)]
pub(super) struct FoundDir {
    pub(super) name: Box<[u8]>,
    /// From before its names were read. None for the top, which is no directory on disk.
    pub(super) stat: Option<Stat>,
    pub(super) attributes: Box<[Attribute]>,
    /// The parents of these leaves are not set yet.
    pub(super) leaves: Vec<(Leaf, Stat)>,
    /// Names of subdirectories, and the numbers of their tasks.
    pub(super) dirs: Vec<(Box<[u8]>, u32)>,
    pub(super) extraneous: Vec<Box<[u8]>>,
    pub(super) stale_temps: Vec<Box<[u8]>>,
    pub(super) only_if_non_empty: bool,
}
