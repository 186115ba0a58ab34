//! What becomes of the files of a scan: taken over from an earlier entry, read and stored, or left
//! out.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Extent, Stat};
use crate::monitor::{Monitor, Stage};
use crate::ops::save::Parent;
use crate::ops::save::worker::{StoreTask, StoreWorker, jobs};
use crate::store::save::{ContentWriter, PackSlot};
use crate::tree::compare::unchanged_contents;
use crate::tree::manifest::Manifest;
use crate::tree::scan::{Scan, SkippedPath};
use crate::tree::{
    Content, ContentLocation, FileData, LeafId, LeafKind, ReadOutcome, Roots, TreeReader,
};
use crate::workers;

/// A file whose contents are in the store.
pub(crate) struct StoredFile {
    pub(crate) leaf: LeafId,
    /// The state in which it was read; none for one that was not read.
    pub(crate) state: Option<Stat>,
    pub(crate) size: u64,
    pub(crate) extents: Box<[Extent]>,
    /// Its digest and pack, or none as pack for a blob.
    pub(crate) content: Option<(Digest, Option<PackSlot>)>,
}

/// What becomes of the files of a scan.
#[derive(Default)]
pub(crate) struct FileContents {
    pub(crate) stored: Vec<StoredFile>,
    pub(crate) rest: Vec<LeafId>,
    pub(crate) gone: HashSet<LeafId>,
    pub(crate) left_out: Vec<SkippedPath>,
    pub(crate) reused_files: u64,
    pub(crate) reused_bytes: u64,
}

impl FileContents {
    /// Takes over what did not change since the parent was saved and is still in the store.
    pub(crate) fn new(
        scan: &Scan,
        parent: Option<&Parent>,
        contents: &ContentWriter<'_>,
    ) -> Result<Self> {
        let mut kept = Self::default();
        let packs = parent.map(|parent| {
            parent
                .manifest
                .packs
                .iter()
                .map(|pack| contents.existing_pack(pack))
                .collect()
        });
        let packs: Vec<Option<PackSlot>> = packs.transpose()?.unwrap_or_default();
        let same = parent
            .map(|parent| unchanged_contents(scan, &parent.manifest, &parent.seen))
            .unwrap_or_default();
        for leaf in scan.tree.leaf_ids_depth_first() {
            let LeafKind::File(file) = &scan.tree[leaf].kind else {
                continue;
            };
            let known = same.get(leaf.index()).copied().flatten();
            let content = match known.map(|known| known.content) {
                _ if file.size == 0 => Some(None),
                Some(Some(Content {
                    digest,
                    location: ContentLocation::Pack(pack),
                })) => packs[pack as usize].map(|slot| Some((digest, Some(slot)))),
                Some(Some(Content {
                    digest,
                    location: ContentLocation::Blob,
                })) => contents
                    .has_blob(&digest, known.map_or(0, FileData::data_len))?
                    .then_some(Some((digest, None))),
                Some(None) => Some(None),
                None => None,
            };
            let Some(content) = content else {
                kept.rest.push(leaf);
                continue;
            };
            if known.is_some() {
                kept.reused_files += 1;
                kept.reused_bytes += file.size;
            }
            let extents = known.map(|known| known.extents.clone()).unwrap_or_default();
            kept.stored.push(StoredFile {
                leaf,
                state: None,
                size: file.size,
                extents,
                content,
            });
        }
        Ok(kept)
    }

    /// Reads and stores the files that are new or changed, in parallel.
    pub(crate) fn store_rest(
        &mut self,
        scan: &Scan,
        places: &Roots,
        contents: &ContentWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let jobs = jobs(scan, &self.rest);
        monitor.begin(
            Stage::Storing,
            self.rest
                .iter()
                .map(|leaf| scan.stats[leaf.index()].size)
                .sum(),
        );
        if jobs.iter().any(|job| matches!(job, StoreTask::Small(_))) {
            contents.index_existing_packs()?;
        }
        let results = Mutex::new(std::mem::take(self));
        let worker = || StoreWorker {
            reader: TreeReader::new(&scan.tree, places),
            scan,
            places,
            contents,
            buffer: Vec::new(),
        };
        workers::for_each_in_order(&jobs, worker, |worker, job| {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let read = match job {
                StoreTask::Large(leaf) => vec![(*leaf, worker.store_large(*leaf)?)],
                StoreTask::Small(leaves) => worker.store_small(leaves)?,
            };
            let mut results = workers::lock(&results);
            for (leaf, read) in read {
                monitor.advance(scan.stats[leaf.index()].size);
                results.add(leaf, read, scan, places);
            }
            Ok(())
        })?;
        *self = workers::into_inner(results);
        Ok(())
    }

    fn add(&mut self, leaf: LeafId, read: ReadOutcome<StoredFile>, scan: &Scan, places: &Roots) {
        match read {
            ReadOutcome::Done(state, stored) => self.stored.push(StoredFile {
                state: Some(state),
                ..stored
            }),
            ReadOutcome::Vanished => {
                self.gone.insert(leaf);
            }
            ReadOutcome::Skipped(reason) => {
                self.left_out.push(SkippedPath {
                    path: places.leaf_path(&scan.tree, leaf),
                    reason,
                });
                self.gone.insert(leaf);
            }
        }
    }

    pub(crate) fn into_manifest(
        self,
        scan: Scan,
        pack_of: impl Fn(PackSlot) -> Result<Digest>,
    ) -> Result<Manifest> {
        let Scan {
            mut tree, started, ..
        } = scan;
        let mut packs: Vec<Digest> = Vec::new();
        for stored in self.stored {
            let content = match stored.content {
                None => None,
                Some((digest, None)) => Some(Content {
                    digest,
                    location: ContentLocation::Blob,
                }),
                Some((digest, Some(slot))) => {
                    let pack = pack_of(slot)?;
                    let number = packs
                        .iter()
                        .position(|known| *known == pack)
                        .unwrap_or_else(|| {
                            packs.push(pack);
                            packs.len() - 1
                        });
                    let place = ContentLocation::Pack(u32::try_from(number).unwrap_or(u32::MAX));
                    Some(Content {
                        digest,
                        location: place,
                    })
                }
            };
            let (mode, modified) = match stored.state {
                Some(state) => (state.mode, state.mtime),
                None => (tree[stored.leaf].mode, tree[stored.leaf].mtime),
            };
            tree.set_file(
                stored.leaf,
                mode,
                modified,
                FileData {
                    size: stored.size,
                    extents: stored.extents,
                    content,
                },
            );
        }
        Ok(Manifest {
            scanned_at: started,
            packs,
            tree: tree.without_leaves(&self.gone),
        })
    }
}
