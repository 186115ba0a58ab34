//! Restoring: find an entry, compare it with the disk, write what differs.

mod compare;
mod find;
mod prepare;
mod request;
mod root_lock;
mod roots;
mod write;

use std::time::Instant;

pub(crate) use prepare::prepare_copies;
pub use request::{RestoreOptions, RestoreRequest, RestoreStats, RestoreSteps, RestoredEntry};

use super::LOCK_TIMEOUT;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::store::ready::TakenCopies;
use crate::store::{Entry, Store};
use crate::tree::plan::Extraneous;
use compare::{LockedRoots, RestoredTree};
use find::EntryFinder;
use root_lock::RootLock;
use write::{WriteOptions, restore_roots};

/// Restores the best entry for a key; `None` on a miss.
///
/// An entry that turns out to be damaged is quarantined with a warning, and one that can't be read
/// now is left alone with a warning. Then the next best one is tried.
pub fn restore(
    store: &Store,
    request: &RestoreRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<RestoredEntry>> {
    let shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
    let mut finder = EntryFinder::new(store, &shared_lock, monitor);
    while let Some(found) = finder.find(request)? {
        let start = Instant::now();
        let stats = if request.options.lookup_only {
            Ok(RestoreStats::default())
        } else {
            restore_entry(store, &found.entry, request, monitor)
        };
        match stats.map_err(|error| store.as_damage(error)) {
            Ok(stats) => {
                // A look-up that found the entry in the second tier leaves it there.
                if found.is_in_store
                    && !request.options.inspect
                    && let Err(error) = store.mark_used(&found.id)
                {
                    monitor.warn(&error.with_advice());
                }
                return Ok(Some(RestoredEntry {
                    id: found.id,
                    entry: found.entry,
                    matched: found.matched,
                    from_second_tier: found.from_second_tier,
                    stats,
                    elapsed: start.elapsed(),
                }));
            }
            Err(error) => finder.set_aside(&found.id, Some(&found.entry), error)?,
        }
    }
    Ok(None)
}

fn restore_entry(
    store: &Store,
    entry: &Entry,
    request: &RestoreRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<RestoreStats> {
    let manifest = store.read_manifest(&entry.manifest)?;
    let roots = roots::destinations(&manifest.tree, request.destination)?;
    let lock = RootLock::take(&roots, LOCK_TIMEOUT, monitor)?;
    let TakenCopies { taken, missed } = if request.options.inspect {
        TakenCopies::default()
    } else {
        store.take_ready_copies(&entry.manifest, &manifest.tree, &roots)?
    };
    let target = LockedRoots {
        roots: &roots,
        lock: &lock,
        // What was in a ready copy besides the entry belongs to the job that left it.
        extraneous: if !taken.is_empty() && taken.len() == roots.iter().count() {
            Extraneous::Remove
        } else {
            request.options.extraneous
        },
    };
    let restored = RestoredTree {
        entry,
        manifest: &manifest,
        roots: &roots,
    };
    let options = WriteOptions {
        steps: request.steps,
        verify: request.options.verify,
    };
    // On an error, roots that were missing are missing again: a ready copy may have lost data in a
    // power cut, and what the restore did not reach is not compared yet.
    let stats = restore_roots(store, &restored, &target, options, monitor)
        .inspect_err(|_| store.discard_taken(&taken))?;
    for (number, path) in missed {
        store.note_lent(&entry.manifest, number, &path);
    }
    Ok(RestoreStats {
        ready: u32::try_from(taken.len()).unwrap_or(u32::MAX),
        ..stats
    })
}
