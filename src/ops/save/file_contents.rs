//! What happens to the files of a scan: reused from an earlier entry, read and stored, or skipped.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::monitor::Stage;
use crate::ops::save::context::SaveContext;
use crate::ops::save::parent::Parent;
use crate::ops::save::worker::{StoreTask, StoreWorker, StoredContent, StoredFile, tasks};
use crate::store::save::{ContentWriter, PackSlot};
use crate::tree::compare::unchanged_contents;
use crate::tree::manifest::Manifest;
use crate::tree::scan::{Scan, SkippedPath};
use crate::tree::stamp::{InodeState, Stamp};
use crate::tree::{Content, ContentLocation, FileData, LeafId, LeafKind, ReadOutcome, Roots};
use crate::workers;

#[derive(Default)]
pub(super) struct FileContents {
    stored: Vec<StoredFile>,
    to_store: Vec<LeafId>,
    vanished: HashSet<LeafId>,
    pub(super) skipped: Vec<SkippedPath>,
    pub(super) reused_files: u64,
    pub(super) reused_bytes: u64,
}

impl FileContents {
    /// Reuses what did not change since the parent was saved and is still in the store. All other
    /// files have to be stored.
    pub(super) fn new(
        scan: &Scan,
        parent: Option<&Parent>,
        writer: &ContentWriter<'_>,
    ) -> Result<Self> {
        let mut contents = Self::default();
        let mut packs = Vec::new();
        let mut unchanged_files = Vec::new();
        if let Some(parent) = parent {
            for pack in &parent.manifest.packs {
                packs.push(writer.existing_pack(pack)?);
            }
            unchanged_files = unchanged_contents(scan, &parent.manifest, &parent.stamp);
        }
        for leaf in scan.tree.leaf_ids_depth_first() {
            let LeafKind::File(file) = &scan.tree[leaf].kind else {
                continue;
            };
            let known = unchanged_files.get(leaf.index()).copied().flatten();
            let content = match known {
                _ if file.size == 0 => Some(StoredContent::Empty),
                Some(known) => still_stored(known, &packs, writer),
                None => None,
            };
            let Some(content) = content else {
                contents.to_store.push(leaf);
                continue;
            };
            if known.is_some() {
                contents.reused_files += 1;
                contents.reused_bytes += file.size;
            }
            contents.stored.push(StoredFile {
                leaf,
                state: None,
                size: file.size,
                extents: known.map(|known| known.extents.clone()).unwrap_or_default(),
                content,
            });
        }
        Ok(contents)
    }

    /// Reads and stores the files that are new or changed, in parallel.
    pub(super) fn store_changed(
        &mut self,
        scan: &Scan,
        writer: &ContentWriter<'_>,
        context: &SaveContext<'_>,
    ) -> Result<()> {
        let SaveContext {
            request, monitor, ..
        } = *context;
        let tasks = tasks(scan, &self.to_store);
        let sizes = self
            .to_store
            .iter()
            .map(|leaf| scan.stats[leaf.index()].size);
        monitor.begin(Stage::Storing, sizes.sum());
        if tasks.iter().any(|task| matches!(task, StoreTask::Small(_))) {
            writer.find_existing_packs()?;
        }
        let results = Mutex::new(std::mem::take(self));
        let worker = || StoreWorker::new(scan, request.roots, writer);
        workers::for_each_in_order(&tasks, worker, |worker, task| {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let files = worker.run(task)?;
            let mut results = workers::lock(&results);
            for (leaf, file) in files {
                monitor.advance(scan.stats[leaf.index()].size);
                results.add(leaf, file, scan, request.roots);
            }
            Ok(())
        })?;
        *self = workers::into_inner(results);
        Ok(())
    }

    fn add(&mut self, leaf: LeafId, file: ReadOutcome<StoredFile>, scan: &Scan, roots: &Roots) {
        match file {
            ReadOutcome::Done(state, file) => self.stored.push(StoredFile {
                state: Some(state),
                ..file
            }),
            ReadOutcome::Vanished => {
                self.vanished.insert(leaf);
            }
            ReadOutcome::Skipped(reason) => {
                self.skipped.push(SkippedPath {
                    path: roots.leaf_path(&scan.tree, leaf),
                    reason,
                });
                self.vanished.insert(leaf);
            }
        }
    }

    /// The manifest of the scan with the contents of its files, and its stamp. Packs are numbered in
    /// the order in which files refer to them.
    pub(super) fn into_manifest(
        self,
        scan: Scan,
        restamped: Option<Timestamp>,
        pack_of: impl Fn(PackSlot) -> Result<Digest>,
    ) -> Result<(Manifest, Stamp)> {
        let Scan {
            mut tree,
            started,
            stats,
            ..
        } = scan;
        let mut states = vec![None; stats.len()];
        let mut packs = PackNumbers::default();
        for file in self.stored {
            let content = match file.content {
                StoredContent::Empty => None,
                StoredContent::Blob(digest) => Some(Content {
                    digest,
                    location: ContentLocation::Blob,
                }),
                StoredContent::Packed(digest, slot) => Some(Content {
                    digest,
                    location: ContentLocation::Pack(packs.number_of(pack_of(slot)?)),
                }),
            };
            let stat = file.state.as_ref().unwrap_or(&stats[file.leaf.index()]);
            states[file.leaf.index()] = InodeState::before(started, stat);
            let (mode, modified) = match file.state {
                // The scan has the time that the file had before the restore.
                Some(state) if Some(state.mtime) == restamped => {
                    (state.mode, tree[file.leaf].mtime)
                }
                Some(state) => (state.mode, state.mtime),
                None => (tree[file.leaf].mode, tree[file.leaf].mtime),
            };
            let data = FileData {
                size: file.size,
                extents: file.extents,
                content,
            };
            tree.set_file(file.leaf, mode, modified, data);
        }
        let (tree, remaining) = tree.without_leaves(&self.vanished);
        let mut stamp = Stamp::for_tree(&tree);
        stamp.restamped = restamped;
        for (id, former) in tree.leaf_ids().zip(remaining) {
            stamp.set_leaf(id, states[former.index()]);
        }
        let manifest = Manifest {
            scanned_at: started,
            packs: packs.ids,
            tree,
        };
        Ok((manifest, stamp))
    }
}

/// Where an unchanged file's contents are in the store; `None` if they are no longer there.
fn still_stored(
    known: &FileData,
    packs: &[Option<PackSlot>],
    writer: &ContentWriter<'_>,
) -> Option<StoredContent> {
    let Some(Content { digest, location }) = known.content else {
        return Some(StoredContent::Empty);
    };
    match location {
        ContentLocation::Pack(pack) => {
            packs[pack as usize].map(|slot| StoredContent::Packed(digest, slot))
        }
        ContentLocation::Blob => writer
            .has_blob(&digest, known.data_len())
            .then_some(StoredContent::Blob(digest)),
    }
}

/// Packs in the order in which files refer to them first.
#[derive(Default)]
struct PackNumbers {
    ids: Vec<Digest>,
    numbers: HashMap<Digest, u32>,
}

impl PackNumbers {
    fn number_of(&mut self, pack: Digest) -> u32 {
        let ids = &mut self.ids;
        *self.numbers.entry(pack).or_insert_with(|| {
            ids.push(pack);
            u32::try_from(ids.len() - 1).unwrap_or(u32::MAX)
        })
    }
}
