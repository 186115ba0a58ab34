//! Writes files from the store, after verifying their contents.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::applier::Applier;
use super::batch::{Batch, BatchItem};
use super::copy::{LeafCopy, PIECE, altered, too_short};
use super::writer::FileWriter;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::files;
use crate::tree::model::{Content, FileData, LeafId, LeafKind};

impl FileWriter<'_, '_> {
    /// Writes the files whose contents are in a batch.
    pub(super) fn write_batch(&mut self, batch: &Batch) -> Result<()> {
        self.applier.check_interrupted()?;
        self.open_source(&batch.path)?;
        match batch.items.as_slice() {
            [item] if item.length > PIECE as u64 => self.copy_large(batch, *item)?,
            _ => {
                // The buffer is taken out of `self` while `self` writes from it.
                let buffer = self.read_batch(batch)?;
                let written = self.write_items(batch, &buffer);
                self.buffer = buffer;
                written?;
            }
        }
        let length = batch.items.iter().map(|item| item.length).sum();
        self.applier.options.monitor.advance(length);
        Ok(())
    }

    fn open_source(&mut self, path: &Arc<Path>) -> Result<()> {
        if self.source.as_ref().is_none_or(|(open, _)| open != path) {
            let file = self.applier.options.source.open(path)?;
            self.source = Some((Arc::clone(path), file));
        }
        Ok(())
    }

    fn source(&self) -> Result<&File> {
        self.source
            .as_ref()
            .map(|(_, file)| file)
            .ok_or_else(|| Error::defect("no file of the store is open"))
    }

    fn read_batch(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(usize::try_from(batch.length).unwrap_or(usize::MAX), 0);
        let is_whole = files::read_exact_at(self.source()?, &mut buffer, batch.offset)
            .context("read", || &*batch.path)?;
        if is_whole {
            Ok(buffer)
        } else {
            Err(too_short(&batch.path))
        }
    }

    fn write_items(&mut self, batch: &Batch, buffer: &[u8]) -> Result<()> {
        batch.items.iter().try_for_each(|item| {
            let start = usize::try_from(item.start).unwrap_or(usize::MAX);
            let length = usize::try_from(item.length).unwrap_or(usize::MAX);
            let bytes = buffer.get(start..).and_then(|rest| rest.get(..length));
            let bytes = bytes.ok_or_else(|| Error::defect("a file lies outside of its batch"))?;
            self.write_item(batch, *item, bytes)
        })
    }

    fn write_item(&mut self, batch: &Batch, item: BatchItem, bytes: &[u8]) -> Result<()> {
        let applier = self.applier;
        let (data, content) = contents_of(applier, item.leaf)?;
        // Before the file is created: damaged contents leave nothing behind.
        if applier.options.verify && Digest::of(bytes) != content.digest {
            return Err(altered(&batch.path, &content.digest));
        }
        self.create_file(item.leaf, |file| {
            write_data(file, data, bytes).context("write", || applier.leaf_path(item.leaf))
        })?;
        applier.counts.bytes.add(item.length);
        Ok(())
    }

    /// Copies the contents of one large file.
    fn copy_large(&mut self, batch: &Batch, item: BatchItem) -> Result<()> {
        let applier = self.applier;
        let (data, content) = contents_of(applier, item.leaf)?;
        // A second descriptor, because `create_file` borrows all of `self`.
        let source = self.source()?.try_clone();
        let source = source.context("open", || &*batch.path)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(PIECE, 0);
        let copy = LeafCopy {
            applier,
            leaf: item.leaf,
            source: &source,
            source_path: &batch.path,
            position: batch.offset + item.start,
            length: item.length,
            buffer: &mut buffer,
            hasher: applier.options.verify.then(blake3::Hasher::new),
        };
        // `run` compares the digest before the file gets its final name.
        let copied = self.create_file(item.leaf, |file| copy.run(file, data, &content.digest));
        self.buffer = buffer;
        copied?;
        applier.counts.bytes.add(item.length);
        Ok(())
    }
}

/// Writes all data of a file that fits into memory.
fn write_data(file: &mut File, data: &FileData, bytes: &[u8]) -> io::Result<()> {
    if data.extents.is_empty() {
        return file.write_all(bytes);
    }
    let mut rest = bytes;
    for extent in data.extents.iter() {
        let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
        let (part, after) = rest
            .split_at_checked(length)
            .ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        file.write_all_at(part, extent.offset)?;
        rest = after;
    }
    // The file may end with a hole.
    file.set_len(data.size)
}

fn contents_of<'a>(applier: &Applier<'a>, leaf: LeafId) -> Result<(&'a FileData, Content)> {
    match &applier.tree[leaf].kind {
        LeafKind::File(
            data @ FileData {
                content: Some(content),
                ..
            },
        ) => Ok((data, *content)),
        _ => Err(Error::defect(format!(
            "{} has no contents",
            applier.leaf_path(leaf).display()
        ))),
    }
}
