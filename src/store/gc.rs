//! Garbage collection: removes what no entry refers to and rewrites packs that are mostly dead.
//!
//! It holds the store's exclusive lock, so nothing changes while it runs. If it is killed, the
//! store is still correct: an entry is removed before what it refers to, and the new pack and the
//! file that names it are published before the old pack is removed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use super::entry::Entry;
use super::id::EntryId;
use super::layout::Layout;
use super::lock::GcLock;
use super::open::{Store, random_name};
use super::pack::{PackIndex, PackWriter};
use super::pack_users::PackUsers;
pub(crate) use super::sweep::GcStats;
use super::sweep::Sweep;
use super::{layout, ready};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{FileKind, Timestamp};
use crate::monitor::{Monitor, Silent};
use crate::tree::manifest::References;
use crate::workers;

/// A pack is rewritten if it has at least this many dead bytes, and more dead than live ones.
const MIN_DEAD_BYTES: u64 = 1 << 20;

/// Seconds until the stamp of a directory is removed.
const STAMP_AGE: i64 = 30 * 86_400;

/// Seconds until it is forgotten which directories jobs got.
const LENT_AGE: i64 = 86_400;

/// Entries that were read before.
pub(crate) type KnownEntries<'e> = HashMap<&'e EntryId, &'e Entry>;

struct EntryReferences<'e> {
    entry: Cow<'e, Entry>,
    references: References,
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
    /// Whether an entry or its manifest can't be read now, so that it is not known what it needs.
    is_incomplete: bool,
}

impl LiveData {
    /// Notes that it is not known what an entry needs.
    fn warn_of_unreadable(&mut self, error: &Error, monitor: &dyn Monitor) {
        monitor.warn(&format!(
            "{error}; no contents are removed until it can be read"
        ));
        self.is_incomplete = true;
    }

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
        self.expect_garbage()?;
        ids.iter()
            .try_for_each(|id| self.dir.remove(&self.layout.entry(id)))
    }

    /// Removes a damaged record; does nothing for the path of another kind of file, and if a save
    /// has replaced the record since the damage was found.
    pub(crate) fn remove_damaged_record(&self, _lock: &GcLock, path: &Path) -> Result<()> {
        let id = layout::parse_digest(path.file_name().unwrap_or_default(), "");
        match id.filter(|_| path.starts_with(self.layout.manifests())) {
            Some(id) if self.read_record(&id).is_err_and(|error| error.is_damage()) => {
                self.dir.remove_tree(path)
            }
            _ => Ok(()),
        }
    }

    /// Removes everything that no entry refers to. While an entry can't be read, all contents stay,
    /// because it may need them; that is a warning, and so is what can't be removed.
    pub fn collect_garbage(&self, lock: &GcLock, monitor: &dyn Monitor) -> Result<GcStats> {
        self.collect_garbage_knowing(lock, &KnownEntries::new(), monitor)
    }

    /// Like [`Store::collect_garbage`], without reading entries that were read with the same lock.
    pub(crate) fn collect_garbage_knowing(
        &self,
        lock: &GcLock,
        known: &KnownEntries<'_>,
        monitor: &dyn Monitor,
    ) -> Result<GcStats> {
        let mut sweep = Sweep::new(self);
        let live = self.live_data(lock, known, &mut sweep, monitor)?;
        if !live.is_incomplete {
            self.collect_contents(&live, &mut sweep)?;
        }
        self.collect_used_times(&mut sweep)?;
        sweep.derived()?;
        // Leftovers that can't be removed are tried again a day later.
        let is_complete = !live.is_incomplete && sweep.is_complete();
        sweep.leftovers()?;
        if is_complete {
            self.note_collection();
        }
        Ok(sweep.finish(monitor))
    }

    fn collect_contents(&self, live: &LiveData, sweep: &mut Sweep<'_>) -> Result<()> {
        let suspects = self.suspects()?;
        sweep.sweep(&self.layout.manifests(), |name| live.is_live_manifest(name))?;
        self.collect_packs(live, &suspects, sweep)?;
        self.collect_blobs(live, &suspects, sweep)?;
        // Not before their packs and blobs were checked: if this is killed until then, the next
        // garbage collection checks them again.
        for suspect in &suspects {
            sweep.go_on(self.unmark_suspect(suspect))?;
        }
        self.collect_ready_copies(live, sweep)?;
        self.collect_stamps(live, sweep)
    }

    fn live_data(
        &self,
        lock: &GcLock,
        known: &KnownEntries<'_>,
        sweep: &mut Sweep<'_>,
        monitor: &dyn Monitor,
    ) -> Result<LiveData> {
        let mut live = LiveData::default();
        let ids = self.entry_ids(None)?;
        let references = workers::map(&ids, |id| self.entry_references(id, known));
        for (id, references) in ids.iter().zip(references) {
            match references {
                Ok(Some(EntryReferences { entry, references })) => {
                    live.manifests.insert(entry.manifest, references);
                    live.records.extend(entry.record);
                }
                Ok(None) => {}
                Err(error) if error.is_damage() => {
                    self.quarantine(lock, id)?;
                    sweep.stats.quarantined += 1;
                }
                Err(error) if self.is_unreadable(&error) => {
                    live.warn_of_unreadable(&error, monitor);
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
        self.follow_moves(&mut live, monitor)?;
        Ok(live)
    }

    fn entry_references<'e>(
        &self,
        id: &EntryId,
        known: &KnownEntries<'e>,
    ) -> Result<Option<EntryReferences<'e>>> {
        let entry = match known.get(id) {
            Some(entry) => Some(Cow::Borrowed(*entry)),
            None => self.read_entry(id)?.map(Cow::Owned),
        };
        let with_references = |entry: Cow<'e, Entry>| {
            let references = self.read_references(&entry.manifest)?;
            Ok(EntryReferences { entry, references })
        };
        entry.map(with_references).transpose()
    }

    /// Adds the packs that live packs were rewritten into.
    fn follow_moves(&self, live: &mut LiveData, monitor: &dyn Monitor) -> Result<()> {
        let mut pending: Vec<Digest> = live.packs.keys().copied().collect();
        while let Some(id) = pending.pop() {
            if self.dir.stat(&self.layout.pack(&id))?.is_some() {
                continue;
            }
            let moved = match self.read_moved(&id) {
                // The entries that need this pack are damaged. Their next restore finds that out.
                Err(error) if error.is_damage() => None,
                Err(error) if self.is_unreadable(&error) => {
                    live.warn_of_unreadable(&error, monitor);
                    None
                }
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
        sweep: &mut Sweep<'_>,
    ) -> Result<()> {
        let names = self.dir.list(&self.layout.packs())?;
        let ids_with = |suffix: &'static str| {
            names
                .iter()
                .filter_map(move |name| layout::parse_digest(name, suffix))
        };
        // Dead packs go first: a rewrite below may produce a pack with the name of one that a
        // killed garbage collection left behind.
        for id in ids_with(".pack").filter(|id| !live.packs.contains_key(id)) {
            sweep.remove(&self.layout.pack(&id))?;
        }
        let mut users = None;
        for id in ids_with(".pack") {
            let is_suspect = suspects.contains(&id);
            if self.may_need_rewrite(&id, live, is_suspect)? {
                let users =
                    users.get_or_insert_with(|| PackUsers::of(&live.manifests, &live.moved));
                let rewritten = self.rewrite(&id, users, is_suspect, sweep);
                sweep.go_on(rewritten)?;
            }
        }
        for id in ids_with(".moved") {
            if !live.moved.contains(&id) && !live.packs.contains_key(&id) {
                sweep.remove(&self.layout.moved(&id))?;
            }
        }
        Ok(())
    }

    /// Whether a live pack is suspect or seems to be mostly dead.
    fn may_need_rewrite(&self, id: &Digest, live: &LiveData, is_suspect: bool) -> Result<bool> {
        let Some(needed) = live.packs.get(id) else {
            return Ok(false);
        };
        let size = self
            .dir
            .stat(&self.layout.pack(id))?
            .map_or(0, |stat| stat.size);
        Ok(is_suspect || needed.is_none_or(|needed| is_mostly_dead(size, needed)))
    }

    /// Copies the live and undamaged contents of a pack into a new one and removes the old one.
    /// Keeps a pack that is not suspect if much of it turns out to be live.
    fn rewrite(
        &self,
        id: &Digest,
        users: &mut PackUsers<'_>,
        is_suspect: bool,
        sweep: &mut Sweep<'_>,
    ) -> Result<()> {
        let live = users.live_contents(self, id)?;
        let (path, file, mut index) = match self.open_pack(id) {
            Ok(opened) => opened,
            // Nothing in it can be found any more. The next restore of the entries that need it
            // finds them damaged.
            Err(error) if error.is_damage() => {
                return sweep.remove(&self.layout.pack(id));
            }
            Err(error) => return Err(error),
        };
        let size = index.bytes();
        index.records.retain(|record| live.has(&record.digest));
        if !is_suspect && !is_mostly_dead(size, index.bytes()) {
            return Ok(());
        }
        let (new, unfinished) = self.copy_undamaged(&file, &path, &index)?.finish()?;
        if new == *id {
            // All of it is live and undamaged.
            return self.dir.remove(&unfinished);
        }
        self.replace_pack(id, &new, &unfinished, sweep)
    }

    /// Publishes a new pack in place of the pack `old`, which is removed.
    fn replace_pack(
        &self,
        old: &Digest,
        new: &Digest,
        unfinished: &Path,
        sweep: &mut Sweep<'_>,
    ) -> Result<()> {
        let added = self.allocated(unfinished);
        // If this is killed after the first or second step, the old pack is still there and still
        // used; the next garbage collection finds that nothing needs the new one.
        self.dir.rename(unfinished, &self.layout.pack(new))?;
        let moved = serde_json::to_vec(&[new]).map_err(Error::defect)?;
        self.write_atomically(&self.layout.moved(old), &moved)?;
        sweep.remove(&self.layout.pack(old))?;
        sweep.stats.bytes = sweep.stats.bytes.saturating_sub(added);
        sweep.stats.rewritten += 1;
        Ok(())
    }

    /// Copies the contents in `index` that have the right digest into a new pack in `tmp`.
    fn copy_undamaged(&self, file: &File, path: &Path, index: &PackIndex) -> Result<PackWriter> {
        let unfinished = self.layout.tmp().join(random_name());
        let mut writer = self.new_pack(unfinished)?;
        let mut buffer = Vec::new();
        for record in &index.records {
            if record.read_verified(file, &mut buffer, path)? {
                writer.append(&[(record.digest, &buffer)])?;
            }
        }
        Ok(writer)
    }

    fn collect_blobs(
        &self,
        live: &LiveData,
        suspects: &[Digest],
        sweep: &mut Sweep<'_>,
    ) -> Result<()> {
        for name in self.dir.list(&self.layout.blobs())? {
            let shelf = self.layout.blobs().join(&name);
            let found = self.dir.stat(&shelf)?;
            let is_directory = found.is_some_and(|stat| stat.kind == FileKind::Directory);
            if !is_directory || !Layout::is_blob_shelf(&name) {
                sweep.remove(&shelf)?;
                continue;
            }
            // A save may have replaced a suspect blob. What can't be read now stays.
            let is_damaged = |id: Digest| {
                let verified = self.verify_blob(&id, &mut Vec::new(), &Silent);
                verified.is_err_and(|error| self.as_damage(error).is_damage())
            };
            sweep.sweep(&shelf, |name| {
                layout::parse_digest(name, "").is_some_and(|id| {
                    live.blobs.contains(&id) && !(suspects.contains(&id) && is_damaged(id))
                })
            })?;
        }
        Ok(())
    }

    fn collect_used_times(&self, sweep: &mut Sweep<'_>) -> Result<()> {
        // Listed again: damaged entries have been quarantined since the first time.
        let ids: HashSet<EntryId> = self.entry_ids(None)?.into_iter().collect();
        sweep.sweep(&self.layout.used_dir(), |name| {
            name.to_str()
                .and_then(EntryId::parse)
                .is_some_and(|id| ids.contains(&id))
        })
    }

    fn collect_ready_copies(&self, live: &LiveData, sweep: &mut Sweep<'_>) -> Result<()> {
        sweep.clear_place_of(&self.layout.ready_copies())?;
        let copies = match self.ready_copies() {
            Err(error) => return sweep.go_on(Err(error)),
            Ok(copies) => copies,
        };
        let with_time = |copy| {
            let since = self.kept_since(&copy);
            (copy, since)
        };
        let kept: Vec<_> = copies.into_iter().map(with_time).collect();
        let surplus = ready::surplus(&kept, Timestamp::now());
        for (copy, _) in &kept {
            if !live.manifests.contains_key(&copy.manifest) || surplus.contains(&copy) {
                let bytes = &mut sweep.stats.bytes;
                let removed = self.remove_ready_copy(copy);
                let removed = removed.map(|freed| *bytes = bytes.saturating_add(freed));
                sweep.go_on(removed)?;
            }
        }
        // Of jobs that did not return their directories.
        sweep.sweep_old(&self.layout.lent_dir(), LENT_AGE)
    }

    fn collect_stamps(&self, live: &LiveData, sweep: &mut Sweep<'_>) -> Result<()> {
        let dir = self.layout.stamps();
        sweep.sweep(&dir, |name| {
            let manifest = name
                .to_str()
                .and_then(|name| name.split('-').next()?.parse().ok());
            manifest.is_some_and(|id: Digest| live.manifests.contains_key(&id))
        })?;
        sweep.sweep_old(&dir, STAMP_AGE)
    }
}
