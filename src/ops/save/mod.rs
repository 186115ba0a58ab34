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
use crate::store::save::{ContentWriter, Finished};
use crate::tree::Places;
use crate::tree::manifest::Manifest;
use crate::tree::scan::{self, LeftOut, scan};

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
    /// The sources that it was built from, to be recorded with it.
    pub sources: Option<&'a Area>,
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
    // After everything was read: see the sixth rule of `preset::cargo::sources`.
    let recorded = request.sources.map_or(Ok(None), |area| record(area, &finished, monitor))?;
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
        sources: recorded,
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

/// Records the sources. An entry without a record only costs builds.
fn record(area: &Area, finished: &Finished<'_>, monitor: &dyn Monitor) -> Result<Option<Digest>> {
    match sources::record(area, monitor) {
        Ok(record) => finished.publish_record(&record).map(Some),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            monitor.warn(&format!("{}; the times of sources are not kept", error.line()));
            Ok(None)
        }
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
