//! Putting contents into the store and publishing the entry that refers to them.

use crate::digest::Digest;
use crate::error::Result;
use crate::fs::Timestamp;
use crate::monitor::Monitor;
use crate::ops::save::context::SaveContext;
use crate::ops::save::file_contents::FileContents;
use crate::ops::save::parent::Parent;
use crate::ops::save::request::{IfExists, SaveRequest, SaveSteps};
use crate::store::Entry;
use crate::store::lock::{SaveLock, SharedLock};
use crate::store::save::{ContentWriter, FinishedContents};
use crate::tree::manifest::Manifest;
use crate::tree::scan::{Scan, SkippedPath};
use crate::tree::stamps::RootStamp;

/// Warnings about single files before the rest is only counted.
const WARNINGS: usize = 10;

/// A tree whose contents are all in the store, and that no entry refers to yet.
pub(super) struct StoredContents<'s> {
    pub(super) manifest: Manifest,
    finished: FinishedContents<'s>,
    pub(super) reused_files: u64,
    pub(super) reused_bytes: u64,
    pub(super) skipped_files: u64,
}

/// Reuses what did not change since the parent was saved, and stores the rest.
pub(super) fn store_contents<'s>(
    context: &SaveContext<'s>,
    shared_lock: &SharedLock,
    mut scan: Scan,
    parent: Option<&Parent>,
) -> Result<StoredContents<'s>> {
    let writer = ContentWriter::begin(context.store, shared_lock)?;
    let mut contents = FileContents::new(&scan, parent, &writer)?;
    contents.store_changed(&scan, &writer, context)?;
    let finished = writer.finish()?;

    let restamped = context.request.steps.and_then(SaveSteps::restamped);
    let (reused_files, reused_bytes) = (contents.reused_files, contents.reused_bytes);
    let mut skipped = std::mem::take(&mut scan.skipped);
    skipped.append(&mut contents.skipped);
    warn_of_skipped(&skipped, context.monitor);
    let manifest = contents.into_manifest(scan, restamped, |slot| finished.pack(slot))?;
    Ok(StoredContents {
        manifest,
        finished,
        reused_files,
        reused_bytes,
        skipped_files: skipped.len() as u64,
    })
}

/// Publishes the record, then the manifest, then the entry. `None` where another
/// process published an entry with the key first and that one stays.
pub(super) fn publish(
    request: &SaveRequest<'_>,
    save_lock: &SaveLock,
    stored: &StoredContents<'_>,
    record: Option<&[u8]>,
) -> Result<Option<Entry>> {
    let StoredContents {
        manifest, finished, ..
    } = stored;
    let record = record
        .map(|record| finished.publish_record(record))
        .transpose()?;
    let new_entry = |manifest_id: Digest| Entry {
        format: crate::store::layout::VERSION,
        group: request.group.clone(),
        key: request.key.to_owned(),
        created: Timestamp::now(),
        manifest: manifest_id,
        files: manifest.tree.leaves().len() as u64,
        directories: manifest.tree.dirs().len() as u64 - 1,
        bytes: manifest.tree.total_bytes(),
        added_bytes: finished.added_bytes,
        record,
        parts: request.parts.clone(),
    };
    let may_replace = request.options.if_exists != IfExists::Keep;
    let mut published = None;
    let is_new = finished.publish(save_lock, manifest, may_replace, |manifest_id| {
        published.insert(new_entry(manifest_id)).clone()
    })?;
    Ok(published.filter(|_| is_new))
}

/// What is needed of a scan after the manifest took it over.
pub(super) struct ScanSummary {
    started: Timestamp,
    /// Bytes that the files take on disk.
    allocated: u64,
}

impl ScanSummary {
    pub(super) fn of(scan: &Scan) -> Self {
        // A file with several links is listed once for each of them.
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

    /// Notes that the roots match the manifest and, if asked for, moves them into the store as
    /// ready copies. Both only save time later, so failures are warnings.
    pub(super) fn note_clean_roots(
        &self,
        context: &SaveContext<'_>,
        id: &Digest,
        manifest: &Manifest,
    ) {
        let SaveContext {
            store,
            request,
            monitor,
            ..
        } = *context;
        let stamp = RootStamp {
            clean_as_of: self.started,
            // Skipped files may be there.
            no_extraneous_since: None,
            restamped: request.steps.and_then(SaveSteps::restamped),
        };
        let noted = store
            .put_root_stamps(id, request.roots, stamp)
            .and_then(|()| {
                if request.options.keep_ready {
                    request.steps.map_or(Ok(()), SaveSteps::before_move)?;
                    store.put_ready_copies(id, &manifest.tree, request.roots, self.allocated)?;
                }
                Ok(())
            });
        if let Err(error) = noted {
            monitor.warn(&error.with_advice());
        }
    }
}

pub(super) fn warn_of_skipped(skipped: &[SkippedPath], monitor: &dyn Monitor) {
    for path in skipped.iter().take(WARNINGS) {
        monitor.warn(&format!(
            "{} is not cached: {}",
            path.path.display(),
            path.reason
        ));
    }
    if let Some(more @ 1..) = skipped.len().checked_sub(WARNINGS) {
        monitor.warn(&format!("{more} more files are not cached"));
    }
}
