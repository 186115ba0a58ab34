//! Whole operations on a store, each with a request and an outcome.

pub mod free_space;
pub mod import;
pub mod inventory;
pub mod path_list;
pub mod prune;
pub mod restore;
pub mod save;

use std::time::Duration;

/// How long an operation waits for a garbage collection to end.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
