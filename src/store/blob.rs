//! Blobs: contents of large files, each in a file that is named by its digest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::fs::{Extent, FileKind, Reflinker, files};

/// How much is read and hashed at a time. It fits into the processor's cache.
const CHUNK: usize = 256 << 10;

/// An open file that is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobSource<'f> {
    pub(crate) file: &'f File,
    pub(crate) path: &'f Path,
    /// Its data, without the holes.
    pub(crate) extents: &'f [Extent],
}

/// The digest and the length of the data that was copied.
#[derive(Debug)]
pub(crate) struct CopiedBlob {
    pub(crate) digest: Digest,
    pub(crate) length: u64,
}

/// Copies the data of a file, without its holes, into the new file `to`.
///
/// If the filesystem can share blocks, the file is cloned before it is read. Then the copy is one
/// state of the file, even if another process writes to it.
pub(super) fn copy_data(
    source: &BlobSource<'_>,
    (to, to_path): (&File, &Path),
    reflinker: &Reflinker,
) -> Result<CopiedBlob> {
    let size = files::length(source.file, source.path)?;
    let whole = [Extent {
        offset: 0,
        length: size,
    }];
    // A blob has no holes. Of a file with holes, a clone would have them too.
    let is_clone = source.extents == whole
        && reflinker
            .reflink(source.file, to)
            .context("write", || to_path)?;
    if is_clone {
        // The file may have grown since `extents` were read.
        to.set_len(size).context("write", || to_path)?;
        hash_extents(to, to_path, source.extents, |_, _| Ok(()))
    } else {
        hash_extents(source.file, source.path, source.extents, |bytes, at| {
            to.write_all_at(bytes, at).context("write", || to_path)
        })
    }
}

/// Reads and hashes extents. Passes each chunk to `write`, with its offset in the data without
/// holes.
///
/// Stops at the end of a file that has become shorter. The caller compares the file's state before
/// and after, and so finds that it changed.
fn hash_extents(
    file: &File,
    path: &Path,
    extents: &[Extent],
    mut write: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<CopiedBlob> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    'extents: for extent in extents {
        let mut at = extent.offset;
        let end = extent.offset + extent.length;
        while at < end {
            let chunk = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK);
            let read = file
                .read_at(&mut buffer[..chunk], at)
                .context("read", || path)?;
            if read == 0 {
                break 'extents;
            }
            hasher.update(&buffer[..read]);
            write(&buffer[..read], length)?;
            at += read as u64;
            length += read as u64;
        }
    }
    Ok(CopiedBlob {
        digest: hasher.finalize().into(),
        length,
    })
}

impl Store {
    /// Whether the store has a readable blob of this digest and length.
    pub(super) fn has_blob(&self, digest: &Digest, length: u64) -> bool {
        let path = self.layout.blob(digest);
        let found = self.dir.open_file(&path);
        // The digest is not checked: that would read the whole file. `verify` does it. A file that
        // can't be opened now is stored again.
        found.is_ok_and(|file| files::length(&file, &path).is_ok_and(|found| found == length))
    }

    /// Renames an unfinished file to its name in the store. False if the store has this blob
    /// already.
    pub(super) fn publish_blob(&self, unfinished: &Path, copied: &CopiedBlob) -> Result<bool> {
        let path = self.layout.blob(&copied.digest);
        self.create_blob_shelf(&copied.digest)?;
        if self.dir.rename_noreplace(unfinished, &path)? {
            return Ok(true);
        }
        // Another save may have published it, even while this one copied.
        if self.has_blob(&copied.digest, copied.length) {
            self.dir.remove(unfinished)?;
            return Ok(false);
        }
        // The existing file is damaged or unreadable.
        self.dir.rename(unfinished, &path).map(|()| true)
    }

    pub(super) fn create_blob_shelf(&self, digest: &Digest) -> Result<()> {
        let shelf = self.layout.blob_shelf(digest);
        let found = self.dir.stat(&shelf)?;
        if found.is_some_and(|stat| stat.kind != FileKind::Directory) {
            // Garbage collection removes it too.
            self.dir.remove(&shelf)?;
        }
        self.dir.create_dir(&shelf, self.modes.directory)
    }
}
