//! Getting from one directory of a tree to the next by descriptors.
//!
//! A cursor keeps the directories open from a root down to where it stands, so that a move to a
//! neighbour costs one call to open it, and no more descriptors are open than the tree is deep.
//! Only the path of a root's parent is resolved by name; from there on each step is one component
//! that must not be a symlink.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{DirId, LeafId, Tree, os};
use crate::error::{Error, IoContext, Result};
use crate::fs::Dir;

/// Where the roots of a tree lie.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    roots: Vec<(Box<[u8]>, PathBuf)>,
}

impl Roots {
    /// Names of roots, as they stand in the tree, with their absolute paths.
    pub fn new(roots: impl IntoIterator<Item = (Box<[u8]>, PathBuf)>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
        }
    }

    /// The roots in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Path)> {
        self.roots
            .iter()
            .map(|(name, path)| (&**name, path.as_path()))
    }

    /// The path of a root.
    pub fn path(&self, root: &[u8]) -> Result<&Path> {
        let found = self.roots.iter().find(|(name, _)| **name == *root);
        found.map(|(_, path)| path.as_path()).ok_or_else(|| {
            Error::invalid(format!(
                "the entry holds {}, which was not asked for",
                os(root).display()
            ))
        })
    }

    /// The path of a directory, for messages.
    pub fn dir_path(&self, tree: &Tree, dir: DirId) -> PathBuf {
        let names = tree.dir_names(dir);
        let Some((root, below)) = names.split_first() else {
            return PathBuf::new();
        };
        let mut path = self
            .path(root)
            .map_or_else(|_| os(root).into(), Path::to_owned);
        path.extend(below.iter().map(|name| os(name)));
        path
    }

    /// The path of a leaf, for messages.
    pub fn leaf_path(&self, tree: &Tree, leaf: LeafId) -> PathBuf {
        let leaf = &tree[leaf];
        if leaf.parent == Tree::TOP {
            return self
                .path(&leaf.name)
                .map_or_else(|_| os(&leaf.name).into(), Path::to_owned);
        }
        self.dir_path(tree, leaf.parent).join(os(&leaf.name))
    }
}

/// How a directory of a tree is opened.
pub(super) trait Open {
    /// Opens the directory `dir`, which `parent` has under `name`.
    fn open(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir>;
}

/// Opens what is there.
pub(super) struct OpenExisting;

impl Open for OpenExisting {
    fn open(&self, parent: &Dir, name: &[u8], _: DirId) -> io::Result<Dir> {
        parent.open_dir(name)
    }
}

/// A position in a tree on disk.
pub(super) struct Cursor<'a, O = OpenExisting> {
    tree: &'a Tree,
    places: &'a Roots,
    opener: O,
    /// The directory that a root stands in, while the cursor is at or below that root.
    above: Option<(PathBuf, Dir)>,
    /// The open directories from a root down.
    stack: Vec<(DirId, Dir)>,
}

impl<'a> Cursor<'a> {
    /// A cursor over directories that exist.
    pub(super) fn new(tree: &'a Tree, places: &'a Roots) -> Self {
        Self::with(tree, places, OpenExisting)
    }
}

impl<'a, O: Open> Cursor<'a, O> {
    pub(super) fn with(tree: &'a Tree, places: &'a Roots, opener: O) -> Self {
        Self {
            tree,
            places,
            opener,
            above: None,
            stack: Vec::new(),
        }
    }

    /// Moves to a directory.
    pub(super) fn enter(&mut self, dir: DirId) -> Result<&Dir> {
        let mut missing = Vec::new();
        let mut at = dir;
        while at != Tree::TOP && !self.stack.iter().any(|(open, _)| *open == at) {
            missing.push(at);
            at = self.tree[at].parent;
        }
        let keep = self
            .stack
            .iter()
            .position(|(open, _)| *open == at)
            .map_or(0, |found| found + 1);
        self.stack.truncate(keep);
        while let Some(next) = missing.pop() {
            let opened = self.open_below(next)?;
            self.stack.push((next, opened));
        }
        match self.stack.last() {
            Some((_, opened)) => Ok(opened),
            None => Err(Error::defect(
                "the directory above all roots can't be entered",
            )),
        }
    }

    /// Moves to the directory that a leaf stands in; returns it and the leaf's name there.
    pub(super) fn enter_parent(&mut self, leaf: LeafId) -> Result<(&Dir, &'a [u8])> {
        let tree = self.tree;
        let leaf = &tree[leaf];
        if leaf.parent == Tree::TOP {
            return self.enter_above(&leaf.name);
        }
        Ok((self.enter(leaf.parent)?, &leaf.name))
    }

    /// Moves to the directory that a directory stands in; returns it and the directory's name
    /// there.
    pub(super) fn enter_parent_of_dir(&mut self, dir: DirId) -> Result<(&Dir, &'a [u8])> {
        let tree = self.tree;
        let directory = &tree[dir];
        if directory.parent == Tree::TOP {
            return self.enter_above(&directory.name);
        }
        Ok((self.enter(directory.parent)?, &directory.name))
    }

    fn open_below(&mut self, dir: DirId) -> Result<Dir> {
        let (tree, places) = (self.tree, self.places);
        let directory = &tree[dir];
        if directory.parent == Tree::TOP {
            self.enter_above(&directory.name)?;
        }
        let (parent, name): (&Dir, &[u8]) = match (directory.parent, &self.above, self.stack.last())
        {
            (Tree::TOP, Some((path, above)), _) => {
                (above, path.file_name().unwrap_or_default().as_bytes())
            }
            (_, _, Some((_, parent))) => (parent, &directory.name),
            _ => {
                return Err(Error::defect(
                    "a directory was entered before the one it stands in",
                ));
            }
        };
        self.opener
            .open(parent, name, dir)
            .context("open", || places.dir_path(tree, dir))
    }

    fn enter_above(&mut self, root: &[u8]) -> Result<(&Dir, &'a [u8])> {
        let places = self.places;
        let path = places.path(root)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!(
                "{} can't be cached",
                path.display()
            )));
        };
        if self.above.as_ref().is_none_or(|(open, _)| open != path) {
            self.stack.clear();
            let above = Dir::open(parent).context("open", || parent)?;
            self.above = Some((path.to_owned(), above));
        }
        match &self.above {
            Some((_, above)) => Ok((above, name.as_bytes())),
            None => Err(Error::invalid(format!(
                "{} can't be opened",
                parent.display()
            ))),
        }
    }
}
