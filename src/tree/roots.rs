//! The paths of a tree's roots.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::model::{DirId, LeafId, Tree, os_str};
use crate::error::{Error, Result};
use crate::fs::Namespace;

/// Where a root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPlace {
    /// The path as it was named, for messages and filters.
    pub path: PathBuf,
    /// The path to open: where `path` leads if it is a symlink to a directory.
    pub real: PathBuf,
}

impl From<PathBuf> for RootPlace {
    /// A root that is no symlink, or is saved and restored as one.
    fn from(path: PathBuf) -> Self {
        Self {
            real: path.clone(),
            path,
        }
    }
}

impl RootPlace {
    /// Where a root with this name is. A symlink to a directory is followed.
    pub(crate) fn locate(namespace: &dyn Namespace, name: &Path) -> Result<Self> {
        let path = namespace.locate_parent(name)?;
        let real = namespace.locate_linked_dir(name)?;
        Ok(Self {
            real: real.unwrap_or_else(|| path.clone()),
            path,
        })
    }

    /// Whether it is reached through a symlink.
    pub(crate) fn is_linked(&self) -> bool {
        self.real != self.path
    }
}

/// Maps the names of a tree's roots to absolute paths.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    roots: Vec<(Box<[u8]>, RootPlace)>,
    /// The positions in `roots`, by name.
    positions: HashMap<Box<[u8]>, usize>,
}

impl Roots {
    /// Takes pairs of a root's name in the tree and where it is.
    pub fn new<P: Into<RootPlace>>(roots: impl IntoIterator<Item = (Box<[u8]>, P)>) -> Self {
        let roots: Vec<(Box<[u8]>, RootPlace)> = roots
            .into_iter()
            .map(|(name, path)| (name, path.into()))
            .collect();
        let mut positions = HashMap::with_capacity(roots.len());
        for (position, (name, _)) in roots.iter().enumerate() {
            positions.entry(name.clone()).or_insert(position);
        }
        Self { roots, positions }
    }

    /// Names and places in the order given to [`Roots::new`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &RootPlace)> {
        self.roots.iter().map(|(name, root)| (&**name, root))
    }

    /// Where the root `name` is.
    pub fn get(&self, name: &[u8]) -> Result<&RootPlace> {
        let found = self
            .positions
            .get(name)
            .map(|position| &self.roots[*position].1);
        found.ok_or_else(|| {
            Error::invalid(format!(
                "the entry contains {}, which the step did not request",
                os_str(name).display()
            ))
        })
    }

    /// The path of the root `name` as it was named.
    pub fn path(&self, name: &[u8]) -> Result<&Path> {
        self.get(name).map(|root| root.path.as_path())
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
