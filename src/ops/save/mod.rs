//! Saving: scan the roots, reuse what did not change, store the rest, publish an entry.

mod context;
mod file_contents;
mod parent;
mod publish;
mod request;
mod worker;

use std::time::Instant;

pub use request::{Excess, IfExists, SaveOptions, SaveOutcome, SaveRequest, SaveSteps, SavedEntry};

use super::LOCK_TIMEOUT;
use super::restore::prepare_copies;
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Stage};
use crate::store::lock::{SaveLock, SharedLock};
use crate::store::{Entry, EntryId, Store};
use crate::tree::LeafKind;
use crate::tree::scan::{self, Scan, scan};
use context::SaveContext;
use parent::Parent;
use publish::{BytesOnDisk, keep_roots, publish, store_contents, warn_of_skipped};

/// Saves the roots of a request as an entry.
pub fn save(
    store: &Store,
    request: &SaveRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<SaveOutcome> {
    let context = SaveContext {
        store,
        request,
        monitor,
        start: Instant::now(),
    };
    let shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
    let Saved { outcome, lacking } = save_entry(&context, &shared_lock)?;
    adjust_copies(&context, &shared_lock, lacking.as_ref());
    Ok(outcome)
}

/// What a save did, and the ready copies that it could not leave itself.
struct Saved {
    outcome: SaveOutcome,
    lacking: Option<LackingCopies>,
}

struct LackingCopies {
    entry: Entry,
    count: usize,
}

impl From<SaveOutcome> for Saved {
    fn from(outcome: SaveOutcome) -> Self {
        let lacking = None;
        Self { outcome, lacking }
    }
}

fn save_entry(context: &SaveContext<'_>, shared_lock: &SharedLock) -> Result<Saved> {
    let SaveContext { store, request, .. } = *context;
    let id = request.group.entry_id(request.key);
    if request.options.if_exists == IfExists::Keep && has_entry(store, shared_lock, &id)? {
        return Ok(SaveOutcome::Exists.into());
    }
    match store.try_lock_entry(shared_lock, &id)? {
        Some(save_lock) => save_locked(context, id, shared_lock, &save_lock),
        None => Ok(SaveOutcome::InProgress.into()),
    }
}

/// Prepares the copies that the next jobs may need, and removes those beyond the limit. What was
/// saved is complete with any number of copies, so a failure is a warning.
///
/// The entry is not locked any more: jobs that end at the same time save meanwhile.
fn adjust_copies(
    context: &SaveContext<'_>,
    shared_lock: &SharedLock,
    lacking: Option<&LackingCopies>,
) {
    let SaveContext {
        store,
        request,
        monitor,
        ..
    } = *context;
    let prepared = lacking.map_or(Ok(()), |LackingCopies { entry, count }| {
        prepare_copies(store, shared_lock, entry, *count, monitor)
    });
    let limit = request.options.ready_limit;
    let limited = store.limit_ready_copies(shared_lock, request.group, limit);
    for result in [prepared, limited] {
        match result {
            Ok(()) | Err(Error::Interrupted) => {}
            Err(error) => monitor.warn(&error.with_advice()),
        }
    }
}

fn save_locked(
    context: &SaveContext<'_>,
    id: EntryId,
    shared_lock: &SharedLock,
    save_lock: &SaveLock,
) -> Result<Saved> {
    let SaveContext { store, request, .. } = *context;
    let options = &request.options;
    let mut scan = scan_roots(context)?;
    if is_empty(&scan) && !options.allow_empty {
        warn_of_skipped(&scan.skipped, context.monitor);
        return Ok(SaveOutcome::NothingToSave.into());
    }
    if let Some(excess) = excess(&scan, request.max_bytes) {
        return Ok(SaveOutcome::TooLarge(excess).into());
    }
    let bytes_on_disk = BytesOnDisk::of(&scan);
    let parent = Parent::find(store, shared_lock, request)?;
    let restamped = request.steps.and_then(SaveSteps::restamped);
    if let (Some(parent), Some(time)) = (&parent, restamped) {
        scan.undo_restamp(&parent.manifest.tree, time);
    }
    let stored = store_contents(context, shared_lock, scan, parent.as_ref())?;
    // After the roots were read: what changed since then has a later time than anything in them.
    let record = record(context)?;
    let earlier = parent.as_ref().map(|parent| parent.entry.manifest);
    if let Some(parent) = parent
        && options.if_exists == IfExists::ReplaceIfChanged
        && parent.is_same(request.key, &stored.manifest, record.as_deref())
    {
        let id = &parent.entry.manifest;
        let count = keep_roots(context, (id, earlier.as_ref()), &stored, bytes_on_disk);
        let entry = parent.entry;
        return Ok(Saved {
            outcome: SaveOutcome::Unchanged,
            lacking: Some(LackingCopies { entry, count }),
        });
    }
    if stored.manifest.tree.leaves().is_empty() && stored.skipped_files > 0 {
        return Ok(SaveOutcome::NothingToSave.into());
    }
    let Some(entry) = publish(request, save_lock, &stored, record.as_deref())? else {
        return Ok(SaveOutcome::Exists.into());
    };
    let ids = (&entry.manifest, earlier.as_ref());
    let count = keep_roots(context, ids, &stored, bytes_on_disk);
    let lacking = LackingCopies {
        entry: entry.clone(),
        count,
    };
    let saved = SavedEntry {
        id,
        entry,
        reused_files: stored.reused_files,
        reused_bytes: stored.reused_bytes,
        skipped_files: stored.skipped_files,
        elapsed: context.start.elapsed(),
    };
    Ok(Saved {
        outcome: SaveOutcome::Saved(Box::new(saved)),
        lacking: Some(lacking),
    })
}

/// Whether there is an entry. A damaged one is quarantined, so that a new one can take its place.
fn has_entry(store: &Store, lock: &SharedLock, id: &EntryId) -> Result<bool> {
    match store.read_entry(id) {
        Ok(entry) => Ok(entry.is_some()),
        Err(error) if error.is_damage() => {
            // If another process saves the entry, the entry lock or the publication tells.
            store.quarantine_unless_saved(lock, id, None)?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn scan_roots(context: &SaveContext<'_>) -> Result<Scan> {
    context.monitor.begin(Stage::Scanning, 0);
    let options = scan::ScanOptions {
        filter: context.request.filter,
        store: Some(context.store.identity()?),
        ..scan::ScanOptions::default()
    };
    scan(context.request.roots, &options)
}

fn is_empty(scan: &Scan) -> bool {
    // Directory 0 is not a real directory.
    scan.tree.dirs().len() <= 1 && scan.tree.leaves().is_empty()
}

/// Why the contents of a scan may not fit into `max_bytes`; none if they fit.
fn excess(scan: &Scan, max_bytes: Option<u64>) -> Option<Excess> {
    let max_bytes = max_bytes?;
    let leaves = scan.tree.leaves().iter().zip(&scan.stats);
    let files = leaves.filter(|(leaf, _)| matches!(leaf.kind, LeafKind::File(_)));
    // Holes are not stored, and small files are stored without the rest of their last block.
    let bytes = files.map(|(_, stat)| stat.size.min(stat.allocated())).sum();
    (bytes > max_bytes).then_some(Excess { bytes, max_bytes })
}

/// An entry without a record costs builds and is never wrong, so a failure is a warning.
fn record(context: &SaveContext<'_>) -> Result<Option<Vec<u8>>> {
    let Some(steps) = context.request.steps else {
        return Ok(None);
    };
    match steps.record() {
        Ok(record) => Ok(Some(record)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            context.monitor.warn(&format!(
                "{}; the sources are not recorded, so the next job compiles the workspace's own crates again",
                error.with_advice()
            ));
            Ok(None)
        }
    }
}
