//! Finding the contents of files, in an order that is fast to read.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use super::open::Store;
use super::pack::{LARGEST_CONTENT, PackIndex};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::tree::apply::{Batch, BatchItem};
use crate::tree::manifest::Manifest;
use crate::tree::{Content, ContentLocation, FileData, LeafId, LeafKind};

/// The greatest length of a batch of contents from a pack.
const BATCH: u64 = 256 << 10;
/// Up to this many unneeded bytes between two contents are read too, instead of starting a new
/// batch.
const GAP: u64 = 32 << 10;

/// A content in one of the opened packs.
#[derive(Clone, Copy)]
struct PackedContent {
    /// How many packs were opened when this one had been. Not zero, so that an `Option` takes no
    /// more memory: there is one for each file.
    packs: NonZeroU32,
    offset: u64,
}

impl PackedContent {
    /// The number of the pack among those that were opened.
    fn pack(self) -> u32 {
        self.packs.get() - 1
    }
}

/// A file whose content is in a pack.
struct PackedFile {
    leaf: LeafId,
    length: u64,
    pack: u32,
    digest: Digest,
}

impl Store {
    /// The locations of the contents of `leaves`: blobs first, the largest one first, then packed
    /// contents in the order of their offsets.
    pub(super) fn batches(&self, manifest: &Manifest, leaves: &[LeafId]) -> Result<Vec<Batch>> {
        let mut packed = Vec::new();
        let mut batches = Vec::new();
        for leaf in leaves {
            let LeafKind::File(data) = &manifest.tree[*leaf].kind else {
                continue;
            };
            let Some(Content { location, digest }) = &data.content else {
                continue;
            };
            match location {
                ContentLocation::Blob => batches.push(self.whole_blob(*leaf, data, digest)),
                ContentLocation::Pack(pack) => packed.push(PackedFile {
                    leaf: *leaf,
                    length: data.data_len(),
                    pack: *pack,
                    digest: *digest,
                }),
            }
        }
        batches.sort_by_key(|batch| std::cmp::Reverse(batch.length));
        if !packed.is_empty() {
            self.locate_packed(manifest, &packed, &mut batches)?;
        }
        Ok(batches)
    }

    fn whole_blob(&self, leaf: LeafId, data: &FileData, digest: &Digest) -> Batch {
        let length = data.data_len();
        let items = vec![BatchItem {
            leaf,
            start: 0,
            length,
        }];
        Batch {
            path: self.layout.blob(digest).into(),
            offset: 0,
            length,
            items,
        }
    }

    fn locate_packed(
        &self,
        manifest: &Manifest,
        files: &[PackedFile],
        batches: &mut Vec<Batch>,
    ) -> Result<()> {
        let contents = ContentIndex::read(self, manifest, files)?;
        let mut located = Vec::with_capacity(files.len());
        for file in files {
            let found = contents.find(file).ok_or_else(|| {
                let pack = self.layout.pack(&manifest.packs[file.pack as usize]);
                Error::damaged(
                    &pack,
                    format!("it does not hold the contents {}", file.digest),
                )
            })?;
            located.push((found.pack(), found.offset, file.length, file.leaf));
        }
        let packs = contents.into_packs();
        located.sort_unstable();
        batches.extend(join(&located, &packs));
        Ok(())
    }
}

/// The locations of the contents that are looked for.
struct ContentIndex<'s> {
    store: &'s Store,
    packs: Vec<Arc<Path>>,
    /// The packs that were looked for. `.moved` files may name a pack again, even in a circle.
    seen: HashSet<Digest>,
    found: HashMap<Digest, Option<PackedContent>>,
}

impl<'s> ContentIndex<'s> {
    /// Reads the indexes of the packs that `files` need.
    fn read(store: &'s Store, manifest: &Manifest, files: &[PackedFile]) -> Result<Self> {
        let mut contents = Self {
            store,
            packs: Vec::new(),
            seen: HashSet::new(),
            found: files.iter().map(|file| (file.digest, None)).collect(),
        };
        let mut is_used = vec![false; manifest.packs.len()];
        for file in files {
            is_used[file.pack as usize] = true;
        }
        for (pack, _) in manifest.packs.iter().zip(is_used).filter(|(_, used)| *used) {
            contents.add(*pack)?;
        }
        Ok(contents)
    }

    fn into_packs(self) -> Vec<Arc<Path>> {
        self.packs
    }

    fn find(&self, file: &PackedFile) -> Option<PackedContent> {
        let found = self.found.get(&file.digest).copied().flatten();
        found.filter(|_| file.length <= LARGEST_CONTENT)
    }

    /// Adds a pack, or those that it was rewritten into.
    fn add(&mut self, id: Digest) -> Result<()> {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            match self.store.open_pack(&id) {
                Ok((path, _, index)) => self.add_contents(path.into(), &index),
                Err(error) if error.is_damage() => {
                    let moved = self.store.read_moved(&id)?.ok_or(error)?;
                    pending.extend(moved.into_iter().rev());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add_contents(&mut self, path: Arc<Path>, index: &PackIndex) {
        self.packs.push(path);
        let packs = u32::try_from(self.packs.len())
            .ok()
            .and_then(NonZeroU32::new);
        // No manifest names as many packs.
        let Some(packs) = packs else { return };
        for record in &index.records {
            if let Some(found) = self.found.get_mut(&record.digest) {
                found.get_or_insert(PackedContent {
                    packs,
                    offset: record.offset,
                });
            }
        }
    }
}

/// Joins contents that are close to each other into batches.
fn join(located: &[(u32, u64, u64, LeafId)], packs: &[Arc<Path>]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut pack_of_last = None;
    for &(pack, offset, length, leaf) in located {
        let end = offset + length;
        match batches.last_mut() {
            Some(last)
                if pack_of_last == Some(pack)
                    && offset <= last.offset + last.length + GAP
                    && end - last.offset <= BATCH =>
            {
                last.items.push(BatchItem {
                    leaf,
                    start: offset - last.offset,
                    length,
                });
                last.length = last.length.max(end - last.offset);
            }
            _ => {
                let items = vec![BatchItem {
                    leaf,
                    start: 0,
                    length,
                }];
                batches.push(Batch {
                    path: Arc::clone(&packs[pack as usize]),
                    offset,
                    length,
                    items,
                });
            }
        }
        pack_of_last = Some(pack);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_contents_share_a_batch_and_far_ones_do_not() {
        let packs: Vec<Arc<Path>> = vec![Path::new("/a").into(), Path::new("/b").into()];
        let located = [
            (0, 0, 10, LeafId(0)),
            // The same content again: two equal files.
            (0, 0, 10, LeafId(5)),
            (0, 10 + GAP, 10, LeafId(1)),
            (0, 21 + 2 * GAP, 10, LeafId(2)),
            (1, 21 + 2 * GAP, 10, LeafId(3)),
        ];
        let batches = join(&located, &packs);
        let leaves: Vec<Vec<u32>> = batches
            .iter()
            .map(|batch| batch.items.iter().map(|item| item.leaf.0).collect())
            .collect();
        assert_eq!(leaves, [vec![0, 5, 1], vec![2], vec![3]]);
        assert_eq!((batches[0].offset, batches[0].length), (0, 20 + GAP));
        assert_eq!(batches[1].items[0].start, 0);
    }

    #[test]
    fn no_batch_is_longer_than_its_limit() {
        let packs: Vec<Arc<Path>> = vec![Path::new("/a").into()];
        let located: Vec<_> = (0..100)
            .map(|n| (0, n * 100_000, 100_000, LeafId(0)))
            .collect();
        assert!(
            join(&located, &packs)
                .iter()
                .all(|batch| batch.length <= BATCH)
        );
    }
}
