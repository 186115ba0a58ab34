//! Whole operations on a store, each with a request and an outcome.

pub mod free_space;
pub mod import;
pub mod inventory;
pub mod path_list;
pub mod prune;
pub mod restore;
pub mod save;

use std::time::Duration;

/// How long an operation waits for a collection to end.
pub const PATIENCE: Duration = Duration::from_secs(30);
