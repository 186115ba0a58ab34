//! Restoring: find an entry, compare it with the disk, write what differs.

mod compare;
mod find;
mod request;
mod root_lock;
mod roots;

use std::time::Instant;

pub use request::{RestoreOptions, RestoreRequest, RestoreStats, RestoreSteps, RestoredEntry};

use super::LOCK_TIMEOUT;
use crate::error::Result;
use crate::fmt::human::plural;
use crate::monitor::{Monitor, Stage};
use crate::store::ready::TakenCopies;
use crate::store::{Entry, Store};
use crate::tree::LeafKind;
use crate::tree::apply::{self, Applied};
use crate::tree::manifest::Manifest;
use crate::tree::plan::{Extraneous, Plan};
use compare::{LockedRoots, RestoredTree, RootComparison};
use find::EntryFinder;
use root_lock::RootLock;

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
    // On an error, roots that were missing are missing again: a ready copy may have lost data in a
    // power cut, and what the restore did not reach is not compared yet.
    let stats = restore_roots(store, &restored, &target, request, monitor)
        .inspect_err(|_| store.discard_taken(&taken))?;
    for (number, path) in missed {
        store.note_lent(&entry.manifest, number, &path);
    }
    Ok(RestoreStats {
        ready: u32::try_from(taken.len()).unwrap_or(u32::MAX),
        ..stats
    })
}

/// Brings roots into the state of the entry.
fn restore_roots(
    store: &Store,
    restored: &RestoredTree<'_>,
    target: &LockedRoots<'_>,
    request: &RestoreRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<RestoreStats> {
    let RestoredTree {
        entry,
        manifest,
        roots,
    } = *restored;
    if let Some(steps) = request.steps {
        steps.prepare(entry, manifest, roots)?;
    }
    monitor.begin(Stage::Scanning, 0);
    let comparison = RootComparison::new(store, entry, manifest, target)?;
    let plan = &comparison.plan;
    monitor.begin(Stage::Restoring, bytes_to_write(manifest, plan));
    let options = apply::ApplyOptions {
        verify: request.options.verify,
        source: store,
        monitor,
    };
    let apply::ApplyOutcome { applied, states } = apply::apply(manifest, plan, roots, options)?;
    let restamped = match request.steps {
        Some(steps) => steps.finish(entry, manifest, roots)?,
        None => None,
    };
    comparison.keep_stamp(store, restored, states, restamped);
    warn_of_losses(&applied, monitor);
    Ok(RestoreStats {
        applied: Some(applied),
        up_to_date_files: plan.up_to_date + applied.confirmed,
        up_to_date_bytes: plan
            .up_to_date_bytes
            .saturating_add(applied.confirmed_bytes),
        ready: 0,
    })
}

/// Saturates: a manifest can claim any size.
fn bytes_to_write(manifest: &Manifest, plan: &Plan) -> u64 {
    plan.write
        .iter()
        .map(|leaf| match &manifest.tree[*leaf].kind {
            LeafKind::File(file) => file.data_len(),
            LeafKind::Symlink(_) | LeafKind::HardLink(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

/// Warns of what the filesystem could not take over.
fn warn_of_losses(applied: &Applied, monitor: &dyn Monitor) {
    if applied.without_attributes > 0 {
        monitor.warn(&format!(
            "some extended attributes of {} files or directories could not be set",
            applied.without_attributes
        ));
    }
    if applied.copied_links > 0 {
        monitor.warn(&format!(
            "{} copied, because the filesystem refused to link",
            plural(applied.copied_links, "hard link was", "hard links were")
        ));
    }
}
