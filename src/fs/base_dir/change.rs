//! Creating, renaming and removing what is in the directory.
//!
//! What others use, or what is given to another user, is created under a temporary name and gets its
//! own when it has its owner and mode. Otherwise others could meet a lock or a directory that they
//! may not open, for ever if this process is killed at that moment.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags};

use super::base::{BaseDir, Owner};
use super::look::{not_a_file, regular};
use crate::error::{IoContext, Result};
use crate::fs::{Dir, FileKind, TempName, WrongFile, remove_child, set_mode, stat_of};

impl BaseDir {
    /// Creates a file that does not exist yet, with exactly `mode` whatever the umask, and opens it
    /// for reading and writing.
    pub(crate) fn create_new(&self, path: &Path, mode: u32) -> Result<File> {
        self.at(path, |parent, name| {
            let file = parent.create_file(name, mode)?;
            self.settle(&file, mode)?;
            Ok(file)
        })
        .context("create", || path)
    }

    /// Creates a file that does not exist yet, with the given contents.
    pub(crate) fn write_new(&self, path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
        self.create_new(path, mode)?
            .write_all(bytes)
            .context("write", || path)
    }

    /// Opens a file for reading and appending. Creates it with `mode` if it does not exist. None if
    /// another process renames it meanwhile.
    ///
    /// Errors: [`WrongFile`] inside the error if it is not a regular file, or has another name
    /// too: somebody else's file could have been linked here.
    pub(crate) fn open_append(&self, path: &Path, mode: u32) -> Result<Option<File>> {
        let opened = self.at(path, |parent, name| {
            match parent.open_append(name, None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other.and_then(|file| regular(file, 1)),
            }
            self.create_settled(parent, name, mode, |name| {
                parent.open_append(name, Some(mode))
            })
        });
        match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            other => other.map(Some).context("open", || path),
        }
    }

    /// Opens a lock file, or a directory in its place. Creates it with `mode` if it does not exist.
    pub(crate) fn open_lock(&self, path: &Path, mode: u32) -> Result<File> {
        self.at(path, |parent, name| {
            // Reading is enough for flock(2), and the file may belong to another user.
            match open_lockable(parent, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create_settled(parent, name, mode, |name| parent.create_file(name, mode)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    open_lockable(parent, name)
                }
                other => other,
            }
        })
        .context("open", || path)
    }

    /// Renames a file over whatever has the name `to`, even a directory.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.at(from, |from_parent, from_name| {
            self.at(to, |parent, name| {
                let rename = || from_parent.rename_into(from_name, parent, name);
                match rename() {
                    Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                        remove_child(parent, name)?;
                        rename()
                    }
                    other => other,
                }
            })
        })
        .context("rename to", || to)
    }

    /// Renames a file unless the new name is taken. Returns false in that case.
    pub(crate) fn rename_noreplace(&self, from: &Path, to: &Path) -> Result<bool> {
        let renamed = self.at(from, |from_parent, from_name| {
            self.at(to, |parent, name| {
                rename_to_free_name(from_parent, from_name, parent, name)
            })
        });
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true).context("rename to", || to),
        }
    }

    /// Renames a directory to a free name or over an empty directory. Returns false if that is not
    /// possible, like [`BaseDir::move_out`].
    pub(crate) fn move_dir(&self, from: &Path, to: &Path) -> Result<bool> {
        is_moved(self.at(from, |from_parent, from_name| {
            self.at(to, |parent, name| {
                from_parent.rename_into(from_name, parent, name)
            })
        }))
        .context("rename to", || to)
    }

    /// Moves a directory from elsewhere to a free name. Returns false if that is not possible, like
    /// [`BaseDir::move_out`].
    pub(crate) fn move_in(&self, outside: &Path, to: &Path) -> Result<bool> {
        is_moved(self.at(to, |parent, name| {
            Ok(nix::fcntl::renameat(AT_FDCWD, outside, parent, name)?)
        }))
        .context("rename to", || to)
    }

    /// Moves a directory to a free name elsewhere or over an empty directory there. Returns false
    /// if it does not exist, the name is taken, the filesystems differ, or the permission is
    /// missing.
    pub(crate) fn move_out(&self, from: &Path, outside: &Path) -> Result<bool> {
        is_moved(self.at(from, |parent, name| {
            Ok(nix::fcntl::renameat(parent, name, AT_FDCWD, outside)?)
        }))
        .context("rename to", || outside)
    }

    /// Removes a name that is not a directory. It is no error if it does not exist.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        match self.at(path, |parent, name| parent.unlink(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.context("remove", || path),
        }
    }

    /// Removes a name with everything below it. It is no error if it does not exist.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<()> {
        match self.at(path, remove_child) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map(drop).context("remove", || path),
        }
    }

    /// Creates a directory with exactly `mode`. An existing directory keeps its mode.
    pub(crate) fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let create = |parent: &Dir, name: &[u8]| {
            parent.create_dir(name)?;
            parent.open_dir(name)
        };
        self.at(path, |parent, name| {
            if parent.stat_at(name).is_err() {
                match self.create_settled(parent, name, mode, |name| create(parent, name)) {
                    // Another process was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other.map(drop),
                }
            }
            match parent.stat_at(name)?.kind {
                FileKind::Directory => Ok(()),
                _ => Err(io::ErrorKind::NotADirectory.into()),
            }
        })
        .context("create", || path)
    }

    /// Sets the mtime of a name to the current time. Creates a file with `mode` if it does not
    /// exist.
    pub(crate) fn touch(&self, path: &Path, mode: u32) -> Result<()> {
        self.at(path, |parent, name| {
            if parent.stat_at(name).is_err() {
                match self.create_settled(parent, name, mode, |name| parent.create_file(name, mode))
                {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other.map(drop),
                }
            }
            // Whatever it is, it is not opened: only its own time changes.
            parent.set_mtime_now_at(name)
        })
        .context("set the time of", || path)
    }

    /// Creates a file or a directory that has its owner and mode as soon as it has its name.
    ///
    /// Errors: `AlreadyExists` if the name is taken.
    fn create_settled<T: std::os::fd::AsFd>(
        &self,
        parent: &Dir,
        name: &[u8],
        mode: u32,
        create: impl FnOnce(&[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        let is_private = mode | 0o700 == 0o700;
        if is_private && self.owner.is_none() {
            let new = create(name)?;
            return self.settle(&new, mode).map(|()| new);
        }
        let unfinished = TempName::new();
        let unfinished = unfinished.as_bytes();
        let new = create(unfinished)?;
        let settled = self.settle(&new, mode);
        let named = settled.and_then(|()| rename_to_free_name(parent, unfinished, parent, name));
        if named.is_err() {
            let _ = remove_child(parent, unfinished);
        }
        named.map(|()| new)
    }

    /// Gives a new file or directory its owner and mode.
    fn settle(&self, file: &impl std::os::fd::AsFd, mode: u32) -> io::Result<()> {
        if let Some(Owner { uid, gid }) = self.owner {
            // Without the permission for it, the file stays this user's.
            let _ = nix::unistd::fchown(file, Some(uid.into()), Some(gid.into()));
        }
        // After the change of the owner, which clears the set-group-ID bit.
        set_mode(file, mode)
    }
}

/// Renames unless the new name is taken.
///
/// Errors: `AlreadyExists` if it is.
fn rename_to_free_name(
    from_parent: &Dir,
    from_name: &[u8],
    parent: &Dir,
    name: &[u8],
) -> io::Result<()> {
    let flags = RenameFlags::RENAME_NOREPLACE;
    match nix::fcntl::renameat2(from_parent, from_name, parent, name, flags) {
        Err(Errno::EINVAL | Errno::ENOSYS) => {}
        other => return Ok(other?),
    }
    // Without support by the filesystem: a hard link of a file also fails if the name is taken, and
    // so does the rename of a directory, unless an empty one has the name.
    if from_parent.stat_at(from_name)?.kind == FileKind::Directory {
        match from_parent.rename_into(from_name, parent, name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            other => other,
        }
    } else {
        parent.link_from(from_parent, from_name, name)?;
        from_parent.unlink(from_name)
    }
}

fn open_lockable(parent: &Dir, name: &[u8]) -> io::Result<File> {
    let file = parent.open_file(name).map_err(not_a_file)?;
    match stat_of(&file)?.kind {
        FileKind::File | FileKind::Directory => Ok(file),
        FileKind::Symlink | FileKind::Special => Err(WrongFile::NotAFile.into()),
    }
}

fn is_moved(renamed: io::Result<()>) -> io::Result<bool> {
    use io::ErrorKind as Kind;
    match renamed {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            Kind::NotFound
            | Kind::NotADirectory
            | Kind::DirectoryNotEmpty
            | Kind::AlreadyExists
            | Kind::CrossesDevices
            | Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::ResourceBusy => Ok(false),
            _ => Err(error),
        },
    }
}
