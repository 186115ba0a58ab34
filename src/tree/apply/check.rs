//! Reading files that may be right already: then they stay, down to their inode.

use std::fs::File;
use std::io;

use super::files::{FileWriter, PIECE, describe};
use super::{add, at};
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::xattrs;
use crate::fs::{Extent, files as whole, stat_of};
use crate::tree::{FileData, LeafId, LeafKind, Runs};

impl FileWriter<'_, '_> {
    /// Whether a file that is there has the contents it should, and its holes where it should; then
    /// it also gets its mode, time and attributes.
    pub(super) fn check(&mut self, leaf: LeafId) -> Result<bool> {
        let job = self.job;
        let wanted = &job.tree[leaf];
        let LeafKind::File(data) = &wanted.kind else {
            return Ok(false);
        };
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        // What can't be read is replaced.
        let Ok(file) = dir.open_file(name) else {
            return Ok(false);
        };
        let Ok(true) = holds(&file, data, &mut self.buffer) else {
            return Ok(false);
        };
        let present = at(stat_of(&file), "look at", job, leaf)?;
        let attributes = at(
            xattrs::read_open(&file),
            "read the attributes of",
            job,
            leaf,
        )?;
        if present.mode == wanted.mode
            && present.mtime == wanted.mtime
            && attributes == wanted.attributes
        {
            return Ok(true);
        }
        match describe(job, leaf, &file, true) {
            // It is another user's. What takes its place is not.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
            other => at(other, "set the mode and time of", job, leaf)?,
        }
        add(&job.counts.metadata_set, 1);
        Ok(true)
    }
}

/// Whether a file has these contents and holes.
fn holds(file: &File, wanted: &FileData, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let stat = stat_of(file)?;
    let Runs { data, extents } = Runs::of(file, &stat)?;
    if stat.size != wanted.size || extents != wanted.extents {
        return Ok(false);
    }
    buffer.resize(PIECE, 0);
    let mut hasher = blake3::Hasher::new();
    for Extent { offset, length } in data.iter().copied() {
        let mut done = 0;
        while done < length {
            let piece = usize::try_from(length - done)
                .unwrap_or(usize::MAX)
                .min(PIECE);
            let Some(piece) = buffer.get_mut(..piece) else {
                return Ok(false);
            };
            if !whole::read_exact_at(file, piece, offset + done)? {
                return Ok(false);
            }
            hasher.update(piece);
            done += piece.len() as u64;
        }
    }
    match wanted.content {
        Some(content) => Ok(!data.is_empty() && Digest::from(hasher.finalize()) == content.digest),
        None => Ok(data.is_empty()),
    }
}
