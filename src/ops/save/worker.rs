//! Reading files and putting their contents into the store, in parallel.

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::ops::save::file_contents::StoredFile;
use crate::store::pack::LARGEST_CONTENT;
use crate::store::save::ContentWriter;
use crate::tree::scan::Scan;
use crate::tree::{LeafId, ReadOutcome, Roots, Runs, TreeReader};

/// Bytes of small files that are read and put into a pack at once.
const CHUNK: u64 = 2 << 20;

pub(super) enum StoreTask {
    Large(LeafId),
    Small(Vec<LeafId>),
}

/// Large files first, the largest before the others; then small ones in the order given, so that
/// what lies together in the tree lies together in a pack.
pub(super) fn jobs(scan: &Scan, leaves: &[LeafId]) -> Vec<StoreTask> {
    let size = |leaf: &LeafId| scan.stats[leaf.index()].size;
    let (mut large, small): (Vec<LeafId>, Vec<LeafId>) = leaves
        .iter()
        .copied()
        .partition(|leaf| size(leaf) > LARGEST_CONTENT);
    large.sort_by_key(|leaf| std::cmp::Reverse(size(leaf)));
    let mut jobs: Vec<StoreTask> = large.into_iter().map(StoreTask::Large).collect();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for leaf in small {
        bytes += size(&leaf);
        chunk.push(leaf);
        if bytes >= CHUNK {
            jobs.push(StoreTask::Small(std::mem::take(&mut chunk)));
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        jobs.push(StoreTask::Small(chunk));
    }
    jobs
}

pub(super) struct StoreWorker<'a> {
    pub(super) reader: TreeReader<'a>,
    pub(super) scan: &'a Scan,
    pub(super) places: &'a Roots,
    pub(super) contents: &'a ContentWriter<'a>,
    pub(super) buffer: Vec<u8>,
}

impl StoreWorker<'_> {
    pub(super) fn store_large(&mut self, leaf: LeafId) -> Result<ReadOutcome<StoredFile>> {
        let path = self.places.leaf_path(&self.scan.tree, leaf);
        let contents = self.contents;
        self.reader.read(leaf, |file, stat| {
            let Runs { data, extents } = Runs::of(file, stat).context("read", || &path)?;
            let content = if data.is_empty() {
                None
            } else {
                Some(contents.put_blob(file, &path, &data)?.digest)
            };
            let content = content.map(|digest| (digest, None));
            Ok(StoredFile {
                leaf,
                state: None,
                size: stat.size,
                extents,
                content,
            })
        })
    }

    /// Reads small files one after another into the buffer and puts them into the store together.
    pub(super) fn store_small(
        &mut self,
        leaves: &[LeafId],
    ) -> Result<Vec<(LeafId, ReadOutcome<StoredFile>)>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut results = Vec::with_capacity(leaves.len());
        let mut ranges = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let start = buffer.len();
            let read = self.read_small(*leaf, &mut buffer, start)?;
            match &read {
                ReadOutcome::Done(_, stored)
                    if stored.content.is_none() && buffer.len() > start =>
                {
                    ranges.push((results.len(), start..buffer.len()));
                }
                _ => buffer.truncate(start),
            }
            results.push((*leaf, read));
        }
        let data: Vec<(Digest, &[u8])> = ranges
            .iter()
            .map(|(_, range)| (Digest::of(&buffer[range.clone()]), &buffer[range.clone()]))
            .collect();
        if !data.is_empty() {
            let slots = self.contents.put_in_pack(&data)?;
            for (((result, _), (digest, _)), slot) in ranges.iter().zip(&data).zip(slots) {
                if let (_, ReadOutcome::Done(_, stored)) = &mut results[*result] {
                    stored.content = Some((*digest, Some(slot)));
                }
            }
        }
        self.buffer = buffer;
        Ok(results)
    }

    fn read_small(
        &mut self,
        leaf: LeafId,
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Result<ReadOutcome<StoredFile>> {
        use std::os::unix::fs::FileExt;

        let path = || self.places.leaf_path(&self.scan.tree, leaf);
        let contents = self.contents;
        self.reader.read(leaf, |file, stat| {
            let Runs { data, extents } = Runs::of(file, stat).context("read", path)?;
            buffer.truncate(start);
            if stat.size > LARGEST_CONTENT && !data.is_empty() {
                // It grew since it was looked at.
                let copied = contents.put_blob(file, &path(), &data)?;
                let content = Some((copied.digest, None));
                return Ok(StoredFile {
                    leaf,
                    state: None,
                    size: stat.size,
                    extents,
                    content,
                });
            }
            for extent in &data {
                let at = buffer.len();
                buffer.resize(at + usize::try_from(extent.length).unwrap_or(usize::MAX), 0);
                let mut done = 0;
                while at + done < buffer.len() {
                    let piece = file.read_at(&mut buffer[at + done..], extent.offset + done as u64);
                    match piece.context("read", path)? {
                        // It became shorter; the caller sees that its state changed.
                        0 => break,
                        read => done += read,
                    }
                }
            }
            Ok(StoredFile {
                leaf,
                state: None,
                size: stat.size,
                extents,
                content: None,
            })
        })
    }
}
