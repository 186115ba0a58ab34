//! Opening, reading and listing what is in the directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use super::base::BaseDir;
use crate::error::{IoContext, Result};
use crate::fs::files::read_open;
use crate::fs::{Dir, FileKind, Stat, WrongFile, stat_of};

impl BaseDir {
    /// Opens a directory. None if it does not exist.
    pub(crate) fn open_dir(&self, path: &Path) -> Result<Option<Self>> {
        match self.at(path, |parent, name| parent.open_dir(name)) {
            Ok(dir) => {
                let mut dir = Self::new(dir, path.to_owned());
                dir.owner = self.owner;
                Ok(Some(dir))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("open", || path),
        }
    }

    /// Opens a file for reading.
    ///
    /// Errors: [`WrongFile`] inside the error if it is not a regular file.
    pub(crate) fn open_file(&self, path: &Path) -> Result<File> {
        self.at(path, open_regular).context("open", || path)
    }

    /// Reads a file.
    ///
    /// Errors: [`WrongFile`] inside the error if it is not a regular file or has more than `limit`
    /// bytes.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let read = self.at(path, |parent, name| {
            // `read_open` demands a regular file.
            read_open(&parent.open_file(name).map_err(not_a_file)?, limit)
        });
        read.map(|(bytes, _)| bytes).context("read", || path)
    }

    /// The names in a directory, sorted. Empty if it does not exist.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        self.list_as(path, |name| Some(OsStr::from_bytes(name).to_owned()))
    }

    /// What the names in a directory stand for, sorted, without those for which `parse` returns
    /// none. Empty if the directory does not exist.
    pub(crate) fn list_as<T: Ord>(
        &self,
        path: &Path,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut parsed = Vec::new();
        let add = |name: &[u8], _| parsed.extend(parse(name));
        let listed = if path == self.path {
            self.dir.for_each(add)
        } else {
            self.at(path, |parent, name| parent.open_dir(name)?.for_each(add))
        };
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.context("read", || path)?,
        }
        parsed.sort_unstable();
        Ok(parsed)
    }

    /// The metadata of a name. None if it does not exist.
    pub(crate) fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.at(path, Dir::stat_at) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("inspect", || path),
        }
    }

    /// The metadata of a name in the directory itself. None if it does not exist.
    pub(crate) fn stat_name(&self, name: &str) -> Result<Option<Stat>> {
        match self.dir.stat_at(name.as_bytes()) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("inspect", || self.path.join(name)),
        }
    }

    /// The disk usage of the files in a directory, without its subdirectories, in bytes. Zero if it
    /// does not exist.
    pub(crate) fn allocated_in_dir(&self, path: &Path) -> Result<u64> {
        let usage = self.at(path, |parent, name| {
            let dir = parent.open_dir(name)?;
            // Another process may remove a file meanwhile.
            let usage = |name: &[u8]| dir.stat_at(name).map_or(0, |stat| stat.allocated);
            Ok(dir.list()?.iter().map(|entry| usage(&entry.name)).sum())
        });
        match usage {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.context("read", || path),
        }
    }
}

fn open_regular(parent: &Dir, name: &[u8]) -> io::Result<File> {
    regular(parent.open_file(name).map_err(not_a_file)?, u64::MAX)
}

/// Demands a regular file with at most `links` names.
pub(super) fn regular(file: File, links: u64) -> io::Result<File> {
    let stat = stat_of(&file)?;
    if stat.kind == FileKind::File && stat.links <= links {
        Ok(file)
    } else {
        Err(WrongFile::NotAFile.into())
    }
}

/// What open(2) returns for a symlink, a socket, and a device without a driver.
pub(super) fn not_a_file(error: io::Error) -> io::Error {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => WrongFile::NotAFile.into(),
        _ => error,
    }
}
