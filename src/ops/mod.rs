//! Whole operations on a store, each with a request and an outcome.

pub mod entries;
pub mod free_space;
pub mod import;
pub mod near_miss;
pub(crate) mod path_list;
pub mod prune;
pub mod restore;
pub mod save;
pub mod second_tier;
pub(crate) mod unpack;
pub mod verify;

use std::time::Duration;

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::store::Store;
use crate::store::lock::GcLock;

/// How long an operation waits for a garbage collection to end, or for another restore below the
/// same directory.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a removal waits for those who use the store. Who comes later waits as long.
const GC_TIMEOUT: Duration = Duration::from_secs(3);

/// Locks the store for removals.
///
/// Errors: [`Error::Busy`] if others use the store for longer than [`GC_TIMEOUT`].
fn lock_for_gc(store: &Store, monitor: &dyn Monitor) -> Result<GcLock> {
    let lock = store.lock_for_gc(GC_TIMEOUT, monitor)?;
    lock.ok_or_else(|| Error::Busy {
        what: format!("the store {}", store.layout().root().display()),
    })
}
