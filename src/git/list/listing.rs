//! The result of a listing, without the directories that it came from.

use std::io;
use std::path::PathBuf;

use crate::error::Error;
use crate::fs::Stat;
use crate::git::blob::BlobId;

/// The files of a checkout.
#[derive(Debug, Default)]
pub struct Listing {
    /// Regular files and symlinks, in the order of [`std::path::Path`].
    pub files: Vec<ListedFile>,
    /// What could not be read, with paths relative to the root: directories, and files without
    /// metadata. Files can be missing from the list.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Repositories of which nothing is known: all files in them count, and none has a blob.
    pub unusable: Vec<Error>,
}

/// A regular file or a symlink.
#[derive(Debug)]
pub struct ListedFile {
    /// Relative to the root of the listing.
    pub path: PathBuf,
    pub stat: Stat,
    pub tracked: bool,
    /// Whether it is tracked, and is not as git wrote or last read it.
    pub modified: bool,
    /// The blob of a tracked file that is clean. For a symlink, the blob of its target's name.
    pub blob: Option<BlobId>,
}
