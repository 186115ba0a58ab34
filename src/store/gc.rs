//! Garbage collection: removes what no entry refers to and rewrites packs that are mostly dead.
//!
//! It holds the store's exclusive lock, so nothing changes while it runs. If it is killed, the
//! store is still correct: an entry is removed before what it refers to, and the new pack and the
//! file that names it are published before the old pack is removed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use super::entry::Entry;
use super::id::EntryId;
use super::layout;
use super::lock::GcLock;
use super::open::{Store, random_name};
use super::pack::{PackIndex, PackWriter};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{FileKind, Timestamp, files, remove_tree};
use crate::monitor::Silent;
use crate::tree::manifest::{Manifest, References};
use crate::tree::{Content, ContentLocation, LeafKind};

/// A pack is rewritten if it has at least this many dead bytes, and more dead than live ones.
const MIN_DEAD_BYTES: u64 = 1 << 20;

const DAY: i64 = 86_400;
/// Seconds until damaged entries are removed. Until then they can be inspected.
const QUARANTINE_AGE: i64 = 7 * DAY;
/// Seconds until the stamp of a directory is removed.
const STAMP_AGE: i64 = 30 * DAY;
/// Seconds until the state of a job is removed: GitHub's longest job on a self-hosted runner.
const JOB_STATE_AGE: i64 = 5 * DAY;

/// What one garbage collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Files removed from the store.
    pub files: u64,
    pub rewritten: u64,
    /// Entries that were found to be damaged.
    pub quarantined: u64,
    pub bytes: u64,
}

/// What the entries of the store refer to.
#[derive(Default)]
struct LiveData {
    manifests: HashMap<Digest, References>,
    /// For each pack, the greatest number of bytes in it that one manifest needs. None if others
    /// were rewritten into it: then only the manifests' trees tell what is needed.
    packs: HashMap<Digest, Option<u64>>,
    /// Packs that were rewritten; their `.moved` files are needed.
    moved: HashSet<Digest>,
    blobs: HashSet<Digest>,
    /// Records of entries. They refer to nothing.
    records: HashSet<Digest>,
}

impl LiveData {
    fn is_live_manifest(&self, name: &OsStr) -> bool {
        layout::parse_digest(name, "")
            .is_some_and(|id| self.manifests.contains_key(&id) || self.records.contains(&id))
    }
}

fn is_mostly_dead(size: u64, live: u64) -> bool {
    let dead = size.saturating_sub(live);
    dead > live && dead >= MIN_DEAD_BYTES
}

impl Store {
    /// Removes entries. [`Store::collect_garbage`] frees their space.
    pub fn remove_entries(&self, _lock: &GcLock, ids: &[EntryId]) -> Result<()> {
        ids.iter()
            .try_for_each(|id| files::remove(&self.layout.entry(id)))
    }

    /// Removes everything that no entry refers to.
    pub fn collect_garbage(&self, _lock: &GcLock) -> Result<GcStats> {
        let mut stats = GcStats::default();
        let live = self.live_data(&mut stats)?;
        let suspects = self.suspects()?;
        self.sweep(&self.layout.manifests(), &mut stats, |name| {
            live.is_live_manifest(name)
        })?;
        self.collect_packs(&live, &suspects, &mut stats)?;
        self.collect_blobs(&live, &suspects, &mut stats)?;
        // Not before their packs and blobs were checked: if this is killed until then, the next
        // garbage collection checks them again.
        for suspect in &suspects {
            files::remove(&self.layout.suspect(suspect))?;
        }
        self.collect_used_times(&mut stats)?;
        self.collect_ready_copies(&live, &mut stats)?;
        self.collect_stamps(&live, &mut stats)?;
        self.collect_leftovers(&mut stats)?;
        Ok(stats)
    }

    /// Removes files that entries never refer to: lock files, files of killed processes, and old
    /// files of `quarantine` and of jobs.
    fn collect_leftovers(&self, stats: &mut GcStats) -> Result<()> {
        // `locks/store` stays: this process holds it, and a new file of that name would not be
        // locked.
        self.sweep(&self.layout.locks(), stats, |name| name == "store")?;
        self.sweep_old(&self.layout.quarantine(), QUARANTINE_AGE, stats)?;
        self.sweep_old(&self.layout.job_states(), JOB_STATE_AGE, stats)?;
        // Every process that writes to `tmp` holds `locks/store`, so these files were left by
        // processes that were killed.
        for name in files::list(&self.layout.tmp())? {
            remove_tree(&self.layout.tmp().join(name))?;
        }
        Ok(())
    }

    fn live_data(&self, stats: &mut GcStats) -> Result<LiveData> {
        let mut live = LiveData::default();
        for id in self.entry_ids(None)? {
            match self.read_entry_references(&id) {
                Ok(Some((entry, references))) => {
                    live.manifests.insert(entry.manifest, references);
                    live.records.extend(entry.record);
                }
                Ok(None) => {}
                Err(error) if error.is_damage() => {
                    self.quarantine(&id)?;
                    stats.quarantined += 1;
                }
                Err(error) => return Err(error),
            }
        }
        for references in live.manifests.values() {
            live.blobs.extend(&references.blobs);
            for (pack, bytes) in &references.packs {
                // Manifests share contents, so their needs can't be added up. The maximum is too
                // low at worst; `rewrite` then finds what is really live.
                let needed = live.packs.entry(*pack).or_insert(Some(0));
                *needed = (*needed).max(Some(*bytes));
            }
        }
        self.follow_moves(&mut live)?;
        Ok(live)
    }

    fn read_entry_references(&self, id: &EntryId) -> Result<Option<(Entry, References)>> {
        let Some(entry) = self.read_entry(id)? else {
            return Ok(None);
        };
        let references = self.read_references(&entry.manifest)?;
        Ok(Some((entry, references)))
    }

    /// Adds the packs that live packs were rewritten into.
    fn follow_moves(&self, live: &mut LiveData) -> Result<()> {
        let mut pending: Vec<Digest> = live.packs.keys().copied().collect();
        while let Some(id) = pending.pop() {
            if files::stat(&self.layout.pack(&id))?.is_some() {
                continue;
            }
            let moved = match self.read_moved(&id) {
                // The entries that need this pack are damaged. Their next restore finds that out.
                Err(error) if error.is_damage() => None,
                other => other?,
            };
            for new in moved.unwrap_or_default() {
                live.moved.insert(id);
                if live.packs.insert(new, None).is_none() {
                    pending.push(new);
                }
            }
        }
        Ok(())
    }

    fn collect_packs(
        &self,
        live: &LiveData,
        suspects: &[Digest],
        stats: &mut GcStats,
    ) -> Result<()> {
        let names = files::list(&self.layout.packs())?;
        let ids_with = |suffix: &'static str| {
            names
                .iter()
                .filter_map(move |name| layout::parse_digest(name, suffix))
        };
        // Dead packs go first: a rewrite below may produce a pack with the name of one that a
        // killed garbage collection left behind.
        for id in ids_with(".pack").filter(|id| !live.packs.contains_key(id)) {
            self.remove_file(&self.layout.pack(&id), stats)?;
        }
        for id in ids_with(".pack") {
            let is_suspect = suspects.contains(&id);
            if self.may_need_rewrite(&id, live, is_suspect)? {
                self.rewrite(&id, live, is_suspect, stats)?;
            }
        }
        for id in ids_with(".moved") {
            if !live.moved.contains(&id) && !live.packs.contains_key(&id) {
                self.remove_file(&self.layout.moved(&id), stats)?;
            }
        }
        Ok(())
    }

    /// Whether a live pack is suspect or seems to be mostly dead.
    fn may_need_rewrite(&self, id: &Digest, live: &LiveData, is_suspect: bool) -> Result<bool> {
        let Some(needed) = live.packs.get(id) else {
            return Ok(false);
        };
        let size = files::stat(&self.layout.pack(id))?.map_or(0, |stat| stat.size);
        Ok(is_suspect || needed.is_none_or(|needed| is_mostly_dead(size, needed)))
    }

    /// Copies the live and undamaged contents of a pack into a new one and removes the old one.
    /// Keeps a pack that is not suspect if much of it turns out to be live.
    fn rewrite(
        &self,
        id: &Digest,
        live: &LiveData,
        is_suspect: bool,
        stats: &mut GcStats,
    ) -> Result<()> {
        let needed = self.live_contents(id, live)?;
        let (path, file, mut index) = match self.open_pack(id) {
            Ok(opened) => opened,
            // Nothing in it can be found any more. The next restore of the entries that need it
            // finds them damaged.
            Err(error) if error.is_damage() => {
                return self.remove_file(&self.layout.pack(id), stats);
            }
            Err(error) => return Err(error),
        };
        let size = index.bytes();
        index
            .records
            .retain(|record| needed.contains(&record.digest));
        if !is_suspect && !is_mostly_dead(size, index.bytes()) {
            return Ok(());
        }
        let (new, unfinished) = self.copy_undamaged(&file, &path, &index)?.finish()?;
        if new == *id {
            // All of it is live and undamaged.
            return files::remove(&unfinished);
        }
        self.replace_pack(id, &new, &unfinished, stats)
    }

    /// Publishes a new pack in place of the pack `old`, which is removed.
    fn replace_pack(
        &self,
        old: &Digest,
        new: &Digest,
        unfinished: &Path,
        stats: &mut GcStats,
    ) -> Result<()> {
        let added = files::allocated(unfinished)?;
        // If this is killed after the first or second step, the old pack is still there and still
        // used; the next garbage collection finds that nothing needs the new one.
        files::rename(unfinished, &self.layout.pack(new))?;
        let moved = serde_json::to_vec(&[new]).map_err(Error::defect)?;
        self.write_atomically(&self.layout.moved(old), &moved)?;
        self.remove_file(&self.layout.pack(old), stats)?;
        stats.bytes = stats.bytes.saturating_sub(added);
        stats.rewritten += 1;
        Ok(())
    }

    /// Copies the contents in `index` that have the right digest into a new pack in `tmp`.
    fn copy_undamaged(&self, file: &File, path: &Path, index: &PackIndex) -> Result<PackWriter> {
        let unfinished = self.layout.tmp().join(random_name());
        let mut writer = PackWriter::create(unfinished, self.modes.file)?;
        let mut buffer = Vec::new();
        for record in &index.records {
            if record.read_verified(file, &mut buffer, path)? {
                writer.append(&[(record.digest, &buffer)])?;
            }
        }
        Ok(writer)
    }

    /// The packed contents of all manifests that may need a pack.
    fn live_contents(&self, pack: &Digest, live: &LiveData) -> Result<HashSet<Digest>> {
        let mut contents = HashSet::new();
        for (id, references) in &live.manifests {
            // A manifest that needs a rewritten pack may need this one instead.
            let may_need = references
                .packs
                .iter()
                .any(|(needed, _)| needed == pack || live.moved.contains(needed));
            if !may_need {
                continue;
            }
            let path = self.layout.manifest(id);
            let bytes = files::read(&path).map_err(|error| self.as_damage(error));
            match bytes.and_then(|bytes| Manifest::decode(&bytes, id, &path)) {
                Ok(manifest) => contents.extend(packed_contents(&manifest)),
                // Its entry is a miss and needs nothing.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(contents)
    }

    fn collect_blobs(
        &self,
        live: &LiveData,
        suspects: &[Digest],
        stats: &mut GcStats,
    ) -> Result<()> {
        for shelf in files::list(&self.layout.blobs())? {
            let shelf = self.layout.blobs().join(shelf);
            if files::stat(&shelf)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
                self.remove_file(&shelf, stats)?;
                continue;
            }
            // A save may have replaced a suspect blob.
            let is_intact = |id: Digest| self.verify_blob(&id, &mut Vec::new(), &Silent).is_ok();
            self.sweep(&shelf, stats, |name| {
                layout::parse_digest(name, "").is_some_and(|id| {
                    live.blobs.contains(&id) && (!suspects.contains(&id) || is_intact(id))
                })
            })?;
        }
        Ok(())
    }

    fn collect_used_times(&self, stats: &mut GcStats) -> Result<()> {
        // Listed again: damaged entries have been quarantined since the first time.
        let ids: HashSet<EntryId> = self.entry_ids(None)?.into_iter().collect();
        self.sweep(&self.layout.used_dir(), stats, |name| {
            name.to_str()
                .and_then(EntryId::parse)
                .is_some_and(|id| ids.contains(&id))
        })
    }

    fn collect_ready_copies(&self, live: &LiveData, stats: &mut GcStats) -> Result<()> {
        for copy in self.ready_copies()? {
            if !live.manifests.contains_key(&copy.manifest) {
                self.remove_ready_copy(&copy)?;
                stats.bytes += copy.bytes;
            }
        }
        Ok(())
    }

    fn collect_stamps(&self, live: &LiveData, stats: &mut GcStats) -> Result<()> {
        let dir = self.layout.stamps();
        self.sweep(&dir, stats, |name| {
            let manifest = name
                .to_str()
                .and_then(|name| name.split('-').next()?.parse().ok());
            manifest.is_some_and(|id: Digest| live.manifests.contains_key(&id))
        })?;
        self.sweep_old(&dir, STAMP_AGE, stats)
    }

    /// Removes the files of a directory that did not change for `max_age` seconds.
    fn sweep_old(&self, dir: &Path, max_age: i64, stats: &mut GcStats) -> Result<()> {
        let now = Timestamp::now().seconds;
        self.sweep(dir, stats, |name| {
            let changed = files::stat(&dir.join(name))
                .ok()
                .flatten()
                .map_or(now, |stat| stat.ctime.seconds);
            now.saturating_sub(changed) < max_age
        })
    }

    /// Removes the files of a directory for which `retain` is false.
    fn sweep(
        &self,
        dir: &Path,
        stats: &mut GcStats,
        retain: impl Fn(&OsStr) -> bool,
    ) -> Result<()> {
        for name in files::list(dir)?.iter().filter(|name| !retain(name)) {
            self.remove_file(&dir.join(name), stats)?;
        }
        Ok(())
    }

    #[expect(
        clippy::unused_self,
        reason = "removing files of the store is a method of the store"
    )]
    fn remove_file(&self, path: &Path, stats: &mut GcStats) -> Result<()> {
        let bytes = files::stat(path)?.map_or(0, |stat| stat.allocated);
        // Somebody may have put a directory in the place of the file.
        remove_tree(path)?;
        stats.files += 1;
        stats.bytes += bytes;
        Ok(())
    }
}

fn packed_contents(manifest: &Manifest) -> impl Iterator<Item = Digest> {
    manifest
        .tree
        .leaves()
        .iter()
        .filter_map(|leaf| match &leaf.kind {
            LeafKind::File(file) => match file.content {
                Some(Content {
                    location: ContentLocation::Pack(_),
                    digest,
                }) => Some(digest),
                _ => None,
            },
            _ => None,
        })
}
