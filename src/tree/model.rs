//! The tree itself: directories and leaves in two flat lists.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::{Index, Range};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::LeafName;
use super::rare_list::RareList;
use crate::digest::Digest;
use crate::fs::xattrs::Attribute;
use crate::fs::{Extent, Timestamp};

/// Identifies a directory of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirId(pub u32);

impl DirId {
    /// The position in a list with one item for each directory of the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identifies a leaf of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeafId(pub u32);

impl LeafId {
    /// The position in a list with one item for each leaf of the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One or more directory trees in two flat lists, so any depth works without recursion.
///
/// Directory 0 is virtual: its children are the roots, under the names that the caller gave them.
/// Directories are in breadth-first order. The subdirectories of a directory are therefore
/// adjacent, as are its leaves; both are sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub(super) dirs: Vec<Directory>,
    pub(super) leaves: Vec<Leaf>,
}

/// A directory of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// One path component; for a root, the name that the caller gave it.
    pub name: Box<[u8]>,
    pub parent: DirId,
    /// The twelve permission bits (`07777`).
    pub mode: u32,
    pub mtime: Timestamp,
    /// Extended attributes, sorted by name.
    pub attributes: Box<[Attribute]>,
    /// The range of its subdirectories in [`Tree::dirs`].
    pub dirs: Range<u32>,
    /// The range of everything else in it, in [`Tree::leaves`].
    pub leaves: Range<u32>,
}

/// A file, symlink or hard link of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// One path component; for a root, the name that the caller gave it.
    pub name: LeafName,
    pub parent: DirId,
    /// The twelve permission bits; meaningless for symlinks and hard links.
    pub mode: u32,
    /// Has no meaning for hard links.
    pub mtime: Timestamp,
    /// Extended attributes, sorted by name.
    pub attributes: RareList<Attribute>,
    pub kind: LeafKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafKind {
    File(FileData),
    /// A symbolic link with its target, which may be any bytes.
    Symlink(Box<[u8]>),
    /// Another name of the given file, which comes earlier in the tree.
    HardLink(LeafId),
}

/// Size, holes and contents of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    /// Length in bytes, including holes.
    pub size: u64,
    /// The data of a file with holes; empty for a file without holes.
    pub extents: RareList<Extent>,
    /// The data without the holes. None in a scan, and for files without data.
    pub content: Option<Content>,
}

impl FileData {
    /// The length of the data without the holes, in bytes.
    pub(crate) fn data_len(&self) -> u64 {
        if self.extents.is_empty() && self.content.is_some() {
            self.size
        } else {
            self.extents.iter().map(|extent| extent.length).sum()
        }
    }
}

/// The digest of some bytes, and their location in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub digest: Digest,
    pub location: ContentLocation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentLocation {
    /// In a pack, given as an index into the manifest's list of packs.
    Pack(u32),
    /// In a file of its own.
    Blob,
}

impl Tree {
    /// The virtual directory that holds the roots.
    pub const TOP: DirId = DirId(0);

    /// All directories, parents before their children; [`Tree::TOP`] is the first.
    pub fn dirs(&self) -> &[Directory] {
        &self.dirs
    }

    /// Everything that is not a directory.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    pub fn dir_ids(&self) -> impl DoubleEndedIterator<Item = DirId> + use<> {
        (1..u32::try_from(self.dirs.len()).unwrap_or(u32::MAX)).map(DirId)
    }

    /// All leaves, in the order of [`Tree::leaves`].
    pub fn leaf_ids(&self) -> impl Iterator<Item = LeafId> + use<> {
        (0..u32::try_from(self.leaves.len()).unwrap_or(u32::MAX)).map(LeafId)
    }

    /// All leaves in depth-first order: those of a directory, then those of its subdirectories.
    ///
    /// In this order each directory has to be opened only once.
    pub(crate) fn leaf_ids_depth_first(&self) -> impl Iterator<Item = LeafId> {
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

    /// The subdirectories of a directory, sorted by name.
    pub(crate) fn dirs_in(&self, dir: DirId) -> impl Iterator<Item = (DirId, &Directory)> {
        let range = self[dir].dirs.clone();
        range.map(|id| (DirId(id), &self[DirId(id)]))
    }

    /// The leaves of a directory, sorted by name.
    pub(crate) fn leaves_in(&self, dir: DirId) -> impl Iterator<Item = (LeafId, &Leaf)> {
        let range = self[dir].leaves.clone();
        range.map(|id| (LeafId(id), &self[LeafId(id)]))
    }

    /// The subdirectory with the given name.
    pub(crate) fn find_dir(&self, parent: DirId, name: &[u8]) -> Option<DirId> {
        let range = &self[parent].dirs;
        let dirs = &self.dirs[range.start as usize..range.end as usize];
        let position = dirs.binary_search_by(|dir| (*dir.name).cmp(name)).ok()?;
        Some(DirId(range.start + u32::try_from(position).ok()?))
    }

    /// The leaf with the given name.
    pub(crate) fn find_leaf(&self, parent: DirId, name: &[u8]) -> Option<LeafId> {
        let range = &self[parent].leaves;
        let leaves = &self.leaves[range.start as usize..range.end as usize];
        let position = leaves
            .binary_search_by(|leaf| (*leaf.name).cmp(name))
            .ok()?;
        Some(LeafId(range.start + u32::try_from(position).ok()?))
    }

    /// The path components of a directory, starting with the name of its root.
    pub(crate) fn dir_names(&self, dir: DirId) -> Vec<&[u8]> {
        let mut names = Vec::new();
        let mut current = dir;
        while current != Self::TOP {
            names.push(&*self[current].name);
            current = self[current].parent;
        }
        names.reverse();
        names
    }

    /// The path of a leaf for messages; it starts with the name of its root.
    pub fn leaf_path(&self, leaf: LeafId) -> PathBuf {
        let mut path = self.dir_path(self[leaf].parent);
        path.push(os_str(&self[leaf].name));
        path
    }

    /// The path of a directory for messages; it starts with the name of its root.
    pub fn dir_path(&self, dir: DirId) -> PathBuf {
        self.dir_names(dir).into_iter().map(os_str).collect()
    }

    /// Removes leaves, and the hard links to them. Also returns the former ids of those that remain.
    #[must_use]
    pub(crate) fn without_leaves(self, removed: &HashSet<LeafId>) -> (Self, Vec<LeafId>) {
        if removed.is_empty() {
            let remaining = self.leaf_ids().collect();
            return (self, remaining);
        }
        let mut remaining = Vec::with_capacity(self.leaves.len());
        let mut new_ids = vec![None; self.leaves.len()];
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for (id, mut leaf) in (0..).map(LeafId).zip(self.leaves) {
            if let LeafKind::HardLink(first) = &mut leaf.kind {
                match new_ids[first.index()] {
                    Some(new) => *first = new,
                    None => continue,
                }
            }
            if !removed.contains(&id) {
                new_ids[id.index()] = Some(LeafId(len_u32(&leaves)));
                leaves.push(leaf);
                remaining.push(id);
            }
        }
        let dirs = renumber_leaves(self.dirs, |leaf| new_ids[leaf as usize].is_some());
        (Self { dirs, leaves }, remaining)
    }

    /// Makes a leaf a regular file with the given metadata and contents.
    pub(crate) fn set_file(&mut self, id: LeafId, mode: u32, mtime: Timestamp, data: FileData) {
        let leaf = &mut self.leaves[id.index()];
        (leaf.mode, leaf.mtime, leaf.kind) = (mode, mtime, LeafKind::File(data));
    }

    /// Sets the contents of a regular file; other leaves have none.
    #[cfg(feature = "remote")]
    pub(crate) fn set_content(&mut self, id: LeafId, content: Content) {
        if let LeafKind::File(file) = &mut self.leaves[id.index()].kind {
            file.content = Some(content);
        }
    }

    pub(crate) fn set_leaf_mtime(&mut self, id: LeafId, mtime: Timestamp) {
        self.leaves[id.index()].mtime = mtime;
    }

    /// The sum of all file sizes, including holes; hard links count once.
    pub fn total_bytes(&self) -> u64 {
        self.leaves.iter().fold(0, |sum, leaf| match &leaf.kind {
            LeafKind::File(file) => sum.saturating_add(file.size),
            LeafKind::Symlink(_) | LeafKind::HardLink(_) => sum,
        })
    }
}

/// The directories with the leaf ranges that result when only some of the leaves remain.
fn renumber_leaves(dirs: Vec<Directory>, remains: impl Fn(u32) -> bool) -> Vec<Directory> {
    let mut next = 0;
    let renumbered = dirs.into_iter().map(|dir| {
        let start = next;
        let remaining = dir.leaves.clone().filter(|leaf| remains(*leaf)).count();
        next += u32::try_from(remaining).unwrap_or(u32::MAX);
        Directory {
            leaves: start..next,
            ..dir
        }
    });
    renumbered.collect()
}

/// The length of a list of directories or leaves; no tree has more than `u32::MAX` of either.
pub(super) fn len_u32<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

pub(crate) fn os_str(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
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
    fn depth_first_order_visits_subdirectories_before_siblings() {
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
