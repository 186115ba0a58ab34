//! How full the disk of the store is.

use std::path::Path;

use crate::fs::volume;
use crate::stats::event::DiskState;
use crate::store::Store;

/// The disk of the store below `root`, or the disk that a store would be created on. `None` if it
/// can't be measured, which is no failure of the job.
///
/// Adding up the sizes of a store takes a while, so the caller passes `store_bytes` if it knows.
pub(super) fn disk_state(
    store: Option<&Store>,
    root: &Path,
    store_bytes: Option<u64>,
) -> Option<DiskState> {
    let volume = volume(root).ok()?;
    let store_bytes = match (store_bytes, store) {
        (Some(bytes), _) => bytes,
        (None, Some(store)) => store.allocated_bytes().ok()?,
        (None, None) => 0,
    };
    Some(DiskState {
        used_percent: volume.used_percent(),
        free_bytes: volume.free_bytes,
        store_bytes,
    })
}
