//! Lists the files of a checkout that count as sources: those that git tracks, and those that it
//! neither tracks nor ignores.
//!
//! Without a repository, and if nothing can be known from it (a damaged or sparse index), all files
//! count. A file that counts needlessly costs time; one that is missing would hide a change. For
//! the same reason the user's own list of ignored files is not read.
//!
//! # Which blobs are known
//!
//! A file has a blob only if its metadata is that of the index and older than the index, and no
//! `.gitattributes` file gives it a filter. Its bytes can still differ from those of the blob in
//! line ends, so only blob *and length* together say that two files are the same.

mod listing;
mod scope;
mod walk;

use std::path::Path;

pub use listing::{ListedFile, Listing};

use crate::error::{IoContext, Result};
use crate::fs::{Dir, Namespace};

/// Lists the files below a directory of a checkout, or of any other directory.
///
/// `root` can be opened by this process; `names` resolves absolute paths in the files of git.
/// Directories for whose path, which begins with `root`, `skipped` is true are not read, nor are
/// those with the name `.git`. Nested repositories are listed with their own index.
///
/// Errors: the root cannot be read.
pub fn list_files(
    names: &dyn Namespace,
    root: &Path,
    skipped: &(dyn Fn(&Path) -> bool + Sync),
) -> Result<Listing> {
    let dir = Dir::open(root).context("open", || root)?;
    let mut unusable = Vec::new();
    let scope = scope::DirScope::of_root(names, root).unwrap_or_else(|error| {
        unusable.push(error);
        scope::DirScope::unknown()
    });
    let mut listing = walk::Lister::new(names, root, skipped).walk(dir, scope);
    listing.unusable.append(&mut unusable);
    Ok(listing)
}
