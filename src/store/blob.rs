//! Blobs: contents of large files, each in a file that is named by its digest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::fs::{Extent, FileKind, Reflinker, files, stat_of};

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

/// Copies the data of a file, without its holes, into a new file.
///
/// If the filesystem can share blocks, the file is cloned before it is read. Then the copy is one
/// state of the file, even if another process writes to it.
pub(super) fn copy_data(
    source: &BlobSource<'_>,
    to_path: &Path,
    mode: u32,
    reflinker: &Reflinker,
) -> Result<CopiedBlob> {
    let to = files::create_new(to_path, mode)?;
    let size = files::length(source.file, source.path)?;
    let whole = [Extent {
        offset: 0,
        length: size,
    }];
    // A blob has no holes. Of a file with holes, a clone would have them too.
    let is_clone = source.extents == whole
        && reflinker
            .reflink(source.file, &to)
            .context("write", || to_path)?;
    if is_clone {
        // The file may have grown since `extents` were read.
        to.set_len(size).context("write", || to_path)?;
        hash_extents(&to, to_path, source.extents, |_, _| Ok(()))
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
    pub(super) fn has_blob(&self, digest: &Digest, length: u64) -> Result<bool> {
        let path = self.layout.blob(digest);
        let stat = match files::open(&path).map_err(|error| self.as_damage(error)) {
            Ok(file) => stat_of(&file).context("inspect", || &path)?,
            Err(error) if error.is_damage() => return Ok(false),
            Err(error) => return Err(error),
        };
        // The digest is not checked: that would read the whole file. `verify` does it.
        Ok(stat.kind == FileKind::File && stat.size == length)
    }

    /// Renames an unfinished file to its name in the store. False if the store has this blob
    /// already.
    pub(super) fn publish_blob(&self, unfinished: &Path, copied: &CopiedBlob) -> Result<bool> {
        let path = self.layout.blob(&copied.digest);
        files::create_dir(
            &self.layout.blob_shelf(&copied.digest),
            self.modes.directory,
        )?;
        if files::rename_noreplace(unfinished, &path)? {
            return Ok(true);
        }
        // Another save may have published it, even while this one copied.
        if self.has_blob(&copied.digest, copied.length)? {
            files::remove(unfinished)?;
            return Ok(false);
        }
        // The existing file is damaged.
        files::rename(unfinished, &path).map(|()| true)
    }
}
