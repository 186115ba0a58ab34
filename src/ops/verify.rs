//! Checking everything in a store, and repairing it.

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::LOCK_TIMEOUT;
use crate::store::Store;
use crate::store::gc::GcStats;
use crate::store::verify::VerifyReport;

/// Reads the whole store and compares it with its digests. With `repair`, damaged entries are
/// quarantined and damaged contents removed.
///
/// Errors: [`Error::Busy`] if others use a store that has to be repaired.
pub fn verify(
    store: &Store,
    repair: bool,
    monitor: &dyn Monitor,
) -> Result<(VerifyReport, Option<GcStats>)> {
    let report = {
        let shared_lock = store.lock_shared(LOCK_TIMEOUT)?;
        store.verify(&shared_lock, monitor)?
    };
    if !repair || (report.damaged.is_empty() && report.damaged_files.is_empty()) {
        return Ok((report, None));
    }
    let collected = repair_damage(store, &report, monitor)?;
    Ok((report, Some(collected)))
}

/// Removes the damage in a report that is still there: meanwhile others may have saved damaged
/// entries again, or replaced damaged contents.
pub fn repair_damage(
    store: &Store,
    report: &VerifyReport,
    monitor: &dyn Monitor,
) -> Result<GcStats> {
    let gc_lock = super::lock_for_gc(store, monitor)?;
    for error in &report.damaged_files {
        if let Error::Damaged { path, .. } = error {
            store.mark_suspect(path)?;
            // A damaged record costs builds. No entry is lost with it.
            store.remove_damaged_record(&gc_lock, path)?;
        }
    }
    let found = report.damaged.iter().map(|(id, _)| id);
    for id in store.still_damaged(&gc_lock, found, monitor)? {
        store.quarantine(&gc_lock, &id)?;
    }
    store.collect_garbage(&gc_lock, monitor)
}
