//! Removing helpers that were created and never started, and those that ended without being removed.
//!
//! The engine removes a helper when it ends, but a parent that is killed between creating and
//! starting it leaves one that never runs. A helper carries the id of its parent as a label. A
//! parent lives at least until it has started its helper, so a helper that is still in the state
//! `created` while its parent does not run is never started by anyone.
//!
//! An engine that is killed may also leave one that has ended. Copies after the job are helpers, too.

use std::time::Duration;

use super::client::{Client, filters};
use crate::site::problem::Problem;

/// The label of a helper: the id of its parent.
pub(super) const PARENT_LABEL: &str = "local-cache.parent";

/// How many are removed in one phase.
const MAX_REMOVED: usize = 16;
const REMOVE_LIMIT: Duration = Duration::from_secs(2);

/// Removes such helpers of other parents than `own`. Best effort: a later phase tries again.
pub(super) async fn remove(client: Client, own: String) {
    drop(try_remove(&client, &own).await);
}

async fn try_remove(client: &Client, own: &str) -> Result<(), Problem> {
    let not_running = filters(&[
        ("label", &[PARENT_LABEL]),
        ("status", &["created", "exited", "dead"]),
    ]);
    let helpers = client
        .list(&[("all", "true"), ("filters", &not_running)])
        .await?;
    for helper in helpers.iter().take(MAX_REMOVED) {
        let Some(parent) = helper.labels.get(PARENT_LABEL).filter(|id| *id != own) else {
            continue;
        };
        let parent = client.inspect(parent).await?;
        if parent.is_none_or(|parent| !parent.running) {
            // Without force, so that the engine refuses if it runs after all.
            client.remove(&helper.id, false, REMOVE_LIMIT).await;
        }
    }
    Ok(())
}
