//! Tests what a directory supports, with temporary files that are removed afterwards.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::{FileLock, LockMode, Timestamp, reflink, stat_of};
use crate::error::{IoContext, Result};

fn file_in(dir: &Path) -> Result<NamedTempFile> {
    let made = tempfile::Builder::new()
        .prefix(".local-cache-probe-")
        .tempfile_in(dir);
    made.context("create a file in", || dir)
}

/// Fails if no file can be created and written in a directory.
pub(crate) fn check_writable(dir: &Path) -> Result<()> {
    file_in(dir)?
        .write_all(b"probe")
        .context("write in", || dir)
}

/// Whether files in a directory can share blocks (reflink).
pub(crate) fn can_reflink(dir: &Path) -> Result<bool> {
    let (mut from, to) = (file_in(dir)?, file_in(dir)?);
    from.write_all(&[1; 4096]).context("write in", || dir)?;
    reflink(from.as_file(), to.as_file()).context("clone in", || dir)
}

/// Whether an exclusive lock on a file in a directory excludes another one.
pub(crate) fn can_lock(dir: &Path) -> Result<bool> {
    let file = file_in(dir)?;
    let again = || File::open(file.path()).context("open in", || dir);
    let first = FileLock::try_acquire(again()?, LockMode::Exclusive).context("lock in", || dir)?;
    let second = FileLock::try_acquire(again()?, LockMode::Exclusive).context("lock in", || dir)?;
    Ok(first.is_some() && second.is_none())
}

/// Whether a file can be renamed from one directory into another.
pub(crate) fn can_rename(from: &Path, to: &Path) -> Result<bool> {
    let (file, target) = (file_in(from)?, file_in(to)?);
    match std::fs::rename(file.path(), target.path()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(false),
        Err(error) => Err(error).context("rename to", || to),
    }
}

/// The mtime that the filesystem gives a file that is written now.
pub(crate) fn file_clock(dir: &Path) -> Result<Timestamp> {
    let mut file = file_in(dir)?;
    file.write_all(b"probe").context("write in", || dir)?;
    stat_of(file.as_file())
        .map(|stat| stat.mtime)
        .context("inspect a file in", || dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_of_a_temporary_directory_succeed_and_leave_no_files() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        check_writable(dir.path()).unwrap();
        can_reflink(dir.path()).unwrap();
        assert!(can_lock(dir.path()).unwrap() && can_rename(dir.path(), other.path()).unwrap());
        assert!((file_clock(dir.path()).unwrap().seconds - Timestamp::now().seconds).abs() <= 2);
        for dir in [dir, other] {
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        assert!(check_writable(Path::new("/nonexistent")).is_err());
    }
}
