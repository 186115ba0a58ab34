//! The only calls of this module that touch the disk.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// The kind of a path itself, or nothing when there is no such path.
pub(crate) fn kind(path: &Path) -> io::Result<Option<FileType>> {
    absent_is_none(fs::symlink_metadata(path).map(|metadata| metadata.file_type()))
}

/// The kind of what a symlink leads to, or nothing when it leads nowhere.
pub(crate) fn target_kind(path: &Path) -> io::Result<Option<FileType>> {
    absent_is_none(fs::metadata(path).map(|metadata| metadata.file_type()))
}

/// The path with all its symlinks resolved.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The children of a directory with their own kinds, sorted bytewise by name.
pub(crate) fn children(directory: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        children.push((entry.file_name(), entry.file_type()?));
    }
    children.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(children)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
