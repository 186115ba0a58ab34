//! Saving: look at what is there, keep what did not change, store the rest, publish.

mod file_contents;
mod parent;
mod worker;

use std::time::{Duration, Instant};

use crate::ops::save::file_contents::FileContents;
use parent::Parent;

use super::PATIENCE;
use crate::cargo::mtimes::replay as sources;
use crate::cargo::mtimes::replay::Sources;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::store::Store;
use crate::store::lock::{SaveLock, SharedLock};
use crate::store::save::{ContentWriter, FinishedContents};
use crate::store::{Entry, EntryGroup, EntryId};
use crate::tree::Roots;
use crate::tree::manifest::{Manifest, SourceRecord};
use crate::tree::scan::{self, Scan, SkippedPath, scan};
use crate::tree::stamps::RootStamp;

/// How many warnings about single files are given before the rest is only counted.
const WARNINGS: usize = 10;

/// What to save.
pub struct SaveRequest<'a> {
    /// What the entry may stand in for.
    pub group: &'a EntryGroup,
    /// The key.
    pub key: &'a str,
    /// The roots, by the names that restoring knows them by.
    pub places: &'a Roots,
    /// Decides what is left out.
    pub exclude: Option<scan::PathFilter<'a>>,
    /// What happens to an entry that has the key already.
    pub existing: IfExists,
    /// Save an entry without files when there are none, so that the next look finds it.
    pub allow_empty: bool,
    /// Afterwards move the directories among the roots into the store, for a restore to put back by
    /// a rename.
    pub keep_ready: bool,
    /// The sources that it was built from, to be recorded with it.
    pub sources: Option<Sources<'a>>,
    /// An entry that the paths were restored from, if there was one.
    pub parent: Option<EntryId>,
}

/// What happens to an entry that has the key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// It stays, and nothing is saved.
    Stays,
    /// It is replaced.
    IsReplaced,
    /// It is replaced unless it holds just what is there.
    IsReplacedIfChanged,
}

/// What came of it.
#[derive(Debug)]
pub enum SaveOutcome {
    /// An entry was saved.
    Saved(Box<SavedEntry>),
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
pub struct SavedEntry {
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
pub fn save(
    store: &Store,
    request: &SaveRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<SaveOutcome> {
    let begun = Instant::now();
    let sharing = store.lock_shared(PATIENCE)?;
    let id = request.group.entry_id(request.key);
    if request.existing == IfExists::Stays && is_there(store, &id)? {
        return Ok(SaveOutcome::Exists);
    }
    let Some(saving) = store.try_lock_entry(&sharing, &id)? else {
        return Ok(SaveOutcome::InProgress);
    };

    let scan = look(store, request, monitor)?;
    let looked = Looked::at(&scan);
    let times: Vec<Timestamp> = scan.stats.iter().map(|stat| stat.mtime).collect();
    if is_empty(&scan) && !request.allow_empty {
        warn_of(&scan.skipped, monitor);
        return Ok(SaveOutcome::NothingThere);
    }
    let parent = parent::find(store, request)?;
    let stored = store_contents(
        store,
        &sharing,
        scan,
        request.places,
        parent.as_ref(),
        monitor,
    )?;
    // After everything was read: see the sixth rule of `preset::cargo::sources`.
    let recorded = request
        .sources
        .map_or(Ok(None), |sources| record(store, &sources, times, monitor))?;
    if let Some(parent) = parent
        && request.existing == IfExists::IsReplacedIfChanged
        && parent.is_same(store, request.key, &stored.manifest, recorded.as_ref())
    {
        looked.note(
            store,
            &parent.entry.manifest,
            &stored.manifest,
            request,
            monitor,
        );
        return Ok(SaveOutcome::Unchanged);
    }
    if stored.manifest.tree.leaves().is_empty() && stored.left_out > 0 {
        return Ok(SaveOutcome::NothingThere);
    }
    let Some(entry) = publish(request, &saving, &stored, recorded.as_ref())? else {
        return Ok(SaveOutcome::Exists);
    };
    looked.note(store, &entry.manifest, &stored.manifest, request, monitor);
    let StoredContents {
        reused_files,
        reused_bytes,
        left_out,
        ..
    } = stored;
    let took = begun.elapsed();
    Ok(SaveOutcome::Saved(Box::new(SavedEntry {
        id,
        entry,
        reused_files,
        reused_bytes,
        left_out,
        took,
    })))
}

/// Whether there is an entry. A damaged one is set aside, as it does not stand in the way of a new
/// one.
fn is_there(store: &Store, id: &EntryId) -> Result<bool> {
    match store.read_entry(id) {
        Ok(entry) => Ok(entry.is_some()),
        Err(error) if error.is_damage() => store.quarantine(id).map(|()| false),
        Err(error) => Err(error),
    }
}

/// Looks at what there is to save.
fn look(store: &Store, request: &SaveRequest<'_>, monitor: &dyn Monitor) -> Result<Scan> {
    monitor.begin(Stage::Scanning, 0);
    let options = scan::ScanOptions {
        filter: request.exclude,
        store: store.identity()?,
        ..scan::ScanOptions::default()
    };
    scan(request.places, &options)
}

/// Whether a scan found nothing below its top.
fn is_empty(scan: &Scan) -> bool {
    scan.tree.dirs().len() <= 1 && scan.tree.leaves().is_empty()
}

/// A tree whose contents are all in the store, and no entry refers to them yet.
struct StoredContents<'s> {
    manifest: Manifest,
    finished: FinishedContents<'s>,
    reused_files: u64,
    reused_bytes: u64,
    /// How many files could not be kept.
    left_out: u64,
}

/// Takes over what did not change since the parent was saved, and stores the rest.
fn store_contents<'s>(
    store: &'s Store,
    sharing: &SharedLock,
    mut scan: Scan,
    places: &Roots,
    parent: Option<&Parent>,
    monitor: &dyn Monitor,
) -> Result<StoredContents<'s>> {
    let contents = ContentWriter::begin(store, sharing)?;
    let mut kept = FileContents::new(&scan, parent, &contents)?;
    kept.store_rest(&scan, places, &contents, monitor)?;
    let finished = contents.finish()?;

    let (reused_files, reused_bytes) = (kept.reused_files, kept.reused_bytes);
    let mut left_out = std::mem::take(&mut scan.skipped);
    left_out.append(&mut kept.left_out);
    warn_of(&left_out, monitor);
    let manifest = kept.into_manifest(scan, |slot| finished.pack(slot))?;
    Ok(StoredContents {
        manifest,
        finished,
        reused_files,
        reused_bytes,
        left_out: left_out.len() as u64,
    })
}

/// Publishes the record of the sources, the manifest and the entry; none where an entry of the key
/// stays.
fn publish(
    request: &SaveRequest<'_>,
    saving: &SaveLock,
    stored: &StoredContents<'_>,
    recorded: Option<&SourceRecord>,
) -> Result<Option<Entry>> {
    let StoredContents {
        manifest, finished, ..
    } = stored;
    let sources = recorded
        .map(|record| finished.publish_record(record))
        .transpose()?;
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
        sources,
    };
    let mut published = None;
    let is_new = finished.publish(
        saving,
        manifest,
        request.existing != IfExists::Stays,
        |manifest_id| published.insert(describe(manifest_id)).clone(),
    )?;
    Ok(published.filter(|_| is_new))
}

/// What is left of a scan when its manifest is made.
struct Looked {
    started: Timestamp,
    /// Bytes that the files take on disk.
    allocated: u64,
}

impl Looked {
    fn at(scan: &Scan) -> Self {
        let allocated = scan
            .stats
            .iter()
            .map(|stat| stat.allocated / stat.links.max(1))
            .sum();
        Self {
            started: scan.started,
            allocated,
        }
    }

    /// Notes that the roots were as the manifest says, and keeps them where that is asked for. Both
    /// only save time later, so failures are no more than said.
    fn note(
        self,
        store: &Store,
        id: &Digest,
        manifest: &Manifest,
        request: &SaveRequest<'_>,
        monitor: &dyn Monitor,
    ) {
        // What was left out may still be there.
        let sight = RootStamp {
            clean_as_of: self.started,
            no_extraneous_since: None,
        };
        let noted = store.put_root_stamps(id, request.places, sight);
        let kept = noted.and_then(|()| {
            if request.keep_ready {
                store.put_ready_copies(id, &manifest.tree, request.places, self.allocated)?;
            }
            Ok(())
        });
        if let Err(error) = kept {
            monitor.warn(&error.with_advice());
        }
    }
}

/// Records the sources. An entry without a record only costs builds.
fn record(
    store: &Store,
    sources: &Sources<'_>,
    times: Vec<Timestamp>,
    monitor: &dyn Monitor,
) -> Result<Option<SourceRecord>> {
    match sources::record(store, sources, times.into_iter(), monitor) {
        Ok(record) => Ok(Some(record)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            monitor.warn(&format!(
                "{}; the times of sources are not kept",
                error.with_advice()
            ));
            Ok(None)
        }
    }
}

fn warn_of(left_out: &[SkippedPath], monitor: &dyn Monitor) {
    for left_out in left_out.iter().take(WARNINGS) {
        monitor.warn(&format!(
            "{} is not cached: {}",
            left_out.path.display(),
            left_out.reason
        ));
    }
    if let Some(more @ 1..) = left_out.len().checked_sub(WARNINGS) {
        monitor.warn(&format!("{more} more files are not cached"));
    }
}
