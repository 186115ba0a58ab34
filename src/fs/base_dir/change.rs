//! Creating, renaming and removing what is in the directory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags};

use super::base::{BaseDir, Owner};
use super::look::{not_a_file, regular};
use crate::error::{IoContext, Result};
use crate::fs::{Dir, FileKind, WrongFile, remove_child, set_mode, stat_of};

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
            let file = parent.open_append(name, Some(mode))?;
            self.settle(&file, mode)?;
            Ok(file)
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
            match parent.create_file(name, mode) {
                Ok(file) => self.settle(&file, mode).map(|()| file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    open_lockable(parent, name)
                }
                Err(error) => Err(error),
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
                let flags = RenameFlags::RENAME_NOREPLACE;
                match nix::fcntl::renameat2(from_parent, from_name, parent, name, flags) {
                    // Without support by the filesystem: a hard link also fails if the name is
                    // taken.
                    Err(Errno::EINVAL | Errno::ENOSYS) => {
                        parent.link_from(from_parent, from_name, name)?;
                        from_parent.unlink(from_name)
                    }
                    other => Ok(other?),
                }
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
        self.at(path, |parent, name| match parent.create_dir(name) {
            Ok(()) => self.settle(&parent.open_dir(name)?, mode),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match parent.stat_at(name)?.kind {
                    FileKind::Directory => Ok(()),
                    _ => Err(io::ErrorKind::NotADirectory.into()),
                }
            }
            Err(error) => Err(error),
        })
        .context("create", || path)
    }

    /// Sets the mtime of a name to the current time. Creates a file with `mode` if it does not
    /// exist.
    pub(crate) fn touch(&self, path: &Path, mode: u32) -> Result<()> {
        self.at(path, |parent, name| {
            match parent.create_file(name, mode) {
                Ok(file) => return self.settle(&file, mode),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            // Whatever it is, it is not opened: only its own time changes.
            parent.set_mtime_now_at(name)
        })
        .context("set the time of", || path)
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
