//! An open directory, and operations relative to it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::UnlinkatFlags;
use rustix::fs::{FileType, RawDir, RenameFlags, SeekFrom, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::{FileKind, Stat, Timestamp};

/// The buffer for directory entries, in bytes. It is on the stack, and large enough for most
/// directories.
const LIST_BUFFER: usize = 16 << 10;

/// An open directory. Every name given to it is one component; symlinks are never followed.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// An entry of a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Any bytes except `/` and NUL.
    pub name: Box<[u8]>,
    /// None if the filesystem does not report it together with the name.
    pub kind: Option<FileKind>,
}

impl Dir {
    const OPEN: OFlag = OFlag::O_RDONLY
        .union(OFlag::O_DIRECTORY)
        .union(OFlag::O_CLOEXEC);

    /// Opens a directory by its path. Follows symlinks, in the last component too.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(nix::fcntl::open(path, Self::OPEN, Mode::empty())?))
    }

    /// Opens a subdirectory. Fails for a symlink.
    pub(crate) fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(nix::fcntl::openat(
            &self.0,
            name,
            Self::OPEN | OFlag::O_NOFOLLOW,
            Mode::empty(),
        )?))
    }

    /// Opens a subdirectory only to resolve names in it, for which search permission is enough.
    /// Fails for a symlink.
    pub(crate) fn enter(&self, name: &[u8]) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self(nix::fcntl::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }

    /// Opens a directory by its path, only to resolve names in it. Follows symlinks.
    pub(crate) fn enter_path(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(nix::fcntl::open(path, flags, Mode::empty())?))
    }

    /// Gives the owner of a subdirectory read, write and search permission.
    pub(crate) fn make_accessible(&self, name: &[u8]) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        // O_PATH needs no permission on the directory itself. The mode is set through the
        // descriptor, so a symlink that replaces the directory is not followed.
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

    /// Opens a file for reading. Does not block if the name is a fifo by now.
    pub(crate) fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        Ok(nix::fcntl::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Creates a file that does not exist yet, and opens it for reading and writing. The umask and
    /// access control lists may remove some of the permissions.
    pub(crate) fn create_file(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(
            nix::fcntl::openat(&self.0, name, flags, Mode::from_bits_truncate(mode & 0o777))?
                .into(),
        )
    }

    /// Opens a file for reading and appending; with a mode, creates it. Does not block if the name
    /// is a fifo.
    pub(crate) fn open_append(&self, name: &[u8], new: Option<u32>) -> io::Result<File> {
        let mut flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NONBLOCK;
        flags |= OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if new.is_some() {
            flags |= OFlag::O_CREAT | OFlag::O_EXCL;
        }
        let mode = Mode::from_bits_truncate(new.unwrap_or_default() & 0o777);
        Ok(nix::fcntl::openat(&self.0, name, flags, mode)?.into())
    }

    /// Creates a directory with mode 0700.
    pub fn create_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(nix::sys::stat::mkdirat(&self.0, name, Mode::S_IRWXU)?)
    }

    pub fn symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::symlinkat(target, &self.0, name)?)
    }

    pub fn read_link(&self, name: &[u8]) -> io::Result<Box<[u8]>> {
        let target = nix::fcntl::readlinkat(&self.0, name)?;
        Ok(target.as_bytes().into())
    }

    /// Creates a hard link `name` to the file `from_name` in `from`.
    pub(crate) fn link_from(&self, from: &Self, from_name: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::linkat(
            &from.0,
            from_name,
            &self.0,
            name,
            AtFlags::empty(),
        )?)
    }

    /// Renames within this directory. Replaces an existing file or empty directory `to`.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        Ok(nix::fcntl::renameat(&self.0, from, &self.0, to)?)
    }

    /// Renames into another directory. Replaces an existing file or empty directory `to`.
    pub(crate) fn rename_into(&self, from: &[u8], to_dir: &Self, to: &[u8]) -> io::Result<()> {
        Ok(nix::fcntl::renameat(&self.0, from, &to_dir.0, to)?)
    }

    /// Exchanges two names atomically. False if the kernel or the filesystem can't do that;
    /// overlayfs can't for a directory of a lower layer.
    pub(crate) fn exchange(&self, a: &[u8], b: &[u8]) -> io::Result<bool> {
        match rustix::fs::renameat_with(&self.0, a, &self.0, b, RenameFlags::EXCHANGE) {
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

    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(nix::unistd::unlinkat(
            &self.0,
            name,
            UnlinkatFlags::RemoveDir,
        )?)
    }

    /// The metadata of a name, of a symlink itself.
    pub(crate) fn stat_at(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(nix::sys::stat::fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
    }

    /// Whether another filesystem, or another directory, is mounted at a name. False where the kernel
    /// can't tell (before Linux 5.8) and the device is that of this directory.
    pub(crate) fn is_mount_point(&self, name: &[u8]) -> io::Result<bool> {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW | rustix::fs::AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(&self.0, name, flags, StatxFlags::empty()) {
            Ok(found)
                if found
                    .stx_attributes_mask
                    .contains(StatxAttributes::MOUNT_ROOT) =>
            {
                Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
            }
            Ok(_) | Err(Errno::NOSYS) => Ok(self.stat_at(name)?.device != self.stat()?.device),
            Err(error) => Err(error.into()),
        }
    }

    /// The metadata of this directory.
    pub fn stat(&self) -> io::Result<Stat> {
        stat_of(self)
    }

    /// The entries of this directory without `.` and `..`, in no particular order.
    pub fn list(&self) -> io::Result<Vec<DirEntry>> {
        let mut names = Vec::new();
        self.for_each(|name, kind| {
            names.push(DirEntry {
                name: name.into(),
                kind,
            });
        })?;
        Ok(names)
    }

    /// Calls `act` with the name of each entry, and with its kind as in [`DirEntry`].
    pub(crate) fn for_each(&self, mut act: impl FnMut(&[u8], Option<FileKind>)) -> io::Result<()> {
        // opendir(3) would need another descriptor, several more calls, and 32 KiB for each
        // directory.
        rustix::fs::seek(&self.0, SeekFrom::Start(0))?;
        let mut buffer = [const { MaybeUninit::uninit() }; LIST_BUFFER];
        let mut entries = RawDir::new(&self.0, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            act(name, listed_kind(entry.file_type()));
        }
        Ok(())
    }

    /// Sets the mtime of a name, of a symlink itself.
    pub(crate) fn set_mtime_at(&self, name: &[u8], time: Timestamp) -> io::Result<()> {
        let time = time.to_spec();
        Ok(nix::sys::stat::utimensat(
            &self.0,
            name,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )?)
    }

    /// Sets the mtime of a name to the current time, of a symlink itself. Write permission on a file
    /// is enough.
    pub(crate) fn set_mtime_now_at(&self, name: &[u8]) -> io::Result<()> {
        let now = TimeSpec::UTIME_NOW;
        let flags = UtimensatFlags::NoFollowSymlink;
        Ok(nix::sys::stat::utimensat(&self.0, name, &now, &now, flags)?)
    }

    /// A path of a name in this directory, for calls that take no descriptor.
    pub(crate) fn proc_path(&self, name: &[u8]) -> PathBuf {
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

/// Whether a name was removed, or is no longer of the kind that it was opened as: a directory or file
/// that became a symlink gives ELOOP, one that became a socket ENXIO.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || matches!(
        error.raw_os_error(),
        Some(nix::libc::ELOOP | nix::libc::ENXIO)
    )
}

/// The owner of the files that this process creates.
pub(crate) fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Sets the mode of an open file or directory.
pub fn set_mode(file: &impl AsFd, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::fchmod(
        file,
        Mode::from_bits_truncate(mode),
    )?)
}

/// Sets the mtime of an open file or directory.
pub(crate) fn set_mtime(file: &impl AsFd, time: Timestamp) -> io::Result<()> {
    let time = time.to_spec();
    Ok(nix::sys::stat::futimens(file, &time, &time)?)
}

/// The metadata of an open file or directory.
pub(crate) fn stat_of(file: &impl AsFd) -> io::Result<Stat> {
    Ok(nix::sys::stat::fstat(file)?.into())
}

/// None on filesystems that do not list kinds.
fn listed_kind(file_type: FileType) -> Option<FileKind> {
    match file_type {
        FileType::RegularFile => Some(FileKind::File),
        FileType::Directory => Some(FileKind::Directory),
        FileType::Symlink => Some(FileKind::Symlink),
        FileType::Unknown => None,
        _ => Some(FileKind::Special),
    }
}
