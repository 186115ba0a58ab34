//! Comparing the disk with an entry: what a restore has to write, and what it may remember.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::Result;
use crate::fs::{Timestamp, files};
use crate::ops::restore::root_lock::RootLock;
use crate::store::{Entry, Store};
use crate::tree::manifest::Manifest;
use crate::tree::plan::{Extraneous, Plan, plan};
use crate::tree::scan::{Scan, ScanOptions, scan};
use crate::tree::stamps::RootStamp;
use crate::tree::{DirId, Roots};

pub(super) struct RootComparison {
    pub(super) plan: Plan,
    scan_started: Timestamp,
    /// Whether the roots hold nothing but the entry's names once the plan is carried out.
    leaves_nothing_extraneous: bool,
}

impl RootComparison {
    pub(super) fn new(
        store: &Store,
        entry: &Entry,
        manifest: &Manifest,
        target: &LockedRoots<'_>,
    ) -> Result<Self> {
        let stamps = store.root_stamps(&entry.manifest, target.roots);
        let options = ScanOptions {
            guide: Some(&manifest.tree),
            trust_mtimes: target.extraneous == Extraneous::Keep,
            stamps: Some(&stamps),
            ..ScanOptions::default()
        };
        let mut present = scan(target.roots, &options)?;
        present.undo_restamp(&manifest.tree, |root| stamps.get(root)?.restamped);
        if !target.lock.is_complete() {
            // Another restore may still be using these names.
            present.stale_temps.clear();
        }
        let leaves_nothing_extraneous = target.extraneous == Extraneous::Remove
            && !spare_store(store, &mut present, target.roots)?
            && target.lock.is_complete()
            && present.skipped.is_empty();
        super::roots::refuse_linked_roots(manifest, &present.tree, target.roots)?;
        Ok(Self {
            plan: plan(manifest, &present, &stamps, target.extraneous),
            scan_started: present.started,
            leaves_nothing_extraneous,
        })
    }

    /// Notes when the roots matched the manifest, so that the next restore reads less.
    ///
    /// Failures are ignored: they cost time later, and a read-only store was reported before.
    pub(super) fn note_clean_roots(
        &self,
        store: &Store,
        entry: &Entry,
        roots: &Roots,
        restamped: Option<Timestamp>,
    ) {
        // What was just written has the current time of the clock. The stamp must be later.
        let clean_as_of = if self.plan.is_empty() && restamped.is_none() {
            Some(self.scan_started)
        } else {
            Timestamp::next_file_clock_tick()
        };
        let Some(clean_as_of) = clean_as_of else {
            return;
        };
        let stamp = RootStamp {
            clean_as_of,
            no_extraneous_since: self.leaves_nothing_extraneous.then_some(self.scan_started),
            restamped,
        };
        drop(store.put_root_stamps(&entry.manifest, roots, stamp));
    }
}

/// What is compared: the locked roots, and whether extraneous names in them are removed.
pub(super) struct LockedRoots<'a> {
    pub(super) roots: &'a Roots,
    pub(super) lock: &'a RootLock,
    pub(super) extraneous: Extraneous,
}

/// Keeps the store from being removed as extraneous where it lies below a root. Returns whether it
/// does.
fn spare_store(store: &Store, present: &mut Scan, roots: &Roots) -> Result<bool> {
    let store_root = files::canonical(store.layout().root())?;
    let Scan {
        tree, extraneous, ..
    } = present;
    let count = extraneous.len();
    let mut parents: HashMap<DirId, Option<PathBuf>> = HashMap::new();
    extraneous.retain(|name| {
        let parent = parents
            .entry(name.parent)
            // A path too long to resolve can't hold the store.
            .or_insert_with(|| files::canonical(&roots.dir_path(tree, name.parent)).ok());
        let holds_store = parent.as_ref().is_some_and(|parent| {
            store_root.starts_with(parent.join(OsStr::from_bytes(&name.name)))
        });
        !holds_store
    });
    Ok(extraneous.len() < count)
}
