//! Removes whole trees without following symlinks.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::{Dir, DirEntry, FileKind};
use crate::error::{IoContext, Result};

/// Removes a name with everything below it. Returns how many names were removed.
///
/// Makes directories writable first, as far as that is permitted. It is no error if the name does
/// not exist.
pub(crate) fn remove_child(parent: &Dir, name: &[u8]) -> io::Result<u64> {
    match unlink_leaf(parent, name)? {
        Unlinked::Removed => Ok(1),
        Unlinked::Missing => Ok(0),
        Unlinked::Directory => remove_dir_all(parent, name),
    }
}

enum Unlinked {
    Removed,
    Missing,
    /// Nothing was removed: the name is a directory, or may be one.
    Directory,
}

fn unlink_leaf(parent: &Dir, name: &[u8]) -> io::Result<Unlinked> {
    match parent.unlink(name) {
        Ok(()) => Ok(Unlinked::Removed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Unlinked::Missing),
        // For a directory, Linux returns EISDIR; POSIX also allows EPERM.
        Err(error) => match parent.stat_at(name) {
            Ok(stat) if stat.kind == FileKind::Directory => Ok(Unlinked::Directory),
            Ok(_) => Err(error),
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(Unlinked::Missing),
            Err(other) => Err(other),
        },
    }
}

fn remove_dir_all(parent: &Dir, name: &[u8]) -> io::Result<u64> {
    let mut removed = 0;
    // Open directories from the top down, each with the names still to be removed. No recursion,
    // because trees may be deeper than the stack.
    let mut open = vec![RemoveLevel::enter(parent, name)?];
    while let Some(level) = open.last_mut() {
        let Some(listed) = level.names.pop_front() else {
            let Some(done) = open.pop() else { break };
            let above = open.last().map_or(parent, |level| &level.dir);
            above.remove_dir(&done.name)?;
            removed += 1;
            continue;
        };
        match level.unlink(&listed)? {
            Unlinked::Removed => removed += 1,
            Unlinked::Missing => {}
            Unlinked::Directory => {
                let below = RemoveLevel::enter(&level.dir, &listed.name)?;
                open.push(below);
            }
        }
    }
    Ok(removed)
}

/// Removes a directory, file or symlink by path, with everything below it. Returns how many names
/// were removed.
pub(crate) fn remove_tree(path: &Path) -> Result<u64> {
    use std::os::unix::ffi::OsStrExt;

    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(crate::error::Error::invalid(format!(
            "{} cannot be removed",
            path.display()
        )));
    };
    let parent = match Dir::open(parent) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).context("open", || parent),
    };
    remove_child(&parent, name.as_bytes()).context("remove", || path)
}

struct RemoveLevel {
    name: Box<[u8]>,
    dir: Dir,
    names: VecDeque<DirEntry>,
}

impl RemoveLevel {
    fn unlink(&self, listed: &DirEntry) -> io::Result<Unlinked> {
        match self.dir.unlink(&listed.name) {
            Ok(()) => Ok(Unlinked::Removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Unlinked::Missing),
            Err(error) if listed.kind.is_some_and(|kind| kind != FileKind::Directory) => Err(error),
            Err(_) => Ok(Unlinked::Directory),
        }
    }

    fn enter(parent: &Dir, name: &[u8]) -> io::Result<Self> {
        if parent.stat_at(name)?.mode & 0o700 != 0o700 {
            // This fails for a directory of another user. The next calls report what is missing.
            drop(parent.make_accessible(name));
        }
        let dir = parent.open_dir(name)?;
        let names = dir.list()?.into();
        Ok(Self {
            name: name.into(),
            dir,
            names,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_tree_is_removed_without_the_targets_of_its_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(&kept, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(remove_tree(&tree).unwrap(), 6);
        assert!(!tree.exists() && kept.join("file").exists());
        assert_eq!(remove_tree(&tree).unwrap(), 0);
    }
}
