//! Giving space back: what nothing refers to is removed, packs that are mostly dead are rewritten.
//!
//! Only who holds the store alone collects, so nothing that is looked at here changes meanwhile. A
//! collection that is killed leaves a store that is right: an entry goes before what it refers to,
//! and the contents of a rewritten pack are published, and the file that says where they went,
//! before the old pack is removed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;

use super::id::EntryId;
use super::lock::GcLock;
use super::open::{Store, random_name};
use super::{layout, pack};
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileKind, Timestamp, files, remove_tree};
use crate::monitor::Silent;
use crate::tree::manifest::{Manifest, References};
use crate::tree::{Content, ContentLocation, LeafKind};

/// Dead bytes that make it worth to rewrite a pack, when they are also more than half of it.
const WORTH_REWRITING: u64 = 1 << 20;
/// How long damaged entries are kept for somebody to look at, in seconds.
const QUARANTINE: i64 = 7 * 86_400;

/// How long it is remembered when a directory was as a manifest says, in seconds.
const SEEN: i64 = 30 * 86_400;

/// How long a job is taken to last at most, in seconds; then what its phases remembered goes.
const MEMORY: i64 = 5 * 86_400;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Files of the store that were removed.
    pub files: u64,
    /// Packs that were rewritten.
    pub rewritten: u64,
    /// Entries that turned out to be damaged and were set aside.
    pub quarantined: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// What is in use, as the entries say.
struct Uses {
    /// Each manifest in use, with what it needs.
    manifests: HashMap<Digest, References>,
    /// For each pack in use, the greatest number of bytes in it that one manifest needs; none where
    /// that is not known without reading the manifests, because others were rewritten into it.
    packs: HashMap<Digest, Option<u64>>,
    /// The `.moved` files in use.
    moved: HashSet<Digest>,
    blobs: HashSet<Digest>,
    /// Records of sources; they need nothing.
    records: HashSet<Digest>,
}

/// Whether a pack of some bytes of which some are needed should be rewritten.
fn is_mostly_dead(size: u64, needed: u64) -> bool {
    let dead = size.saturating_sub(needed);
    dead > needed && dead >= WORTH_REWRITING
}

impl Store {
    /// Removes entries. The space they took is given back by [`Store::collect`].
    pub fn remove_entries(&self, _collecting: &GcLock, ids: &[EntryId]) -> Result<()> {
        ids.iter()
            .try_for_each(|id| files::remove(&self.layout.entry(id)))
    }

    /// Gives back the space of everything that no entry refers to.
    pub fn collect_garbage(&self, _collecting: &GcLock) -> Result<GcStats> {
        let mut done = GcStats::default();
        let uses = self.uses(&mut done)?;
        let suspects = self.suspects()?;
        self.sweep(&self.layout.manifests(), &mut done, |name| {
            layout::parse_digest(name, "")
                .is_some_and(|id| uses.manifests.contains_key(&id) || uses.records.contains(&id))
        })?;
        self.collect_packs(&uses, &suspects, &mut done)?;
        self.collect_blobs(&uses, &suspects, &mut done)?;
        for suspect in &suspects {
            files::remove(&self.layout.suspect(suspect))?;
        }
        let ids: HashSet<EntryId> = self.entry_ids(None)?.into_iter().collect();
        let is_entry = |name: &OsString| {
            name.to_str()
                .and_then(EntryId::parse)
                .is_some_and(|id| ids.contains(&id))
        };
        self.sweep(&self.layout.used_dir(), &mut done, is_entry)?;
        for copy in self.ready_copies()? {
            if !uses.manifests.contains_key(&copy.manifest) {
                self.remove_ready_copy(&copy)?;
                done.bytes += copy.bytes;
            }
        }
        self.sweep(&self.layout.stamps(), &mut done, |name| {
            let manifest = name
                .to_str()
                .and_then(|name| name.split('-').next()?.parse().ok());
            manifest.is_some_and(|id: Digest| uses.manifests.contains_key(&id))
        })?;
        self.sweep_old(&self.layout.stamps(), SEEN, &mut done)?;
        self.sweep(&self.layout.locks(), &mut done, |name| name == "store")?;
        self.sweep_old(&self.layout.quarantine(), QUARANTINE, &mut done)?;
        self.sweep_old(&self.layout.job_states(), MEMORY, &mut done)?;
        for name in files::list(&self.layout.tmp())? {
            remove_tree(&self.layout.tmp().join(name))?;
        }
        Ok(done)
    }

    fn uses(&self, done: &mut GcStats) -> Result<Uses> {
        let mut uses = Uses {
            manifests: HashMap::new(),
            packs: HashMap::new(),
            moved: HashSet::new(),
            blobs: HashSet::new(),
            records: HashSet::new(),
        };
        for id in self.entry_ids(None)? {
            let read = self.read_entry(&id).and_then(|entry| {
                entry
                    .map(|entry| Ok((self.read_references(&entry.manifest)?, entry)))
                    .transpose()
            });
            match read {
                Ok(Some((references, entry))) => {
                    uses.manifests.insert(entry.manifest, references);
                    uses.records.extend(entry.sources);
                }
                Ok(None) => {}
                Err(error) if error.is_damage() => {
                    self.quarantine(&id)?;
                    done.quarantined += 1;
                }
                Err(error) => return Err(error),
            }
        }
        for references in uses.manifests.values() {
            uses.blobs.extend(&references.blobs);
            for (pack, bytes) in &references.packs {
                let used = uses.packs.entry(*pack).or_insert(Some(0));
                *used = (*used).max(Some(*bytes));
            }
        }
        self.follow_moves(&mut uses)?;
        Ok(uses)
    }

    /// Adds the packs that packs in use were rewritten into.
    fn follow_moves(&self, uses: &mut Uses) -> Result<()> {
        let mut pending: Vec<Digest> = uses.packs.keys().copied().collect();
        while let Some(id) = pending.pop() {
            if files::stat(&self.layout.pack(&id))?.is_some() {
                continue;
            }
            let moved = match self.read_moved(&id) {
                // The entries that need it are damaged, and will be found so.
                Err(error) if error.is_damage() => None,
                other => other?,
            };
            for new in moved.unwrap_or_default() {
                uses.moved.insert(id);
                if uses.packs.insert(new, None).is_none() {
                    pending.push(new);
                }
            }
        }
        Ok(())
    }

    fn collect_packs(&self, uses: &Uses, suspects: &[Digest], done: &mut GcStats) -> Result<()> {
        let names = files::list(&self.layout.packs())?;
        let ids = || {
            names
                .iter()
                .filter_map(|name| layout::parse_digest(name, ".pack"))
        };
        // Before any is rewritten: what a rewriting makes may have the name of one that a killed
        // collection made.
        for id in ids().filter(|id| !uses.packs.contains_key(id)) {
            self.remove_file(&self.layout.pack(&id), done)?;
        }
        for (id, used) in ids().filter_map(|id| Some((id, uses.packs.get(&id)?))) {
            let size = files::stat(&self.layout.pack(&id))?.map_or(0, |stat| stat.size);
            let is_suspect = suspects.contains(&id);
            if is_suspect || used.is_none_or(|used| is_mostly_dead(size, used)) {
                self.rewrite(&id, uses, is_suspect, done)?;
            }
        }
        for id in names
            .iter()
            .filter_map(|name| layout::parse_digest(name, ".moved"))
        {
            if !uses.moved.contains(&id) && !uses.packs.contains_key(&id) {
                self.remove_file(&self.layout.moved(&id), done)?;
            }
        }
        Ok(())
    }

    /// Copies what is alive and undamaged of a pack into a new one, and removes the old one. One
    /// that is not suspect stays if it turns out that much of it is alive.
    fn rewrite(
        &self,
        id: &Digest,
        uses: &Uses,
        is_suspect: bool,
        done: &mut GcStats,
    ) -> Result<()> {
        let alive = self.alive(id, uses)?;
        let (path, file, index) = match self.open_pack(id) {
            Ok(opened) => opened,
            // Nothing in it can be found any more; the entries that need it are damaged, and will
            // be found so.
            Err(error) if error.is_damage() => {
                return self.remove_file(&self.layout.pack(id), done);
            }
            Err(error) => return Err(error),
        };
        let kept = index
            .records
            .iter()
            .filter(|record| alive.contains(&record.digest));
        let needed = kept.clone().map(|record| u64::from(record.length)).sum();
        if !is_suspect && !is_mostly_dead(index.bytes(), needed) {
            return Ok(());
        }
        let mut writer =
            pack::PackWriter::create(self.layout.tmp().join(random_name()), self.modes.file)?;
        let mut buffer = Vec::new();
        for record in kept {
            buffer.resize(record.length as usize, 0);
            let whole = files::read_exact_at(&file, &mut buffer, record.offset)
                .context("read", || &path)?;
            if whole && Digest::of(&buffer) == record.digest {
                writer.append(&[(record.digest, &buffer)])?;
            }
        }
        let (new, unfinished) = writer.finish()?;
        if new == *id {
            // All of it is alive and undamaged.
            return files::remove(&unfinished);
        }
        let added = files::allocated(&unfinished)?;
        files::rename(&unfinished, &self.layout.pack(&new))?;
        let moved = serde_json::to_vec(&[new]).map_err(Error::defect)?;
        self.write_atomically(&self.layout.moved(id), &moved)?;
        self.remove_file(&path, done)?;
        done.bytes = done.bytes.saturating_sub(added);
        done.rewritten += 1;
        Ok(())
    }

    /// The contents that the manifests which may need a pack refer to.
    fn alive(&self, id: &Digest, uses: &Uses) -> Result<HashSet<Digest>> {
        let mut alive = HashSet::new();
        for (manifest, references) in &uses.manifests {
            let mut needs = false;
            for (pack, _) in &references.packs {
                needs |= pack == id || uses.moved.contains(pack);
            }
            if !needs {
                continue;
            }
            let path = self.layout.manifest(manifest);
            let bytes = files::read(&path).map_err(|error| self.as_damage(error));
            let decoded = bytes.and_then(|bytes| Manifest::decode(&bytes, manifest, &path));
            let manifest = match decoded {
                Ok(manifest) => manifest,
                // Its entry is a miss; it needs nothing.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            alive.extend(
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
                    }),
            );
        }
        Ok(alive)
    }

    fn collect_blobs(&self, uses: &Uses, suspects: &[Digest], done: &mut GcStats) -> Result<()> {
        for shelf in files::list(&self.layout.blobs())? {
            let shelf = self.layout.blobs().join(shelf);
            if files::stat(&shelf)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
                self.remove_file(&shelf, done)?;
                continue;
            }
            // One that was damaged may have been replaced by a save.
            let is_right = |id: Digest| self.verify_blob(&id, &mut Vec::new(), &Silent).is_ok();
            self.sweep(&shelf, done, |name| {
                layout::parse_digest(name, "").is_some_and(|id| {
                    uses.blobs.contains(&id) && (!suspects.contains(&id) || is_right(id))
                })
            })?;
        }
        Ok(())
    }

    /// Removes the files of a directory that did not change for some seconds.
    fn sweep_old(&self, dir: &Path, seconds: i64, done: &mut GcStats) -> Result<()> {
        let now = Timestamp::now().seconds;
        self.sweep(dir, done, |name| {
            let changed = files::stat(&dir.join(name))
                .ok()
                .flatten()
                .map_or(now, |stat| stat.ctime.seconds);
            now.saturating_sub(changed) < seconds
        })
    }

    /// Removes the files of a directory that `keep` says no to.
    fn sweep(
        &self,
        dir: &Path,
        done: &mut GcStats,
        keep: impl Fn(&OsString) -> bool,
    ) -> Result<()> {
        for name in files::list(dir)?.iter().filter(|name| !keep(name)) {
            self.remove_file(&dir.join(name), done)?;
        }
        Ok(())
    }

    #[expect(
        clippy::unused_self,
        reason = "removing files of the store is the store's business"
    )]
    fn remove_file(&self, path: &Path, done: &mut GcStats) -> Result<()> {
        let bytes = files::stat(path)?.map_or(0, |stat| stat.allocated);
        // A file, or what somebody put in its place.
        remove_tree(path)?;
        done.files += 1;
        done.bytes += bytes;
        Ok(())
    }
}
