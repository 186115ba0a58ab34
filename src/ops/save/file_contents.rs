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
use crate::tree::scan::{LeafStat, Scan, SkippedPath};
use crate::tree::stamp::{InodeState, Stamp};
use crate::tree::{Content, ContentLocation, FileData, Leaf, LeafId, LeafKind, ReadOutcome, Roots};
use crate::workers;

#[derive(Default)]
pub(super) struct FileContents<'p> {
    /// For each leaf of the scan, its contents in the parent, if these are reused.
    reused: Vec<Option<&'p FileData>>,
    /// The slots of the parent's packs.
    parent_packs: Vec<Option<PackSlot>>,
    stored: Vec<StoredFile>,
    to_store: Vec<LeafId>,
    vanished: HashSet<LeafId>,
    pub(super) skipped: Vec<SkippedPath>,
    pub(super) reused_files: u64,
    pub(super) reused_bytes: u64,
}

impl<'p> FileContents<'p> {
    /// Reuses what did not change since the parent was saved and is still in the store. All other
    /// files have to be stored.
    pub(super) fn new(
        scan: &Scan,
        parent: Option<&'p Parent>,
        writer: &ContentWriter<'_>,
    ) -> Result<Self> {
        let mut contents = Self::default();
        if let Some(parent) = parent {
            for pack in &parent.manifest.packs {
                contents.parent_packs.push(writer.existing_pack(pack)?);
            }
            contents.reused = unchanged_contents(scan, &parent.manifest, &parent.stamp);
        }
        for leaf in scan.tree.leaf_ids_depth_first() {
            let LeafKind::File(file) = &scan.tree[leaf].kind else {
                continue;
            };
            let known = contents.reused.get(leaf.index()).copied().flatten();
            if known.is_some_and(|known| contents.is_still_stored(known, writer)) {
                contents.reused_files += 1;
                contents.reused_bytes += file.size;
            } else if file.size > 0 {
                contents.to_store.push(leaf);
                if let Some(reused) = contents.reused.get_mut(leaf.index()) {
                    *reused = None;
                }
            }
        }
        Ok(contents)
    }

    /// Whether an unchanged file's contents are still in the store.
    fn is_still_stored(&self, known: &FileData, writer: &ContentWriter<'_>) -> bool {
        match known.content {
            // The file has no data.
            None => true,
            Some(Content {
                digest,
                location: ContentLocation::Blob,
            }) => writer.has_blob(&digest, known.data_len()),
            Some(Content {
                location: ContentLocation::Pack(pack),
                ..
            }) => self.parent_packs[pack as usize].is_some(),
        }
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
            writer.find_existing_packs(self.to_store.len())?;
        }
        self.stored.reserve_exact(self.to_store.len());
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
            ReadOutcome::Done(state, file) => {
                let is_as_scanned = scan.has_state(leaf, &state);
                self.stored.push(StoredFile {
                    state: (!is_as_scanned).then(|| Box::new(state)),
                    ..file
                });
            }
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
        let mut packs = PackNumbers::default();
        let mut number_of = |slot| -> Result<u32> { Ok(packs.number_of(pack_of(slot)?)) };
        let state = |(leaf, stat): (&Leaf, &LeafStat)| match leaf.kind {
            LeafKind::File(_) => InodeState::before(started, stat),
            LeafKind::Symlink(_) | LeafKind::HardLink(_) => None,
        };
        let mut states: Vec<_> = tree.leaves().iter().zip(&stats).map(state).collect();
        drop(stats);
        for (leaf, known) in (0..).map(LeafId).zip(self.reused) {
            let Some(known) = known else { continue };
            let mut data = known.clone();
            if let Some(Content { location, .. }) = &mut data.content
                && let ContentLocation::Pack(pack) = location
                && let Some(slot) = self.parent_packs[*pack as usize]
            {
                *pack = number_of(slot)?;
            }
            let (mode, mtime) = (tree[leaf].mode, tree[leaf].mtime);
            tree.set_file(leaf, mode, mtime, data);
        }
        for file in self.stored {
            let content = match file.content {
                StoredContent::Empty => None,
                StoredContent::Blob(digest) => Some(Content {
                    digest,
                    location: ContentLocation::Blob,
                }),
                StoredContent::Packed(digest, slot) => Some(Content {
                    digest,
                    location: ContentLocation::Pack(number_of(slot)?),
                }),
            };
            let scanned = &tree[file.leaf];
            let (mode, mtime) = match &file.state {
                // The scan has the time that the file had before the restore.
                Some(state) if Some(state.mtime) == restamped => (state.mode, scanned.mtime),
                Some(state) => (state.mode, state.mtime),
                None => (scanned.mode, scanned.mtime),
            };
            if let Some(state) = file.state {
                states[file.leaf.index()] = InodeState::before(started, &*state);
            }
            let data = FileData {
                size: file.size,
                extents: file.extents,
                content,
            };
            tree.set_file(file.leaf, mode, mtime, data);
        }
        if !self.vanished.is_empty() {
            let remaining;
            (tree, remaining) = tree.without_leaves(&self.vanished);
            states = remaining
                .into_iter()
                .map(|former| states[former.index()])
                .collect();
        }
        let mut stamp = Stamp::of_leaves(&tree, states);
        stamp.restamped = restamped;
        let manifest = Manifest {
            scanned_at: started,
            packs: packs.ids,
            tree,
        };
        Ok((manifest, stamp))
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
