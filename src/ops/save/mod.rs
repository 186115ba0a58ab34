//! Saving: look at what is there, keep what did not change, store the rest, publish.

mod kept;
mod worker;

use std::time::{Duration, Instant};

use kept::Kept;

use super::{PATIENCE, sources};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::preset::cargo::sources::Area;
use crate::store::Store;
use crate::store::entry::{Entry, EntryId, Group};
use crate::store::save::ContentWriter;
use crate::tree::Places;
use crate::tree::compare::is_same;
use crate::tree::manifest::{Manifest, Record};
use crate::tree::scan::{self, LeftOut, Scan, scan};
use crate::tree::seen::Seen;
use crate::tree::seen::Sight;

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
    /// What happens to an entry that has the key already.
    pub existing: Existing,
    /// Save an entry without files when there are none, so that the next look finds it.
    pub allow_empty: bool,
    /// Afterwards move the directories among the roots into the store, for a restore to put back by a rename.
    pub keep_ready: bool,
    /// The sources that it was built from, to be recorded with it.
    pub sources: Option<&'a Area>,
    /// An entry that the paths were restored from, if there was one.
    pub parent: Option<EntryId>,
}

/// What happens to an entry that has the key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is saved.
    Stays,
    /// It is replaced.
    IsReplaced,
    /// It is replaced unless it holds just what is there.
    IsReplacedIfChanged,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// An entry was saved.
    Saved(Box<Saved>),
    /// There is an entry of this key already, and it stays.
    Exists,
    /// The earlier entry has the same key and holds just what is there.
    Unchanged,
    /// Another process is saving this key right now.
    InProgress,
    /// None of the paths exists, or nothing of them can be kept.
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
    if request.existing == Existing::Stays && exists().or_else(|error| set_aside(store, &id, error))? {
        return Ok(Outcome::Exists);
    }
    let Some(saving) = store.begin_saving(&sharing, &id)? else { return Ok(Outcome::InProgress) };

    monitor.begin(Stage::Scanning, 0);
    let options =
        scan::Options { exclude: request.exclude, store: store.identity()?, ..scan::Options::default() };
    let mut scan = scan(request.places, &options)?;
    let looked = Looked::at(&scan);
    if scan.tree.dirs().len() <= 1 && scan.tree.leaves().is_empty() && !request.allow_empty {
        warn_of(&scan.left_out, monitor);
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
    // After everything was read: see the sixth rule of `preset::cargo::sources`.
    let recorded = request.sources.map_or(Ok(None), |area| record(area, monitor))?;
    if let Some(parent) = parent.filter(|parent| parent.entry.key == request.key)
        && request.existing == Existing::IsReplacedIfChanged
        && is_same(&parent.manifest.tree, &manifest.tree)
        && is_recorded(store, &parent.entry, recorded.as_ref())
    {
        looked.note(store, &parent.entry.manifest, &manifest, request, monitor);
        return Ok(Outcome::Unchanged);
    }
    if manifest.tree.leaves().is_empty() && !left_out.is_empty() {
        return Ok(Outcome::NothingThere);
    }
    let recorded = recorded.map(|record| finished.publish_record(&record)).transpose()?;
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
        sources: recorded,
    };
    let mut published = None;
    let is_new =
        finished.publish(&saving, &manifest, request.existing != Existing::Stays, |manifest_id| {
            published.insert(describe(manifest_id)).clone()
        })?;
    let Some(entry) = published.filter(|_| is_new) else { return Ok(Outcome::Exists) };
    looked.note(store, &entry.manifest, &manifest, request, monitor);
    Ok(Outcome::Saved(Box::new(Saved {
        id,
        entry,
        reused_files,
        reused_bytes,
        left_out: left_out.len() as u64,
        took: begun.elapsed(),
    })))
}

/// What is left of a scan when its manifest is made.
struct Looked {
    started: Timestamp,
    /// Bytes that the files take on disk.
    allocated: u64,
}

impl Looked {
    fn at(scan: &Scan) -> Self {
        let allocated = scan.stats.iter().map(|stat| stat.allocated / stat.links.max(1)).sum();
        Self { started: scan.started, allocated }
    }

    /// Notes that the roots were as the manifest says, and keeps them where that is asked for. Both only save time
    /// later, so failures are no more than said.
    fn note(
        self,
        store: &Store,
        id: &Digest,
        manifest: &Manifest,
        request: &Request<'_>,
        monitor: &dyn Monitor,
    ) {
        // What was left out may still be there.
        let sight = Sight { moment: self.started, exact: false };
        let noted = store.note_seen(id, request.places, sight);
        let kept = noted.and_then(|()| {
            if request.keep_ready {
                store.keep_ready(id, &manifest.tree, request.places, self.allocated)?;
            }
            Ok(())
        });
        if let Err(error) = kept {
            monitor.warn(&error.line());
        }
    }
}

/// Records the sources. An entry without a record only costs builds.
fn record(area: &Area, monitor: &dyn Monitor) -> Result<Option<Record>> {
    match sources::record(area, monitor) {
        Ok(record) => Ok(Some(record)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            monitor.warn(&format!("{}; the times of sources are not kept", error.line()));
            Ok(None)
        }
    }
}

/// Whether the record of an entry says the same of the sources' contents, or none was made now. An old one stays right
/// beside a target that did not change, but where workspaces share sources, times are given back only to what all of
/// their records agree on: one that is never renewed would keep a change in another workspace looking new for ever.
fn is_recorded(store: &Store, entry: &Entry, recorded: Option<&Record>) -> bool {
    let known = || entry.sources.and_then(|id| store.read_record(&id).ok());
    recorded.is_none_or(|recorded| known().is_some_and(|known| known.has_same_contents(recorded)))
}

/// A damaged entry does not stand in the way of a new one.
fn set_aside(store: &Store, id: &EntryId, error: Error) -> Result<bool> {
    if error.is_damage() { store.quarantine(id).map(|()| false) } else { Err(error) }
}

/// What a scan is compared with.
struct Parent {
    entry: Entry,
    manifest: Manifest,
    /// When the roots were as it says.
    seen: Seen,
}

/// The entry to compare with: the one that was restored, else the newest of the group.
fn find_parent(store: &Store, request: &Request<'_>) -> Result<Option<Parent>> {
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
        let read = store.read_entry(&id).and_then(|entry| {
            entry.map(|entry| store.read_manifest(&entry).map(|manifest| (entry, manifest))).transpose()
        });
        match read {
            Ok(Some((entry, manifest))) => {
                let seen = store.seen(&entry.manifest, request.places);
                return Ok(Some(Parent { entry, manifest, seen }));
            }
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
