//! Walks a tree on disk by directory descriptors.
//!
//! A cursor keeps the current directory open, and those above it, so that moving to a sibling costs
//! one `openat`. Of a deep tree it keeps only the lowest levels open and goes down from the root
//! again when it leaves them: the limit of open files does not limit the depth. Only the path of a
//! root's parent is resolved by name; below it each step opens one component that must not be a
//! symlink.

use std::collections::VecDeque;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::model::{DirId, LeafId, Tree};
use super::roots::Roots;
use crate::error::{Error, IoContext, Result};
use crate::fs::Dir;

/// How many directories a cursor keeps open. Few trees are deeper.
const OPEN_LEVELS: usize = 24;

/// How a cursor opens the directories of a tree.
pub(super) trait OpenDir {
    /// Opens the directory `dir`, which is called `name` in `parent`.
    fn open(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir>;
}

/// Opens directories that already exist.
pub(super) struct OpenExisting;

impl OpenDir for OpenExisting {
    fn open(&self, parent: &Dir, name: &[u8], _: DirId) -> io::Result<Dir> {
        parent.open_dir(name)
    }
}

/// A position in a tree on disk.
pub(super) struct Cursor<'a, O = OpenExisting> {
    tree: &'a Tree,
    roots: &'a Roots,
    opener: O,
    /// The path of the current root, and its open parent directory.
    root: Option<(PathBuf, Dir)>,
    /// The open directories: the current one and up to [`OPEN_LEVELS`] above it, from the top down.
    stack: VecDeque<(DirId, Dir)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tree: &'a Tree, roots: &'a Roots) -> Self {
        Self::with_opener(tree, roots, OpenExisting)
    }
}

impl<'a, O: OpenDir> Cursor<'a, O> {
    pub(super) fn with_opener(tree: &'a Tree, roots: &'a Roots, opener: O) -> Self {
        Self {
            tree,
            roots,
            opener,
            root: None,
            stack: VecDeque::new(),
        }
    }

    /// Moves to a directory and returns it.
    pub(super) fn enter(&mut self, dir: DirId) -> Result<&Dir> {
        let mut missing = Vec::new();
        let mut ancestor = dir;
        while ancestor != Tree::TOP && !self.stack.iter().any(|(open, _)| *open == ancestor) {
            missing.push(ancestor);
            ancestor = self.tree[ancestor].parent;
        }
        let shared = self
            .stack
            .iter()
            .position(|(open, _)| *open == ancestor)
            .map_or(0, |position| position + 1);
        self.stack.truncate(shared);
        while let Some(next) = missing.pop() {
            let opened = self.open_below(next)?;
            self.stack.push_back((next, opened));
            if self.stack.len() > OPEN_LEVELS {
                self.stack.pop_front();
            }
        }
        match self.stack.back() {
            Some((_, opened)) => Ok(opened),
            None => Err(Error::defect(
                "the directory above all roots cannot be entered",
            )),
        }
    }

    /// Moves to the parent of a leaf. Returns the parent, and the leaf's name in it.
    pub(super) fn enter_parent(&mut self, leaf: LeafId) -> Result<(&Dir, &'a [u8])> {
        let tree = self.tree;
        let leaf = &tree[leaf];
        if leaf.parent == Tree::TOP {
            return self.enter_parent_of_root(&leaf.name);
        }
        Ok((self.enter(leaf.parent)?, &leaf.name))
    }

    /// Moves to the parent of a directory. Returns the parent, and the directory's name in it.
    pub(super) fn enter_parent_of_dir(&mut self, dir: DirId) -> Result<(&Dir, &'a [u8])> {
        let tree = self.tree;
        let directory = &tree[dir];
        if directory.parent == Tree::TOP {
            return self.enter_parent_of_root(&directory.name);
        }
        Ok((self.enter(directory.parent)?, &directory.name))
    }

    /// Opens a directory whose parent is the current one.
    fn open_below(&mut self, dir: DirId) -> Result<Dir> {
        let (tree, roots) = (self.tree, self.roots);
        let directory = &tree[dir];
        if directory.parent == Tree::TOP {
            self.enter_parent_of_root(&directory.name)?;
        }
        let (parent, name): (&Dir, &[u8]) = match (directory.parent, &self.root, self.stack.back())
        {
            // A root's name on disk may differ from its name in the tree.
            (Tree::TOP, Some((path, parent)), _) => {
                (parent, path.file_name().unwrap_or_default().as_bytes())
            }
            (_, _, Some((_, parent))) => (parent, &directory.name),
            _ => {
                return Err(Error::defect("a directory was entered before its parent"));
            }
        };
        self.opener
            .open(parent, name, dir)
            .context("open", || roots.dir_path(tree, dir))
    }

    fn enter_parent_of_root(&mut self, root: &[u8]) -> Result<(&Dir, &'a [u8])> {
        let roots = self.roots;
        let path = &roots.get(root)?.real;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!(
                "{} cannot be cached",
                path.display()
            )));
        };
        let open = match self.root.take() {
            Some(open) if open.0 == *path => open,
            _ => {
                self.stack.clear();
                let opened = Dir::open(parent).context("open", || parent)?;
                (path.clone(), opened)
            }
        };
        let (_, opened) = self.root.insert(open);
        Ok((opened, name.as_bytes()))
    }
}
