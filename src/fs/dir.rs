//! An open directory and what can be done relative to it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, UtimensatFlags};
use nix::unistd::UnlinkatFlags;
use rustix::fs::{FileType, RawDir, RenameFlags, SeekFrom};
use rustix::io::Errno;

use super::{FileKind, Stat, Timestamp};

/// Bytes of names that are asked for at a time: on the stack, and enough for all but large
/// directories.
const LIST_BUFFER: usize = 16 << 10;

/// An open directory. Every name given to it is one component; symlinks are never followed.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// A name found in a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, any bytes but `/` and NUL.
    pub name: Box<[u8]>,
    /// What it stands for, where the filesystem says so without a further call.
    pub kind: Option<FileKind>,
}

impl Dir {
    const OPEN: OFlag = OFlag::O_RDONLY
        .union(OFlag::O_DIRECTORY)
        .union(OFlag::O_CLOEXEC);

    /// Opens a directory by its path, following symlinks on the way and at its end.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(nix::fcntl::open(path, Self::OPEN, Mode::empty())?))
    }

    /// Opens a directory in this one.
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(nix::fcntl::openat(
            &self.0,
            name,
            Self::OPEN | OFlag::O_NOFOLLOW,
            Mode::empty(),
        )?))
    }

    /// Gives its owner all rights to a directory in this one.
    pub fn make_accessible(&self, name: &[u8]) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        // Opened this way it needs no rights of its own, and what is changed is what was opened,
        // never a symlink.
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = nix::fcntl::openat(&self.0, name, flags, Mode::empty())?;
        let mode = Stat::from(nix::sys::stat::fstat(&opened)?).mode | 0o700;
        let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let follow = nix::sys::stat::FchmodatFlags::FollowSymlink;
        let mode = Mode::from_bits_truncate(mode);
        Ok(nix::sys::stat::fchmodat(
            nix::fcntl::AT_FDCWD,
            path.as_str(),
            mode,
            follow,
        )?)
    }

    /// Opens a file for reading. A fifo that took the file's place does not block.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        Ok(nix::fcntl::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Makes a file that did not exist, open for reading and writing, with at most the given
    /// permissions: the umask and access control lists may take some away.
    pub fn create_file(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(
            nix::fcntl::openat(&self.0, name, flags, Mode::from_bits_truncate(mode & 0o777))?
                .into(),
        )
    }

    /// Makes a directory that only its owner can use, until its mode is set.
    pub fn create_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(nix::sys::stat::mkdirat(&self.0, name, Mode::S_IRWXU)?)
    }

    /// Makes a symlink.
    pub fn symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::symlinkat(target, &self.0, name)?)
    }

    /// Where a symlink points.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Box<[u8]>> {
        let target = nix::fcntl::readlinkat(&self.0, name)?;
        Ok(target.as_bytes().into())
    }

    /// Gives the file `from_name` of `from` a second name here.
    pub fn link_from(&self, from: &Self, from_name: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::linkat(
            &from.0,
            from_name,
            &self.0,
            name,
            AtFlags::empty(),
        )?)
    }

    /// Renames within this directory; an existing file or empty directory `to` is replaced.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        Ok(nix::fcntl::renameat(&self.0, from, &self.0, to)?)
    }

    /// Lets two names change what they stand for. No where the kernel or the filesystem can't, as
    /// overlayfs can't with a directory of a lower layer.
    pub fn exchange(&self, one: &[u8], other: &[u8]) -> io::Result<bool> {
        match rustix::fs::renameat_with(&self.0, one, &self.0, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name that is not a directory.
    pub fn unlink(&self, name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::unlinkat(
            &self.0,
            name,
            UnlinkatFlags::NoRemoveDir,
        )?)
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::unlinkat(
            &self.0,
            name,
            UnlinkatFlags::RemoveDir,
        )?)
    }

    /// What the filesystem says of a name.
    pub fn stat_at(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(nix::sys::stat::fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
    }

    /// What the filesystem says of this directory.
    pub fn stat(&self) -> io::Result<Stat> {
        stat_of(self)
    }

    /// The names in this directory, without `.` and `..`, in no order.
    pub fn list(&self) -> io::Result<Vec<DirEntry>> {
        let mut names = Vec::new();
        // Through this very descriptor: opendir would need one more, and several calls and 32 KiB
        // for each.
        rustix::fs::seek(&self.0, SeekFrom::Start(0))?;
        let mut buffer = [const { MaybeUninit::uninit() }; LIST_BUFFER];
        let mut entries = RawDir::new(&self.0, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Some(FileKind::File),
                FileType::Directory => Some(FileKind::Directory),
                FileType::Symlink => Some(FileKind::Symlink),
                FileType::Unknown => None,
                _ => Some(FileKind::Special),
            };
            names.push(DirEntry {
                name: name.into(),
                kind,
            });
        }
        Ok(names)
    }

    /// Sets the modification time of a name, of a symlink itself.
    pub fn set_mtime_at(&self, name: &[u8], time: Timestamp) -> io::Result<()> {
        let time = time.to_spec();
        Ok(nix::sys::stat::utimensat(
            &self.0,
            name,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )?)
    }

    /// Sets the modification time of a name to now, of a symlink itself. Who may write to a file
    /// may do so, too.
    pub fn touch_at(&self, name: &[u8]) -> io::Result<()> {
        let now = nix::sys::time::TimeSpec::UTIME_NOW;
        Ok(nix::sys::stat::utimensat(
            &self.0,
            name,
            &now,
            &now,
            UtimensatFlags::NoFollowSymlink,
        )?)
    }

    /// The path of a name in this directory for calls that know no descriptors.
    pub fn proc_path(&self, name: &[u8]) -> PathBuf {
        use std::os::fd::AsRawFd;
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        path.push(OsStr::from_bytes(name));
        path
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The user who files made now belong to.
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Sets the mode of an open file or directory.
pub fn set_mode(file: &impl AsFd, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::fchmod(
        file,
        Mode::from_bits_truncate(mode),
    )?)
}

/// Sets the modification time of an open file or directory.
pub fn set_mtime(file: &impl AsFd, time: Timestamp) -> io::Result<()> {
    let time = time.to_spec();
    Ok(nix::sys::stat::futimens(file, &time, &time)?)
}

/// What the filesystem says of an open file or directory.
pub fn stat_of(file: &impl AsFd) -> io::Result<Stat> {
    Ok(nix::sys::stat::fstat(file)?.into())
}
