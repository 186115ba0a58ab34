//! Saving: look at what is there, keep what did not change, store the rest, publish.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::fs::{Extent, Stat, Timestamp};
use crate::monitor::{Monitor, Stage};
use crate::store::Store;
use crate::store::entry::{Entry, EntryId, Group};
use crate::store::pack::LARGEST_CONTENT;
use crate::store::save::{ContentWriter, Slot};
use crate::tree::compare::unchanged;
use crate::tree::manifest::Manifest;
use crate::tree::scan::{self, LeftOut, Scan, scan};
use crate::tree::{Content, FileData, LeafId, LeafKind, Place, Places, Read, Reader, Runs};
use crate::workers;

/// Bytes of small files that are read and put into a pack at once.
const CHUNK: u64 = 2 << 20;
/// How many warnings about single files are given before the rest is only counted.
const WARNINGS: usize = 10;

/// What to save.
pub struct Request<'a> {
    /// What the entry may stand in for.
    pub group: &'a Group,
    /// The key.
    pub key: &'a str,
    /// The roots, by the names that restoring knows them by.
    pub places: &'a Places,
    /// Decides what is left out.
    pub exclude: Option<scan::Exclude<'a>>,
    /// Replace an entry of the same key.
    pub refresh: bool,
    /// An entry that the paths were restored from, if there was one.
    pub parent: Option<EntryId>,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// An entry was saved.
    Saved(Box<Saved>),
    /// There is an entry of this key already, and it stays.
    Exists,
    /// Another process is saving this key right now.
    InProgress,
    /// None of the paths exists.
    NothingThere,
}

/// An entry that was saved.
#[derive(Debug)]
pub struct Saved {
    /// Its id.
    pub id: EntryId,
    /// The entry.
    pub entry: Entry,
    /// Files whose contents were taken over from an earlier entry without reading them.
    pub reused_files: u64,
    /// Bytes in them.
    pub reused_bytes: u64,
    /// How many files could not be kept.
    pub left_out: u64,
    /// How long it took.
    pub took: Duration,
}

/// Saves an entry.
pub fn save(store: &Store, request: &Request<'_>, monitor: &dyn Monitor) -> Result<Outcome> {
    let begun = Instant::now();
    let sharing = store.share(PATIENCE)?;
    let id = request.group.entry_id(request.key);
    let exists = || store.read_entry(&id).map(|entry| entry.is_some());
    if !request.refresh && exists().or_else(|error| set_aside(store, &id, error))? {
        return Ok(Outcome::Exists);
    }
    let Some(saving) = store.begin_saving(&sharing, &id)? else { return Ok(Outcome::InProgress) };

    monitor.begin(Stage::Scanning, 0);
    let options =
        scan::Options { exclude: request.exclude, store: store.identity()?, ..scan::Options::default() };
    let mut scan = scan(request.places, &options)?;
    if scan.tree.dirs().len() <= 1 && scan.tree.leaves().is_empty() && scan.left_out.is_empty() {
        return Ok(Outcome::NothingThere);
    }
    let parent = find_parent(store, request)?;
    let contents = ContentWriter::begin(store, &sharing)?;
    let mut kept = Kept::new(&scan, parent.as_ref(), &contents)?;
    kept.store_rest(&scan, request.places, &contents, monitor)?;
    let finished = contents.finish()?;

    let (reused_files, reused_bytes) = (kept.reused_files, kept.reused_bytes);
    let mut left_out = std::mem::take(&mut scan.left_out);
    left_out.append(&mut kept.left_out);
    warn_of(&left_out, monitor);
    let manifest = kept.into_manifest(scan, |slot| finished.pack(slot))?;
    let describe = |manifest_id: Digest| Entry {
        format: crate::store::layout::VERSION,
        group: request.group.clone(),
        key: request.key.to_owned(),
        created: Timestamp::now(),
        manifest: manifest_id,
        files: manifest.tree.leaves().len() as u64,
        directories: manifest.tree.dirs().len() as u64 - 1,
        bytes: manifest.tree.total_bytes(),
        added_bytes: finished.added_bytes,
    };
    let mut published = None;
    let is_new = finished.publish(&saving, &manifest, request.refresh, |manifest_id| {
        published.insert(describe(manifest_id)).clone()
    })?;
    match published {
        Some(entry) if is_new => Ok(Outcome::Saved(Box::new(Saved {
            id,
            entry,
            reused_files,
            reused_bytes,
            left_out: left_out.len() as u64,
            took: begun.elapsed(),
        }))),
        _ => Ok(Outcome::Exists),
    }
}

/// A damaged entry does not stand in the way of a new one.
fn set_aside(store: &Store, id: &EntryId, error: Error) -> Result<bool> {
    if error.is_damage() { store.quarantine(id).map(|()| false) } else { Err(error) }
}

/// The manifest to compare with: that of the entry which was restored, else of the newest of the group.
fn find_parent(store: &Store, request: &Request<'_>) -> Result<Option<Manifest>> {
    let mut ids: Vec<EntryId> = request.parent.iter().cloned().collect();
    let mut of_group = Vec::new();
    for id in store.entry_ids(Some(request.group))? {
        if let Ok(Some(entry)) = store.read_entry(&id) {
            of_group.push((entry.created, id));
        }
    }
    of_group.sort_unstable();
    ids.extend(of_group.pop().map(|(_, id)| id));
    for id in ids {
        let read = store
            .read_entry(&id)
            .and_then(|entry| entry.map(|entry| store.read_manifest(&entry)).transpose());
        match read {
            Ok(Some(manifest)) => return Ok(Some(manifest)),
            Ok(None) => {}
            // Without a parent everything is read: slower, but right.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn warn_of(left_out: &[LeftOut], monitor: &dyn Monitor) {
    for left_out in left_out.iter().take(WARNINGS) {
        monitor.warn(&format!("{} is not cached: {}", left_out.path.display(), left_out.reason));
    }
    if let Some(more @ 1..) = left_out.len().checked_sub(WARNINGS) {
        monitor.warn(&format!("{more} more files are not cached"));
    }
}

/// A file whose contents are in the store.
struct Stored {
    leaf: LeafId,
    /// The state in which it was read; none for one that was not read.
    state: Option<Stat>,
    size: u64,
    extents: Box<[Extent]>,
    /// Its digest and pack, or none as pack for a blob.
    content: Option<(Digest, Option<Slot>)>,
}

/// What becomes of the files of a scan.
#[derive(Default)]
struct Kept {
    stored: Vec<Stored>,
    rest: Vec<LeafId>,
    gone: HashSet<LeafId>,
    left_out: Vec<LeftOut>,
    reused_files: u64,
    reused_bytes: u64,
}

impl Kept {
    /// Takes over what did not change since the parent was saved and is still in the store.
    fn new(scan: &Scan, parent: Option<&Manifest>, contents: &ContentWriter<'_>) -> Result<Self> {
        let mut kept = Self::default();
        let packs =
            parent.map(|parent| parent.packs.iter().map(|pack| contents.existing_pack(pack)).collect());
        let packs: Vec<Option<Slot>> = packs.transpose()?.unwrap_or_default();
        let same = parent.map(|parent| unchanged(scan, parent)).unwrap_or_default();
        for leaf in scan.tree.leaf_ids_depth_first() {
            let LeafKind::File(file) = &scan.tree[leaf].kind else { continue };
            let known = same.get(leaf.0 as usize).copied().flatten();
            let content = match known.map(|known| known.content) {
                _ if file.size == 0 => Some(None),
                Some(Some(Content { digest, place: Place::Pack(pack) })) => {
                    packs[pack as usize].map(|slot| Some((digest, Some(slot))))
                }
                Some(Some(Content { digest, place: Place::Blob })) => {
                    contents.has_blob(&digest)?.then_some(Some((digest, None)))
                }
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
            kept.stored.push(Stored { leaf, state: None, size: file.size, extents, content });
        }
        Ok(kept)
    }

    /// Reads and stores the files that are new or changed, in parallel.
    fn store_rest(
        &mut self,
        scan: &Scan,
        places: &Places,
        contents: &ContentWriter<'_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let jobs = jobs(scan, &self.rest);
        monitor.begin(Stage::Storing, self.rest.iter().map(|leaf| scan.stats[leaf.0 as usize].size).sum());
        if jobs.iter().any(|job| matches!(job, Job::Small(_))) {
            contents.learn_known()?;
        }
        let results = Mutex::new(std::mem::take(self));
        let worker =
            || Worker { reader: Reader::new(&scan.tree, places), scan, places, contents, buffer: Vec::new() };
        workers::in_order(&jobs, worker, |worker, job| {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let read = match job {
                Job::Large(leaf) => vec![(*leaf, worker.store_large(*leaf)?)],
                Job::Small(leaves) => worker.store_small(leaves)?,
            };
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            for (leaf, read) in read {
                monitor.advance(scan.stats[leaf.0 as usize].size);
                results.add(leaf, read, scan, places);
            }
            Ok(())
        })?;
        *self = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    fn add(&mut self, leaf: LeafId, read: Read<Stored>, scan: &Scan, places: &Places) {
        match read {
            Read::Done(state, stored) => self.stored.push(Stored { state: Some(state), ..stored }),
            Read::Gone => {
                self.gone.insert(leaf);
            }
            Read::LeftOut(reason) => {
                self.left_out.push(LeftOut { path: places.leaf_path(&scan.tree, leaf), reason });
                self.gone.insert(leaf);
            }
        }
    }

    fn into_manifest(self, scan: Scan, pack_of: impl Fn(Slot) -> Result<Digest>) -> Result<Manifest> {
        let Scan { mut tree, started, .. } = scan;
        let mut packs: Vec<Digest> = Vec::new();
        for stored in self.stored {
            let content = match stored.content {
                None => None,
                Some((digest, None)) => Some(Content { digest, place: Place::Blob }),
                Some((digest, Some(slot))) => {
                    let pack = pack_of(slot)?;
                    let number = packs.iter().position(|known| *known == pack).unwrap_or_else(|| {
                        packs.push(pack);
                        packs.len() - 1
                    });
                    let place = Place::Pack(u32::try_from(number).unwrap_or(u32::MAX));
                    Some(Content { digest, place })
                }
            };
            let (mode, modified) = match stored.state {
                Some(state) => (state.mode, state.modified),
                None => (tree[stored.leaf].mode, tree[stored.leaf].modified),
            };
            tree.set_file(
                stored.leaf,
                mode,
                modified,
                FileData { size: stored.size, extents: stored.extents, content },
            );
        }
        Ok(Manifest { scanned: started, packs, tree: tree.without(&self.gone) })
    }
}

enum Job {
    Large(LeafId),
    Small(Vec<LeafId>),
}

/// Large files first, the largest before the others; then small ones in the order given, so that what lies together in
/// the tree lies together in a pack.
fn jobs(scan: &Scan, leaves: &[LeafId]) -> Vec<Job> {
    let size = |leaf: &LeafId| scan.stats[leaf.0 as usize].size;
    let (mut large, small): (Vec<LeafId>, Vec<LeafId>) =
        leaves.iter().copied().partition(|leaf| size(leaf) > LARGEST_CONTENT);
    large.sort_by_key(|leaf| std::cmp::Reverse(size(leaf)));
    let mut jobs: Vec<Job> = large.into_iter().map(Job::Large).collect();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for leaf in small {
        bytes += size(&leaf);
        chunk.push(leaf);
        if bytes >= CHUNK {
            jobs.push(Job::Small(std::mem::take(&mut chunk)));
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        jobs.push(Job::Small(chunk));
    }
    jobs
}

struct Worker<'a> {
    reader: Reader<'a>,
    scan: &'a Scan,
    places: &'a Places,
    contents: &'a ContentWriter<'a>,
    buffer: Vec<u8>,
}

impl Worker<'_> {
    fn store_large(&mut self, leaf: LeafId) -> Result<Read<Stored>> {
        let path = self.places.leaf_path(&self.scan.tree, leaf);
        let contents = self.contents;
        self.reader.read(leaf, |file, stat| {
            let Runs { data, extents } = Runs::of(file, stat).context("read", || &path)?;
            let content =
                if data.is_empty() { None } else { Some(contents.put_large(file, &path, &data)?.digest) };
            let content = content.map(|digest| (digest, None));
            Ok(Stored { leaf, state: None, size: stat.size, extents, content })
        })
    }

    /// Reads small files one after another into the buffer and puts them into the store together.
    fn store_small(&mut self, leaves: &[LeafId]) -> Result<Vec<(LeafId, Read<Stored>)>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut results = Vec::with_capacity(leaves.len());
        let mut ranges = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let start = buffer.len();
            let read = self.read_small(*leaf, &mut buffer, start)?;
            match &read {
                Read::Done(_, stored) if stored.content.is_none() && buffer.len() > start => {
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
            let slots = self.contents.put_small(&data)?;
            for (((result, _), (digest, _)), slot) in ranges.iter().zip(&data).zip(slots) {
                if let (_, Read::Done(_, stored)) = &mut results[*result] {
                    stored.content = Some((*digest, Some(slot)));
                }
            }
        }
        self.buffer = buffer;
        Ok(results)
    }

    fn read_small(&mut self, leaf: LeafId, buffer: &mut Vec<u8>, start: usize) -> Result<Read<Stored>> {
        use std::os::unix::fs::FileExt;

        let path = || self.places.leaf_path(&self.scan.tree, leaf);
        let contents = self.contents;
        self.reader.read(leaf, |file, stat| {
            let Runs { data, extents } = Runs::of(file, stat).context("read", path)?;
            buffer.truncate(start);
            if stat.size > LARGEST_CONTENT && !data.is_empty() {
                // It grew since it was looked at.
                let copied = contents.put_large(file, &path(), &data)?;
                let content = Some((copied.digest, None));
                return Ok(Stored { leaf, state: None, size: stat.size, extents, content });
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
            Ok(Stored { leaf, state: None, size: stat.size, extents, content: None })
        })
    }
}
