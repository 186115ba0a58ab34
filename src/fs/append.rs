//! Files that several processes append to.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{BaseDir, FileLock, LockMode, files, stat_of};
use crate::error::{IoContext, Result};

/// A file that is open for appending and locked against other appends and renames.
#[derive(Debug)]
pub struct AppendFile<'d> {
    dir: &'d BaseDir,
    file: File,
    path: PathBuf,
    _lock: FileLock,
}

impl<'d> AppendFile<'d> {
    /// Opens the file `path` in `dir`, or creates it with `mode`. None if another process holds its
    /// lock or just renamed it. Symlinks are refused.
    pub fn open(dir: &'d BaseDir, path: PathBuf, mode: u32) -> Result<Option<Self>> {
        let Some(file) = dir.open_append(&path, mode)? else {
            return Ok(None);
        };
        let stat = stat_of(&file).context("inspect", || &path)?;
        let locked = file.try_clone().context("open", || &path)?;
        let Some(lock) =
            FileLock::try_acquire(locked, LockMode::Exclusive).context("lock", || &path)?
        else {
            return Ok(None);
        };
        // The previous holder of the lock may have renamed the file.
        let named = dir.stat(&path)?;
        if named.is_none_or(|named| (named.device, named.inode) != (stat.device, stat.inode)) {
            return Ok(None);
        }
        Ok(Some(Self {
            dir,
            file,
            path,
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

    pub fn rename(&self, to: &std::path::Path) -> Result<()> {
        self.dir.rename(&self.path, to)
    }
}
