//! Operations on whole files by path. Symlinks are followed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use super::{FileKind, Stat, Timestamp, is_mostly_holes, set_mode, stat_of};
use crate::error::{Error, IoContext, Result};

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context("read", || path)
}

/// The contents of a file and its metadata from before it was read. None if it does not exist.
/// Follows symlinks.
///
/// Errors: it is not a file, or has more than `limit` bytes.
pub(crate) fn read_with_stat(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, Stat)>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    match file {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        file => file
            .and_then(|file| read_open(&file, limit))
            .map(Some)
            .context("read", || path),
    }
}

/// Why a file can't be what is looked for, whatever its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongFile {
    #[error("it is not a file")]
    NotAFile,
    #[error("it is too long")]
    TooLong,
    #[error("most of it is holes")]
    Holes,
}

impl WrongFile {
    /// The reason in an error.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Io { source, .. } => source.get_ref()?.downcast_ref().copied(),
            _ => None,
        }
    }
}

impl From<WrongFile> for io::Error {
    fn from(wrong: WrongFile) -> Self {
        Self::new(io::ErrorKind::InvalidData, wrong)
    }
}

/// The contents of an open file and its metadata from before they were read.
///
/// Errors: [`WrongFile`] inside the error if it is not a file, has more than `limit` bytes, or is a
/// large file of holes.
pub(crate) fn read_open(file: &File, limit: u64) -> io::Result<(Vec<u8>, Stat)> {
    let stat = stat_of(file)?;
    if stat.kind != FileKind::File {
        return Err(WrongFile::NotAFile.into());
    }
    if stat.size > limit {
        return Err(WrongFile::TooLong.into());
    }
    if is_mostly_holes(file, 0, stat.size)? {
        return Err(WrongFile::Holes.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stat.size).unwrap_or_default());
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, stat))
}

/// The last `limit` bytes of an open file, or all of a shorter one.
pub(crate) fn read_tail(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let length = length(file, path)?;
    let mut bytes = vec![0; usize::try_from(length.min(limit)).unwrap_or_default()];
    let from = length - bytes.len() as u64;
    let is_whole = read_exact_at(file, &mut bytes, from).context("read", || path)?;
    Ok(if is_whole { bytes } else { Vec::new() })
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).context("open", || path)
}

/// Opens a lock file. Creates it with `mode` if it does not exist.
pub(crate) fn open_lock(path: &Path, mode: u32) -> Result<File> {
    // Reading is enough for flock(2), and the file may belong to another user.
    let open = || OpenOptions::new().read(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.context("open", || path),
    }
    match OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
    {
        Ok(file) => {
            set_mode(&file, mode).context("set the mode of", || path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open().context("open", || path)
        }
        Err(error) => Err(error).context("create", || path),
    }
}

/// Creates a file that does not exist yet, with exactly `mode` whatever the umask, and opens it for
/// reading and writing.
pub(crate) fn create_new(path: &Path, mode: u32) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let file = file.context("create", || path)?;
    set_mode(&file, mode).context("set the mode of", || path)?;
    Ok(file)
}

/// Creates a file that does not exist yet, with the given contents.
pub(crate) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    create_new(path, mode)?
        .write_all(bytes)
        .context("write", || path)
}

/// Creates or replaces a file: readers see the old contents or all of the new.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut temp = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .context("create a file in", || dir)?;
    temp.write_all(bytes).context("write", || path)?;
    temp.persist(path)
        .map_err(|error| error.error)
        .context("write", || path)
        .map(drop)
}

/// Removes a file. It is no error if it does not exist.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.context("remove", || path),
    }
}

/// Creates a directory with exactly `mode`. An existing directory keeps its mode.
pub fn create_dir(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            let dir = File::open(path).context("open", || path)?;
            set_mode(&dir, mode).context("set the mode of", || path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error).context("create", || path),
    }
}

/// Creates a directory and its missing ancestors.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).context("create", || path)
}

/// The names in a directory, sorted. Empty if it does not exist.
pub fn list(path: &Path) -> Result<Vec<OsString>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context("read", || path)?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .context("read", || path)?;
    names.sort_unstable();
    Ok(names)
}

/// The metadata of a path, or of the target of a symlink. None if it does not exist.
pub fn stat(path: &Path) -> Result<Option<Stat>> {
    match nix::sys::stat::stat(path) {
        Ok(stat) => Ok(Some(stat.into())),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno).context("inspect", || path),
    }
}

/// The metadata of a path, of a symlink itself. None if it does not exist.
pub(crate) fn stat_link(path: &Path) -> Result<Option<Stat>> {
    match nix::sys::stat::lstat(path) {
        Ok(stat) => Ok(Some(stat.into())),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(errno).context("inspect", || path),
    }
}

/// The path itself, or its nearest ancestor that exists.
pub(crate) fn nearest_existing(path: &Path) -> PathBuf {
    let exists = |path: &&Path| matches!(stat(path), Ok(Some(_)));
    path.ancestors()
        .find(exists)
        .unwrap_or(Path::new("/"))
        .to_owned()
}

/// The target of a symlink.
pub(crate) fn read_link(path: &Path) -> Result<PathBuf> {
    fs::read_link(path).context("read the link", || path)
}

/// The path without symlinks, `.` and `..`.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).context("find", || path)
}

/// A path without symlinks, as far as it exists.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (canonical(ancestor), path.strip_prefix(ancestor)) {
            // An empty rest would add a slash.
            return real.join(rest).components().collect();
        }
    }
    path.to_owned()
}

/// Whether a path is a symlink itself.
pub fn is_symlink(path: &Path) -> Result<bool> {
    match nix::sys::stat::lstat(path) {
        Ok(stat) => Ok(Stat::from(stat).kind == FileKind::Symlink),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno).context("inspect", || path),
    }
}

/// Whether an open file is on NFS, where waiting for a lock may never end.
pub(crate) fn is_on_nfs(file: &File) -> bool {
    let found = nix::sys::statfs::fstatfs(file);
    found.is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::NFS_SUPER_MAGIC)
}

/// The mtime of a file. None if it does not exist.
pub fn mtime(path: &Path) -> Result<Option<Timestamp>> {
    Ok(stat(path)?.map(|stat| stat.mtime))
}

/// The length of an open file in bytes.
pub fn length(file: &File, path: &Path) -> Result<u64> {
    stat_of(file)
        .map(|stat| stat.size)
        .context("inspect", || path)
}

/// Fills the buffer from an offset. False if the file is too short.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

mod ioctl {
    nix::ioctl_write_int!(ficlone, 0x94, 9);
}

/// Makes `to` share all blocks of `from` (reflink). Each can then be written without changing the
/// other.
///
/// False if the filesystem can't do it or the files are on different filesystems.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    let source = u64::try_from(from.as_raw_fd())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: FICLONE takes two descriptors, which both stay open during the call, and accesses no
    // memory of this process.
    #[expect(unsafe_code, reason = "no safe wrapper of FICLONE takes descriptors")]
    let cloned = unsafe { ioctl::ficlone(to.as_raw_fd(), source) };
    match cloned {
        Ok(_) => Ok(true),
        Err(
            Errno::EOPNOTSUPP
            | Errno::EXDEV
            | Errno::EINVAL
            | Errno::ENOTTY
            | Errno::ENOSYS
            | Errno::EPERM,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Calls [`reflink`] until it is not possible once, so that a filesystem without it is not asked
/// again for each file.
#[derive(Debug, Default)]
pub struct Reflinker {
    is_impossible: AtomicBool,
}

impl Reflinker {
    pub fn reflink(&self, from: &File, to: &File) -> io::Result<bool> {
        if self.is_impossible.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let cloned = reflink(from, to)?;
        if !cloned {
            self.is_impossible.store(true, Ordering::Relaxed);
        }
        Ok(cloned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_its_mode_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_new(&path, 0o666, b"").unwrap();
        assert_eq!(stat(&path).unwrap().unwrap().mode, 0o666);
    }
}
