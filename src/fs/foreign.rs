//! Size and removal of directories that do not belong to the store.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// The total size of the files below a directory, in bytes. Does not follow symlinks.
pub fn size(dir: &Path) -> Result<u64> {
    fs_extra::dir::get_size(dir).map_err(|error| failed("inspect", dir, error))
}

/// Removes a directory with everything below it. Does not follow symlinks.
pub fn remove(dir: &Path) -> Result<()> {
    fs_extra::dir::remove(dir).map_err(|error| failed("remove", dir, error))
}

fn failed(action: &'static str, dir: &Path, error: fs_extra::error::Error) -> Error {
    let source = match error.kind {
        fs_extra::error::ErrorKind::Io(source) => source,
        fs_extra::error::ErrorKind::NotFound => io::ErrorKind::NotFound.into(),
        fs_extra::error::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied.into(),
        _ => io::Error::other(error.to_string()),
    };
    Error::Io {
        action,
        path: dir.to_owned(),
        source,
    }
}
