//! What entries take on disk, what they share divided among them.

use std::collections::HashMap;

use super::LOCK_TIMEOUT;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ops::prune::{ListedEntry, Needs, list};
use crate::store::Store;

/// All entries, those used last first, each with its part of the bytes of the store.
pub fn inventory(store: &Store, monitor: &dyn Monitor) -> Result<Vec<(ListedEntry, u64)>> {
    let _sharing = store.lock_shared(LOCK_TIMEOUT)?;
    let listed = list(store, monitor)?;
    let mut needs = Needs::new(store);
    let mut of_each = Vec::with_capacity(listed.len());
    for listed in &listed {
        of_each.push(needs.of(&listed.entry, monitor)?);
    }
    let mut users: HashMap<usize, u64> = HashMap::new();
    for need in of_each.iter().flatten() {
        *users.entry(*need).or_default() += 1;
    }
    let part = |need: &usize| needs.sizes[*need] / users.get(need).copied().unwrap_or(1);
    Ok(listed
        .into_iter()
        .zip(of_each)
        .map(|(listed, needs)| (listed, needs.iter().map(part).sum()))
        .collect())
}
