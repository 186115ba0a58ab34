//! Whole operations on a store, each with a request and an outcome.

mod claim;
pub mod guard;
pub mod import;
pub mod inventory;
pub mod job;
pub mod leftovers;
pub mod maintain;
pub mod package_cache;
pub mod paths;
pub mod restore;
pub mod save;
pub mod sources;

use std::time::Duration;

/// How long an operation waits for a collection to end.
pub const PATIENCE: Duration = Duration::from_secs(30);
