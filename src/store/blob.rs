//! Blobs: contents of large files, each in a file of its own that is named by its digest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::fs::{Extent, FileKind, Reflinker, files, stat_of};

/// How much is read and hashed at a time, so that it stays in the processor's cache.
const PIECE: usize = 256 << 10;

/// Bytes copied into a new file, and the digest of what was copied.
#[derive(Debug)]
pub struct CopiedBlob {
    /// Names the bytes.
    pub digest: Digest,
    /// How many.
    pub length: u64,
}

/// Copies the data of a file, without its holes, into a new file.
///
/// Where the filesystem shares blocks, the copy is taken first and then read, so that it is one
/// state of the file.
pub fn copy_data(
    from: &File,
    from_path: &Path,
    extents: &[Extent],
    to_path: &Path,
    mode: u32,
    reflinker: &Reflinker,
) -> Result<CopiedBlob> {
    let to = files::create_new(to_path, mode)?;
    let size = files::length(from, from_path)?;
    let is_whole = extents
        == [Extent {
            offset: 0,
            length: size,
        }];
    let is_clone = is_whole && reflinker.reflink(from, &to).context("write", || to_path)?;
    if is_clone {
        // The file may have grown since it was looked at.
        to.set_len(size).context("write", || to_path)?;
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE];
    let mut length = 0;
    for extent in extents {
        let mut at = extent.offset;
        let end = extent.offset + extent.length;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE);
            let (source, path) = if is_clone {
                (&to, to_path)
            } else {
                (from, from_path)
            };
            let read = source
                .read_at(&mut buffer[..piece], at)
                .context("read", || path)?;
            if read == 0 {
                // The file became shorter; whoever asked for the copy finds that its state changed.
                return Ok(CopiedBlob {
                    digest: hasher.finalize().into(),
                    length,
                });
            }
            hasher.update(&buffer[..read]);
            if !is_clone {
                to.write_all_at(&buffer[..read], length)
                    .context("write", || to_path)?;
            }
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
    /// Whether the store has a blob that can be read and has the right length.
    pub fn has_blob(&self, digest: &Digest, length: u64) -> Result<bool> {
        let path = self.layout.blob(digest);
        let found = match files::open(&path).map_err(|error| self.as_damage(error)) {
            Ok(file) => stat_of(&file).context("look at", || &path)?,
            Err(error) if error.is_damage() => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(found.kind == FileKind::File && found.size == length)
    }

    /// Gives a finished file its name in the store. False when the store has the same bytes
    /// already.
    pub fn publish_blob(&self, unfinished: &Path, copied: &CopiedBlob) -> Result<bool> {
        let path = self.layout.blob(&copied.digest);
        files::create_dir(
            &self.layout.blob_shelf(&copied.digest),
            self.modes.directory,
        )?;
        if files::rename_noreplace(unfinished, &path)? {
            return Ok(true);
        }
        if self.has_blob(&copied.digest, copied.length)? {
            files::remove(unfinished)?;
            return Ok(false);
        }
        // What has the name can't be what it should be.
        files::rename(unfinished, &path).map(|()| true)
    }
}
