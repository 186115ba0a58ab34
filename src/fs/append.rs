//! Files that several processes append to.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::{FileLock, LockMode, files, set_mode, stat_of};
use crate::error::{Error, IoContext, Result};

/// A file that is open for appending and locked against other appends and renames.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    _lock: FileLock,
}

impl AppendFile {
    /// Opens a file, or creates it with `mode`. None if another process holds its lock or just
    /// renamed it. Symlinks are refused.
    pub fn open(path: &Path, mode: u32) -> Result<Option<Self>> {
        let Some(file) = open_or_create(path, mode)? else {
            return Ok(None);
        };
        let stat = stat_of(&file).context("inspect", || path)?;
        if stat.kind != super::FileKind::File {
            return Err(Error::invalid(format!(
                "{} is not a file; move it away",
                path.display()
            )));
        }
        let locked = file.try_clone().context("open", || path)?;
        let Some(lock) =
            FileLock::try_acquire(locked, LockMode::Exclusive).context("lock", || path)?
        else {
            return Ok(None);
        };
        // The previous holder of the lock may have renamed the file.
        let named = files::stat(path)?;
        if named.is_none_or(|named| (named.device, named.inode) != (stat.device, stat.inode)) {
            return Ok(None);
        }
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            _lock: lock,
        }))
    }

    pub fn length(&self) -> Result<u64> {
        files::length(&self.file, &self.path)
    }

    /// The last byte. None for an empty file.
    pub(crate) fn last_byte(&self) -> Result<Option<u8>> {
        let Some(at) = self.length()?.checked_sub(1) else {
            return Ok(None);
        };
        let mut byte = [0];
        self.file
            .read_exact_at(&mut byte, at)
            .context("read", || &self.path)?;
        Ok(Some(byte[0]))
    }

    /// Appends bytes with one `write`.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).context("write", || &self.path)
    }

    pub fn rename(&self, to: &Path) -> Result<()> {
        files::rename(&self.path, to)
    }
}

/// None if another process renamed the file just now.
fn open_or_create(path: &Path, mode: u32) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .mode(mode);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            set_mode(&file, mode).context("set the mode of", || path)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            match options.open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                other => other.map(Some).context("open", || path),
            }
        }
        Err(error) => Err(error).context("create", || path),
    }
}
