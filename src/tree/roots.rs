//! The paths of a tree's roots.

use std::path::{Path, PathBuf};

use super::model::{DirId, LeafId, Tree, os_str};
use crate::error::{Error, Result};

/// Maps the names of a tree's roots to absolute paths.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    roots: Vec<(Box<[u8]>, PathBuf)>,
}

impl Roots {
    /// Takes pairs of a root's name in the tree and its absolute path.
    pub fn new(roots: impl IntoIterator<Item = (Box<[u8]>, PathBuf)>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
        }
    }

    /// Names and paths in the order given to [`Roots::new`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Path)> {
        self.roots
            .iter()
            .map(|(name, path)| (&**name, path.as_path()))
    }

    /// The path of the root `name`.
    pub fn path(&self, name: &[u8]) -> Result<&Path> {
        let found = self.roots.iter().find(|(root, _)| **root == *name);
        found.map(|(_, path)| path.as_path()).ok_or_else(|| {
            Error::invalid(format!(
                "the entry contains {}, which the step did not request",
                os_str(name).display()
            ))
        })
    }

    /// The path of a directory, for messages.
    pub fn dir_path(&self, tree: &Tree, dir: DirId) -> PathBuf {
        let names = tree.dir_names(dir);
        let Some((root, below)) = names.split_first() else {
            return PathBuf::new();
        };
        let mut path = self.path_or_name(root);
        path.extend(below.iter().map(|name| os_str(name)));
        path
    }

    /// The path of a leaf, for messages.
    pub fn leaf_path(&self, tree: &Tree, leaf: LeafId) -> PathBuf {
        let leaf = &tree[leaf];
        if leaf.parent == Tree::TOP {
            return self.path_or_name(&leaf.name);
        }
        self.dir_path(tree, leaf.parent).join(os_str(&leaf.name))
    }

    fn path_or_name(&self, root: &[u8]) -> PathBuf {
        self.path(root)
            .map_or_else(|_| os_str(root).into(), Path::to_owned)
    }
}
