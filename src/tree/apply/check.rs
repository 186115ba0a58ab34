//! Reads files whose contents may be right. If they are, the file is kept, with its inode.

use std::fs::File;
use std::io;

use super::applier::Applier;
use super::copy::PIECE;
use super::metadata::set_metadata;
use super::writer::FileWriter;
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::fs::{Extent, Stat, files, stat_of, xattrs};
use crate::tree::model::{FileData, LeafId, LeafKind};
use crate::tree::reader::DataRuns;
use crate::tree::stamp::InodeState;

impl FileWriter<'_, '_> {
    /// Whether an existing file has the contents and holes of the manifest. If so, it also gets the
    /// mode, time and attributes of the manifest.
    pub(super) fn is_up_to_date(&mut self, leaf: LeafId) -> Result<bool> {
        let applier = self.applier;
        let LeafKind::File(data) = &applier.tree[leaf].kind else {
            return Ok(false);
        };
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        // A file that can't be read is replaced.
        let Ok(file) = dir.open_file(name) else {
            return Ok(false);
        };
        let path = || applier.leaf_path(leaf);
        let before = stat_of(&file).context("inspect", path)?;
        let Ok(true) = has_contents(&file, &before, data, &mut self.buffer) else {
            return Ok(false);
        };
        let after = stat_of(&file).context("inspect", path)?;
        // It may have been changed behind the position that was being read.
        Ok(after.same_state(&before) && correct_metadata(applier, leaf, &file, &after)?)
    }
}

/// Sets the metadata of an open file with the right contents if it differs. False if only another
/// user may set it.
fn correct_metadata(applier: &Applier<'_>, leaf: LeafId, file: &File, stat: &Stat) -> Result<bool> {
    let path = || applier.leaf_path(leaf);
    let wanted = &applier.tree[leaf];
    let attributes = xattrs::read_open(file).context("read the attributes of", path)?;
    if (stat.mode, stat.mtime) == (wanted.mode, wanted.mtime) && *attributes == *wanted.attributes {
        applier.keep_state(leaf, InodeState::before(applier.started, stat));
        return Ok(true);
    }
    match set_metadata(applier, leaf, file, true) {
        // It belongs to another user. The file that replaces it won't.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        result => result.context("set the mode and time of", path)?,
    }
    applier.counts.metadata_set.add(1);
    Ok(true)
}

/// Whether a file has these contents and holes.
fn has_contents(
    file: &File,
    stat: &Stat,
    wanted: &FileData,
    buffer: &mut Vec<u8>,
) -> io::Result<bool> {
    // Size and holes first: comparing them reads no data.
    let DataRuns { data, extents } = DataRuns::of(file, stat)?;
    if stat.size != wanted.size || *extents != *wanted.extents {
        return Ok(false);
    }
    // Without a digest the file is empty or one hole.
    let Some(content) = wanted.content else {
        return Ok(data.is_empty());
    };
    if data.is_empty() {
        return Ok(false);
    }
    buffer.resize(PIECE, 0);
    Ok(digest_of(file, &data, buffer)? == Some(content.digest))
}

/// The digest of a file's data; none if the file became shorter.
fn digest_of(file: &File, data: &[Extent], buffer: &mut [u8]) -> io::Result<Option<Digest>> {
    let mut hasher = blake3::Hasher::new();
    for Extent { offset, length } in data.iter().copied() {
        let mut done = 0;
        while done < length {
            let piece_length = usize::try_from(length - done).unwrap_or(usize::MAX);
            let piece_length = piece_length.min(buffer.len());
            let piece = &mut buffer[..piece_length];
            if !files::read_exact_at(file, piece, offset + done)? {
                return Ok(None);
            }
            hasher.update(piece);
            done += piece_length as u64;
        }
    }
    Ok(Some(hasher.finalize().into()))
}
