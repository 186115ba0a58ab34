//! Reading files and putting their contents into the store, in parallel.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::fs::{Extent, Stat};
use crate::store::pack::LARGEST_CONTENT;
use crate::store::save::{ContentWriter, PackSlot};
use crate::tree::scan::Scan;
use crate::tree::{DataRuns, LeafId, RareList, ReadOutcome, Roots, TreeReader};

/// Bytes of small files that are read and put into a pack at once.
const CHUNK: u64 = 2 << 20;

/// A file whose contents are in the store.
pub(super) struct StoredFile {
    pub(super) leaf: LeafId,
    /// The state in which it was read, if that is not the one in which it was scanned.
    pub(super) state: Option<Box<Stat>>,
    pub(super) size: u64,
    pub(super) extents: RareList<Extent>,
    pub(super) content: StoredContent,
}

/// Where the store keeps the data of a file.
#[derive(Clone, Copy)]
pub(super) enum StoredContent {
    /// The file has no data.
    Empty,
    Blob(Digest),
    Packed(Digest, PackSlot),
}

pub(super) enum StoreTask {
    Large(LeafId),
    Small(Vec<LeafId>),
}

/// Large files first, so that no worker is left with one at the end. Small files keep their order:
/// what lies together in the tree lies together in a pack.
pub(super) fn tasks(scan: &Scan, leaves: &[LeafId]) -> Vec<StoreTask> {
    let size = |leaf: &LeafId| scan.stats[leaf.index()].size;
    let (mut large, small): (Vec<LeafId>, Vec<LeafId>) = leaves
        .iter()
        .copied()
        .partition(|leaf| size(leaf) > LARGEST_CONTENT);
    large.sort_by_key(|leaf| std::cmp::Reverse(size(leaf)));
    let mut tasks: Vec<StoreTask> = large.into_iter().map(StoreTask::Large).collect();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for leaf in small {
        bytes += size(&leaf);
        chunk.push(leaf);
        if bytes >= CHUNK {
            tasks.push(StoreTask::Small(std::mem::take(&mut chunk)));
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        tasks.push(StoreTask::Small(chunk));
    }
    tasks
}

/// Stores files for one thread.
pub(super) struct StoreWorker<'a> {
    reader: TreeReader<'a>,
    scan: &'a Scan,
    roots: &'a Roots,
    writer: &'a ContentWriter<'a>,
    buffer: Vec<u8>,
}

impl<'a> StoreWorker<'a> {
    pub(super) fn new(scan: &'a Scan, roots: &'a Roots, writer: &'a ContentWriter<'a>) -> Self {
        Self {
            reader: TreeReader::new(&scan.tree, roots),
            scan,
            roots,
            writer,
            buffer: Vec::new(),
        }
    }

    pub(super) fn run(
        &mut self,
        task: &StoreTask,
    ) -> Result<Vec<(LeafId, ReadOutcome<StoredFile>)>> {
        match task {
            StoreTask::Large(leaf) => Ok(vec![(*leaf, self.store_large(*leaf)?)]),
            StoreTask::Small(leaves) => self.store_small(leaves),
        }
    }

    fn store_large(&mut self, leaf: LeafId) -> Result<ReadOutcome<StoredFile>> {
        let path = self.roots.leaf_path(&self.scan.tree, leaf);
        let writer = self.writer;
        self.reader.read(leaf, |file, stat| {
            let DataRuns { data, extents } = DataRuns::of(file, stat).context("read", || &path)?;
            let content = if data.is_empty() {
                StoredContent::Empty
            } else {
                StoredContent::Blob(writer.put_blob(file, &path, &data)?)
            };
            Ok(StoredFile {
                leaf,
                state: None,
                size: stat.size,
                extents: extents.into(),
                content,
            })
        })
    }

    /// Reads small files one after another into the buffer and stores them together.
    fn store_small(&mut self, leaves: &[LeafId]) -> Result<Vec<(LeafId, ReadOutcome<StoredFile>)>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut files = Vec::with_capacity(leaves.len());
        let mut ranges = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let start = buffer.len();
            let file = self.read_small(*leaf, &mut buffer, start)?;
            let is_buffered = matches!(
                &file,
                ReadOutcome::Done(_, stored) if matches!(stored.content, StoredContent::Empty)
            );
            if is_buffered && buffer.len() > start {
                ranges.push((files.len(), start..buffer.len()));
            } else {
                buffer.truncate(start);
            }
            files.push((*leaf, file));
        }
        let data: Vec<(Digest, &[u8])> = ranges
            .iter()
            .map(|(_, range)| (Digest::of(&buffer[range.clone()]), &buffer[range.clone()]))
            .collect();
        if !data.is_empty() {
            let slots = self.writer.put_in_pack(&data)?;
            for (((index, _), (digest, _)), slot) in ranges.iter().zip(&data).zip(slots) {
                if let (_, ReadOutcome::Done(_, stored)) = &mut files[*index] {
                    stored.content = StoredContent::Packed(*digest, slot);
                }
            }
        }
        self.buffer = buffer;
        Ok(files)
    }

    /// Reads a file to the end of the buffer, which is cut to `start` before each attempt. A file
    /// that grew large is stored at once instead.
    fn read_small(
        &mut self,
        leaf: LeafId,
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Result<ReadOutcome<StoredFile>> {
        let path = || self.roots.leaf_path(&self.scan.tree, leaf);
        let writer = self.writer;
        self.reader.read(leaf, |file, stat| {
            let DataRuns { data, extents } = DataRuns::of(file, stat).context("read", path)?;
            buffer.truncate(start);
            let content = if stat.size > LARGEST_CONTENT && !data.is_empty() {
                StoredContent::Blob(writer.put_blob(file, &path(), &data)?)
            } else {
                for extent in &data {
                    read_extent(file, *extent, buffer).context("read", path)?;
                }
                StoredContent::Empty
            };
            Ok(StoredFile {
                leaf,
                state: None,
                size: stat.size,
                extents: extents.into(),
                content,
            })
        })
    }
}

/// Appends an extent of a file to the buffer.
fn read_extent(file: &File, extent: Extent, buffer: &mut Vec<u8>) -> io::Result<()> {
    let start = buffer.len();
    buffer.resize(
        start + usize::try_from(extent.length).unwrap_or(usize::MAX),
        0,
    );
    let mut done = 0;
    while start + done < buffer.len() {
        match file.read_at(&mut buffer[start + done..], extent.offset + done as u64)? {
            // The file became shorter. The caller notices that its state changed.
            0 => break,
            read => done += read,
        }
    }
    Ok(())
}
