//! Putting contents into the store and publishing the entry that refers to them.

use std::path::PathBuf;

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
use crate::store::prepared::unshared_bytes;
use crate::store::ready::ReturnedRoots;
use crate::store::save::{ContentWriter, FinishedContents};
use crate::tree::manifest::Manifest;
use crate::tree::scan::{Scan, SkipReason, SkippedPath};
use crate::tree::stamp::Stamp;

/// Warnings about single files before the rest is only counted.
const WARNINGS: usize = 10;

/// A tree whose contents are all in the store, and that no entry refers to yet.
pub(super) struct StoredContents<'s> {
    pub(super) manifest: Manifest,
    /// By what the files can be recognised later.
    stamp: Stamp,
    finished: FinishedContents<'s>,
    pub(super) reused_files: u64,
    pub(super) reused_bytes: u64,
    pub(super) skipped_files: u64,
    /// A directory below the roots that this user may not read, and thus not remove.
    closed_directory: Option<PathBuf>,
}

/// Reuses what did not change since the parent was saved, and stores the rest.
pub(super) fn store_contents<'s>(
    context: &SaveContext<'s>,
    shared_lock: &'s SharedLock,
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
    let (manifest, stamp) = contents.into_manifest(scan, restamped, |slot| finished.pack(slot))?;
    Ok(StoredContents {
        manifest,
        stamp,
        finished,
        reused_files,
        reused_bytes,
        skipped_files: skipped.len() as u64,
        closed_directory: skipped
            .into_iter()
            .find_map(|skipped| match skipped.reason {
                SkipReason::ClosedDirectory => Some(skipped.path),
                _ => None,
            }),
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

/// Bytes that the files of a scan take on disk.
#[derive(Clone, Copy)]
pub(super) struct BytesOnDisk(u64);

impl BytesOnDisk {
    pub(super) fn of(scan: &Scan) -> Self {
        // A file with several links is listed once for each of them.
        let stats = scan.stats.iter();
        Self(
            stats
                .map(|stat| stat.allocated() / u64::from(stat.links.max(1)))
                .sum(),
        )
    }
}

/// Keeps the stamp of the roots and, if asked for, moves the directories among them into the store
/// as ready copies. Both only save time later, so failures are warnings. `earlier` is the manifest
/// that the roots matched before. Returns how many more copies the next jobs may need.
pub(super) fn keep_roots(
    context: &SaveContext<'_>,
    (id, earlier): (&Digest, Option<&Digest>),
    stored: &StoredContents<'_>,
    bytes_on_disk: BytesOnDisk,
) -> usize {
    let SaveContext {
        store,
        request,
        monitor,
        ..
    } = *context;
    let tree = &stored.manifest.tree;
    let kept = store
        .put_stamp(id, tree, request.roots, stored.stamp.clone())
        .and_then(|()| match &stored.closed_directory {
            _ if !request.options.keep_ready => Ok(0),
            Some(closed) => {
                // No job of this user could ever remove it from the store.
                monitor.warn(&format!(
                    "{} belongs to another user, so the directories are not moved into the store; \
                     let the step that made it remove it",
                    closed.display()
                ));
                Ok(0)
            }
            // The entry lacks it, so it stays with the user. A warning named it.
            None if stored.skipped_files > 0 => Ok(0),
            None => {
                request.steps.map_or(Ok(()), SaveSteps::before_move)?;
                let returned = ReturnedRoots {
                    manifest: id,
                    earlier: earlier.filter(|earlier| *earlier != id),
                    tree,
                    roots: request.roots,
                    bytes: if store.shares_blocks() {
                        unshared_bytes(&stored.manifest)
                    } else {
                        bytes_on_disk.0
                    },
                };
                store.put_ready_copies(&returned, request.options.ready_limit)
            }
        });
    kept.unwrap_or_else(|error| {
        monitor.warn(&error.with_advice());
        0
    })
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
