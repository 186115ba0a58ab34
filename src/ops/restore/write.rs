//! Writing what the disk lacks of an entry.

use crate::error::Result;
use crate::fmt::human::plural;
use crate::monitor::{Monitor, Stage};
use crate::ops::restore::compare::{LockedRoots, RestoredTree, RootComparison};
use crate::ops::restore::request::{RestoreStats, RestoreSteps};
use crate::store::Store;
use crate::tree::LeafKind;
use crate::tree::apply::{self, Applied};
use crate::tree::manifest::Manifest;
use crate::tree::plan::Plan;

#[derive(Clone, Copy)]
pub(super) struct WriteOptions<'a> {
    pub(super) steps: Option<&'a dyn RestoreSteps>,
    /// Compare contents with their digests while writing.
    pub(super) verify: bool,
}

/// Brings roots into the state of the entry.
pub(super) fn restore_roots(
    store: &Store,
    restored: &RestoredTree<'_>,
    target: &LockedRoots<'_>,
    options: WriteOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<RestoreStats> {
    let RestoredTree {
        entry,
        manifest,
        roots,
    } = *restored;
    if let Some(steps) = options.steps {
        steps.prepare(entry, manifest, roots)?;
    }
    monitor.begin(Stage::Scanning, 0);
    let comparison = RootComparison::new(store, entry, manifest, target)?;
    let plan = &comparison.plan;
    monitor.begin(Stage::Restoring, bytes_to_write(manifest, plan));
    let apply_options = apply::ApplyOptions {
        verify: options.verify,
        source: store,
        monitor,
    };
    let apply::ApplyOutcome { applied, states } =
        apply::apply(manifest, plan, roots, apply_options)?;
    let restamped = match options.steps {
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
