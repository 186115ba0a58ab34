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
///
/// Errors: [`may_stay`] names those of names that this user can't remove and of directories that
/// something is mounted at. Such a directory is not entered. Everything else is removed all the
/// same.
pub(crate) fn remove_child(parent: &Dir, name: &[u8]) -> io::Result<u64> {
    match unlink_leaf(parent, name)? {
        Unlinked::Removed => Ok(1),
        Unlinked::Missing => Ok(0),
        Unlinked::Directory => remove_dir_all(parent, name),
    }
}

/// Whether an error of [`remove_child`] means that a name has to stay.
pub(crate) fn may_stay(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy
    )
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

/// How many directories are open at the same time.
const OPEN_LEVELS: usize = 24;

fn remove_dir_all(parent: &Dir, name: &[u8]) -> io::Result<u64> {
    let mut removed = 0;
    let mut first_to_stay = None;
    let mut levels = RemoveLevels {
        parent,
        levels: vec![RemoveLevel::enter(parent, name)?],
    };
    loop {
        match levels.remove_next() {
            Ok(Removed::Name) => removed += 1,
            Ok(Removed::Nothing) => {}
            Ok(Removed::Entered(level)) => levels.push(level),
            Ok(Removed::Everything) => break,
            Err(error) if may_stay(&error) => {
                first_to_stay.get_or_insert(error);
                levels.keep_last();
            }
            Err(error) => return Err(error),
        }
    }
    first_to_stay.map_or(Ok(removed), Err)
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

/// What the removal of a name came to.
enum Removed {
    Name,
    Nothing,
    /// It is a directory, which has to be emptied first.
    Entered(RemoveLevel),
    /// There is nothing left to remove.
    Everything,
}

/// Directories from the top down, each with the names still to be removed. No recursion, because
/// trees may be deeper than the stack, and only the lowest are open, because they may be deeper than
/// the limit of open files.
struct RemoveLevels<'a> {
    /// Holds the topmost.
    parent: &'a Dir,
    levels: Vec<RemoveLevel>,
}

struct RemoveLevel {
    name: Box<[u8]>,
    /// None if it was closed. Then so were all above it.
    dir: Option<Dir>,
    names: VecDeque<DirEntry>,
    /// Whether something below it stays.
    is_kept: bool,
}

impl RemoveLevels<'_> {
    /// Removes the next name of the lowest directory, or that directory if it is empty.
    fn remove_next(&mut self) -> io::Result<Removed> {
        let Some(last) = self.levels.last_mut() else {
            return Ok(Removed::Everything);
        };
        let Some(listed) = last.names.pop_front() else {
            return self.finish_last();
        };
        remove_listed(self.last_dir()?, &listed)
    }

    fn finish_last(&mut self) -> io::Result<Removed> {
        let Some(done) = self.levels.pop() else {
            return Ok(Removed::Everything);
        };
        if done.is_kept {
            self.keep_last();
            return Ok(Removed::Nothing);
        }
        self.last_dir()?.remove_dir(&done.name)?;
        Ok(Removed::Name)
    }

    fn push(&mut self, level: RemoveLevel) {
        self.levels.push(level);
        if let Some(above) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            self.levels[above].dir = None;
        }
    }

    fn keep_last(&mut self) {
        if let Some(last) = self.levels.last_mut() {
            last.is_kept = true;
        }
    }

    /// The lowest directory, opened again if it was closed.
    fn last_dir(&mut self) -> io::Result<&Dir> {
        if self.levels.last().is_some_and(|last| last.dir.is_none()) {
            self.open_again()?;
        }
        let last = self.levels.last().and_then(|last| last.dir.as_ref());
        Ok(last.unwrap_or(self.parent))
    }

    fn open_again(&mut self) -> io::Result<()> {
        let first_to_keep = self.levels.len().saturating_sub(OPEN_LEVELS);
        let mut above: Option<Dir> = None;
        for at in 0..self.levels.len() {
            let opened = above
                .as_ref()
                .unwrap_or(self.parent)
                .open_dir(&self.levels[at].name)?;
            if let Some(previous) = above.replace(opened)
                && at > first_to_keep
            {
                self.levels[at - 1].dir = Some(previous);
            }
        }
        if let Some(last) = self.levels.last_mut() {
            last.dir = above;
        }
        Ok(())
    }
}

impl RemoveLevel {
    fn enter(parent: &Dir, name: &[u8]) -> io::Result<Self> {
        if parent.is_mount_point(name)? {
            let what = "something is mounted there";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
        }
        if parent.stat_at(name)?.mode & 0o700 != 0o700 {
            // This fails for a directory of another user. The next calls report what is missing.
            drop(parent.make_accessible(name));
        }
        let dir = parent.open_dir(name)?;
        let names = dir.list()?.into();
        Ok(Self {
            name: name.into(),
            dir: Some(dir),
            names,
            is_kept: false,
        })
    }
}

fn remove_listed(dir: &Dir, listed: &DirEntry) -> io::Result<Removed> {
    match dir.unlink(&listed.name) {
        Ok(()) => Ok(Removed::Name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removed::Nothing),
        Err(error) if listed.kind.is_some_and(|kind| kind != FileKind::Directory) => Err(error),
        Err(_) => RemoveLevel::enter(dir, &listed.name).map(Removed::Entered),
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
