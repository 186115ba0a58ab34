//! The only calls of this module that touch the disk.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::FileKind;

/// The kind of a path. Symlinks are not followed. `None` if the path does not exist.
pub(crate) fn kind(path: &Path) -> io::Result<Option<FileKind>> {
    absent_is_none(fs::symlink_metadata(path).map(|metadata| metadata.file_type().into()))
}

/// The kind of a symlink's target. `None` if the symlink is broken.
pub(crate) fn target_kind(path: &Path) -> io::Result<Option<FileKind>> {
    absent_is_none(fs::metadata(path).map(|metadata| metadata.file_type().into()))
}

pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The entries of a directory, sorted bytewise by name. Symlinks are not followed.
pub(crate) fn children(directory: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        children.push((entry.file_name(), entry.file_type()?.into()));
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
