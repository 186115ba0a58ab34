//! Looks up names in the guide: the tree that a scan is compared with.

use crate::fs::FileKind;
use crate::tree::model::{DirId, LeafId, Tree};

/// What the guide has under one name. Valid manifests have a directory or a leaf, never both.
#[derive(Clone, Copy)]
pub(super) struct GuideEntry<'a> {
    pub(super) tree: &'a Tree,
    pub(super) dir: Option<DirId>,
    pub(super) leaf: Option<LeafId>,
}

impl<'a> GuideEntry<'a> {
    /// Looks up `name` in the guide's directory `parent`. `kind` is the kind on disk, if known.
    pub(super) fn find(tree: &'a Tree, parent: DirId, name: &[u8], kind: Option<FileKind>) -> Self {
        let dir = || tree.find_dir(parent, name);
        let leaf = || tree.find_leaf(parent, name);
        // Most names have the same kind in the guide, so one binary search is usually enough.
        let (dir, leaf) = match kind {
            Some(FileKind::Directory) => {
                let dir = dir();
                (dir, if dir.is_none() { leaf() } else { None })
            }
            Some(_) => {
                let leaf = leaf();
                (if leaf.is_none() { dir() } else { None }, leaf)
            }
            None => (dir(), leaf()),
        };
        Self { tree, dir, leaf }
    }

    pub(super) fn of_dir(tree: &'a Tree, dir: DirId) -> Self {
        Self {
            tree,
            dir: Some(dir),
            leaf: None,
        }
    }

    pub(super) fn of_leaf(tree: &'a Tree, leaf: LeafId) -> Self {
        Self {
            tree,
            dir: None,
            leaf: Some(leaf),
        }
    }

    pub(super) fn is_missing(self) -> bool {
        self.dir.is_none() && self.leaf.is_none()
    }

    /// Whether a file needs its attributes read to be compared with the guide.
    pub(super) fn has_leaf_attributes(self) -> bool {
        self.leaf
            .is_some_and(|leaf| !self.tree[leaf].attributes.is_empty())
    }
}
