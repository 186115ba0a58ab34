//! Copies one large file from the store.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::applier::Applier;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Extent, files, stat_of};
use crate::tree::model::{FileData, LeafId};

/// Larger files are copied in pieces of this many bytes. That bounds the memory, and a piece stays
/// in the processor's cache between reading, hashing and writing.
pub(super) const PIECE: usize = 256 << 10;

/// The copy of one file, in progress.
pub(super) struct LeafCopy<'c, 'a> {
    pub(super) applier: &'c Applier<'a>,
    pub(super) leaf: LeafId,
    /// A file of the store.
    pub(super) source: &'c File,
    pub(super) source_path: &'c Path,
    /// Where to read next in the source, in bytes.
    pub(super) position: u64,
    /// The length of the file's data in the source, in bytes.
    pub(super) length: u64,
    pub(super) buffer: &'c mut [u8],
    /// None if the contents are not verified.
    pub(super) hasher: Option<blake3::Hasher>,
}

impl LeafCopy<'_, '_> {
    /// Copies the data of a file, and compares its digest.
    pub(super) fn run(mut self, to: &File, data: &FileData, digest: &Digest) -> Result<()> {
        if !self.reflink(to, data)? {
            self.copy(to, data)?;
        }
        match self.hasher {
            Some(hasher) if Digest::from(hasher.finalize()) != *digest => {
                Err(altered(self.source_path, digest))
            }
            _ => Ok(()),
        }
    }

    /// Shares the blocks of the source, if the data is all of it. False where that is not possible.
    fn reflink(&mut self, to: &File, data: &FileData) -> Result<bool> {
        let length = self.length;
        let applier = self.applier;
        let path = || applier.leaf_path(self.leaf);
        let is_whole_source = self.position == 0
            && data.extents.is_empty()
            && stat_of(self.source).context("write", path)?.size == length;
        if !is_whole_source
            || !applier
                .reflinker
                .reflink(self.source, to)
                .context("write", path)?
        {
            return Ok(false);
        }
        if self.hasher.is_some() {
            // The blocks are shared, so what is read from the source is what the new file has.
            let mut done = 0;
            while done < length {
                done += self.next_piece(length - done)? as u64;
            }
        }
        Ok(true)
    }

    fn copy(&mut self, to: &File, data: &FileData) -> Result<()> {
        let applier = self.applier;
        let leaf = self.leaf;
        let path = || applier.leaf_path(leaf);
        let whole = [Extent {
            offset: 0,
            length: self.length,
        }];
        let is_sparse = !data.extents.is_empty();
        for extent in if is_sparse { &*data.extents } else { &whole } {
            let mut done = 0;
            while done < extent.length {
                applier.check_interrupted()?;
                let length = self.next_piece(extent.length - done)?;
                to.write_all_at(&self.buffer[..length], extent.offset + done)
                    .context("write", path)?;
                done += length as u64;
            }
        }
        if is_sparse {
            // The file may end with a hole.
            to.set_len(data.size).context("write", path)?;
        }
        Ok(())
    }

    /// Reads and hashes the next piece, of at most `limit` bytes; returns its length.
    fn next_piece(&mut self, limit: u64) -> Result<usize> {
        let length = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        let piece = &mut self.buffer[..length];
        let is_whole = files::read_exact_at(self.source, piece, self.position)
            .context("read", || self.source_path)?;
        if !is_whole {
            return Err(too_short(self.source_path));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        self.position += length as u64;
        Ok(length)
    }
}

pub(super) fn too_short(path: &Path) -> Error {
    Error::damaged(path, "it is too short")
}

pub(super) fn altered(path: &Path, digest: &Digest) -> Error {
    Error::damaged(path, format!("the contents {digest} have another digest"))
}
