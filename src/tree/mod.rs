//! Directory trees: scan them, describe them in a manifest, compare, and bring a directory into a
//! described state.
//!
//! - [`scan`] looks at what is there, in parallel
//! - [`manifest`] is a tree with the digests of its contents, and its encoding
//! - [`seen`] decides which files are as they were when somebody last knew their contents (pure)
//! - [`compare`] finds their contents in a manifest (pure)
//! - [`plan`] decides what has to be done to a directory (pure)
//! - [`apply`] does it, in parallel
//! - [`times`] sets modification times of what was scanned

pub mod apply;
pub mod compare;
mod cursor;
mod ingest;
pub mod manifest;
pub mod plan;
pub mod scan;
pub mod set_mtimes;
pub mod stamps;

use std::collections::HashSet;
use std::ops::{Index, Range};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use cursor::Roots;
pub use ingest::{ReadOutcome, Runs, TreeReader};

use cursor::Cursor;

use crate::digest::Digest;
use crate::fs::xattrs::Attribute;
use crate::fs::{Extent, Timestamp};

/// The number of a directory in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirId(pub u32);

impl DirId {
    /// The position in a list with one item for each directory of the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The number of a leaf in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeafId(pub u32);

impl LeafId {
    /// The position in a list with one item for each leaf of the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One or more directory trees, flat: no depth is too great for it.
///
/// Directory 0 is not a real one: its children are the roots, each named as the caller named it.
/// Directories stand in breadth-first order, so the subdirectories of one stand side by side, as do
/// its leaves, both sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    dirs: Vec<Directory>,
    leaves: Vec<Leaf>,
}

/// A directory of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// One component; for a root the name that the caller gave it.
    pub name: Box<[u8]>,
    /// The directory it stands in.
    pub parent: DirId,
    /// The twelve permission bits.
    pub mode: u32,
    /// When names in it last changed.
    pub mtime: Timestamp,
    /// Its extended attributes, sorted by name.
    pub attributes: Box<[Attribute]>,
    /// Its subdirectories.
    pub dirs: Range<u32>,
    /// Everything else in it.
    pub leaves: Range<u32>,
}

/// Anything in a [`Tree`] that is not a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// One component; for a root the name that the caller gave it.
    pub name: Box<[u8]>,
    /// The directory it stands in.
    pub parent: DirId,
    /// The twelve permission bits; without meaning for symlinks and hard links.
    pub mode: u32,
    /// Last modification of its contents; without meaning for hard links.
    pub mtime: Timestamp,
    /// Its extended attributes, sorted by name.
    pub attributes: Box<[Attribute]>,
    /// What it is.
    pub kind: LeafKind,
}

/// What a leaf is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// A regular file.
    File(FileData),
    /// A symbolic link and where it points, any bytes.
    Symlink(Box<[u8]>),
    /// A further name of the file `0`, which stands before it in the tree.
    HardLink(LeafId),
}

/// The contents of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    /// Length in bytes, holes counted.
    pub size: u64,
    /// Where there is data, for a file with holes; empty for one without.
    pub extents: Box<[Extent]>,
    /// The data, without the holes. None in a scan, and where there is no data.
    pub content: Option<Content>,
}

impl FileData {
    /// Bytes of data, without the holes.
    pub fn data_len(&self) -> u64 {
        if self.extents.is_empty() && self.content.is_some() {
            self.size
        } else {
            self.extents.iter().map(|extent| extent.length).sum()
        }
    }
}

/// Some bytes in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Names the bytes.
    pub digest: Digest,
    /// Where they are kept.
    pub location: ContentLocation,
}

/// Where the store keeps some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentLocation {
    /// In the pack of this number in the manifest's list.
    Pack(u32),
    /// In a file of their own.
    Blob,
}

impl Tree {
    /// The directory that holds the roots.
    pub const TOP: DirId = DirId(0);

    /// All directories, the one that holds the roots first, each after the one it stands in.
    pub fn dirs(&self) -> &[Directory] {
        &self.dirs
    }

    /// Everything else.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The numbers of all directories but the one that holds the roots.
    pub fn dir_ids(&self) -> impl DoubleEndedIterator<Item = DirId> + use<> {
        (1..u32::try_from(self.dirs.len()).unwrap_or(u32::MAX)).map(DirId)
    }

    /// The numbers of all leaves.
    pub fn leaf_ids(&self) -> impl Iterator<Item = LeafId> + use<> {
        (0..u32::try_from(self.leaves.len()).unwrap_or(u32::MAX)).map(LeafId)
    }

    /// The numbers of all leaves, one subtree after another: those of a directory, then those below
    /// it.
    ///
    /// Who works through a tree in this order enters each directory once.
    pub fn leaf_ids_depth_first(&self) -> impl Iterator<Item = LeafId> {
        let mut pending = if self.dirs.is_empty() {
            Vec::new()
        } else {
            vec![Self::TOP]
        };
        std::iter::from_fn(move || {
            let dir = &self[pending.pop()?];
            pending.extend(dir.dirs.clone().rev().map(DirId));
            Some(dir.leaves.clone().map(LeafId))
        })
        .flatten()
    }

    /// The subdirectories of a directory.
    pub fn dirs_in(&self, dir: DirId) -> impl Iterator<Item = (DirId, &Directory)> {
        let range = self[dir].dirs.clone();
        range.map(|id| (DirId(id), &self[DirId(id)]))
    }

    /// The leaves of a directory.
    pub fn leaves_in(&self, dir: DirId) -> impl Iterator<Item = (LeafId, &Leaf)> {
        let range = self[dir].leaves.clone();
        range.map(|id| (LeafId(id), &self[LeafId(id)]))
    }

    /// The subdirectory of a name.
    pub fn find_dir(&self, parent: DirId, name: &[u8]) -> Option<DirId> {
        let range = &self[parent].dirs;
        let dirs = &self.dirs[range.start as usize..range.end as usize];
        let at = dirs.binary_search_by(|dir| (*dir.name).cmp(name)).ok()?;
        Some(DirId(range.start + u32::try_from(at).ok()?))
    }

    /// The leaf of a name.
    pub fn find_leaf(&self, parent: DirId, name: &[u8]) -> Option<LeafId> {
        let range = &self[parent].leaves;
        let leaves = &self.leaves[range.start as usize..range.end as usize];
        let at = leaves
            .binary_search_by(|leaf| (*leaf.name).cmp(name))
            .ok()?;
        Some(LeafId(range.start + u32::try_from(at).ok()?))
    }

    /// The names from a root down to a directory, the root's first.
    pub fn dir_names(&self, dir: DirId) -> Vec<&[u8]> {
        let mut names = Vec::new();
        let mut at = dir;
        while at != Self::TOP {
            names.push(&*self[at].name);
            at = self[at].parent;
        }
        names.reverse();
        names
    }

    /// The path of a leaf as people read it, beginning with its root's name.
    pub fn leaf_path(&self, leaf: LeafId) -> PathBuf {
        let mut path = self.dir_path(self[leaf].parent);
        path.push(os(&self[leaf].name));
        path
    }

    /// The path of a directory as people read it, beginning with its root's name.
    pub fn dir_path(&self, dir: DirId) -> PathBuf {
        self.dir_names(dir).into_iter().map(os).collect()
    }

    /// The tree without some leaves, and without hard links to them.
    #[must_use]
    pub fn without_leaves(self, gone: &HashSet<LeafId>) -> Self {
        if gone.is_empty() {
            return self;
        }
        let mut new_ids = vec![None; self.leaves.len()];
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for (id, mut leaf) in (0..).map(LeafId).zip(self.leaves) {
            if let LeafKind::HardLink(first) = &mut leaf.kind {
                match new_ids[first.index()] {
                    Some(new) => *first = new,
                    None => continue,
                }
            }
            if !gone.contains(&id) {
                new_ids[id.index()] = Some(LeafId(count(&leaves)));
                leaves.push(leaf);
            }
        }
        let mut next = 0;
        let dirs = self.dirs.into_iter().map(|dir| {
            let start = next;
            let kept = dir
                .leaves
                .clone()
                .filter(|id| new_ids[*id as usize].is_some())
                .count();
            next += u32::try_from(kept).unwrap_or(u32::MAX);
            Directory {
                leaves: start..next,
                ..dir
            }
        });
        Self {
            dirs: dirs.collect(),
            leaves,
        }
    }

    /// Describes the contents of a regular file, read in the given state.
    pub fn set_file(&mut self, id: LeafId, mode: u32, modified: Timestamp, data: FileData) {
        let leaf = &mut self.leaves[id.index()];
        (leaf.mode, leaf.mtime, leaf.kind) = (mode, modified, LeafKind::File(data));
    }

    /// Gives directories and leaves other modification times, by their numbers.
    pub fn set_mtimes(
        &mut self,
        dir: impl Fn(DirId) -> Timestamp,
        leaf: impl Fn(LeafId) -> Timestamp,
    ) {
        for id in self.dir_ids() {
            self.dirs[id.index()].mtime = dir(id);
        }
        for id in self.leaf_ids() {
            self.leaves[id.index()].mtime = leaf(id);
        }
    }

    /// Bytes in all regular files, holes counted, hard links once.
    pub fn total_bytes(&self) -> u64 {
        self.leaves.iter().fold(0, |sum, leaf| match &leaf.kind {
            LeafKind::File(file) => sum.saturating_add(file.size),
            LeafKind::Symlink(_) | LeafKind::HardLink(_) => sum,
        })
    }
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn os(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

impl Index<DirId> for Tree {
    type Output = Directory;

    fn index(&self, id: DirId) -> &Directory {
        &self.dirs[id.index()]
    }
}

impl Index<LeafId> for Tree {
    type Output = Leaf;

    fn index(&self, id: LeafId) -> &Leaf {
        &self.leaves[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(dirs: Range<u32>, leaves: Range<u32>) -> Directory {
        let (name, attributes) = (Box::default(), Box::default());
        Directory {
            name,
            parent: Tree::TOP,
            mode: 0,
            mtime: Timestamp::default(),
            attributes,
            dirs,
            leaves,
        }
    }

    #[test]
    fn leaves_below_a_directory_come_before_those_beside_it() {
        // The first directory below the top has leaf 0 and a subdirectory with leaf 3, the second
        // leaves 1 and 2.
        let dirs = vec![
            directory(1..3, 0..0),
            directory(3..4, 0..1),
            directory(4..4, 1..3),
            directory(4..4, 3..4),
        ];
        let tree = Tree {
            dirs,
            leaves: Vec::new(),
        };
        assert_eq!(
            tree.leaf_ids_depth_first()
                .map(|leaf| leaf.0)
                .collect::<Vec<_>>(),
            [0, 3, 1, 2]
        );
        assert_eq!(Tree::default().leaf_ids_depth_first().count(), 0);
    }
}
