//! Comparing the disk with an entry: what a restore has to write, and what it may remember.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::Result;
use crate::fs::{Stat, Timestamp, files};
use crate::ops::restore::root_lock::RootLock;
use crate::ops::restore::roots;
use crate::store::{Entry, Store};
use crate::tree::compare::{match_dirs, match_leaves};
use crate::tree::manifest::Manifest;
use crate::tree::plan::{DirTask, Extraneous, Plan, plan};
use crate::tree::scan::{Scan, ScanOptions, scan};
use crate::tree::stamp::{InodeState, Stamp};
use crate::tree::{DirId, LeafId, Roots, Tree};

pub(super) struct RootComparison {
    pub(super) plan: Plan,
    /// The stamp before the restore, and what was found then.
    stamp: Stamp,
    present: Scan,
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
        let stamp = store.stamp(&entry.manifest, manifest, target.roots);
        let options = ScanOptions {
            guide: Some(&manifest.tree),
            trust_mtimes: target.extraneous == Extraneous::Keep,
            stamp: Some(&stamp),
            ..ScanOptions::default()
        };
        let mut present = scan(target.roots, &options)?;
        if let Some(restamped) = stamp.restamped {
            present.undo_restamp(&manifest.tree, restamped);
        }
        if !target.lock.is_complete() {
            // Another restore may still be using these names.
            present.stale_temps.clear();
        }
        let leaves_nothing_extraneous = target.extraneous == Extraneous::Remove
            && !spare_store(store, &mut present, target.roots)?
            && target.lock.is_complete()
            && present.skipped.is_empty();
        roots::refuse_broken_links(manifest, &present.tree, target.roots)?;
        match target.extraneous {
            Extraneous::Keep => roots::refuse_filled_directories(manifest, &present, target.roots)?,
            Extraneous::Remove => roots::refuse_linked_roots(target.roots)?,
        }
        Ok(Self {
            plan: plan(manifest, &present, &stamp, target.extraneous),
            stamp,
            present,
            leaves_nothing_extraneous,
        })
    }

    /// Keeps what is known of the files now, so that the next restore reads less. `states` are those
    /// of the files that this restore wrote or read.
    ///
    /// Failures are ignored: they cost time later, and a read-only store was reported before.
    pub(super) fn keep_stamp(
        &self,
        store: &Store,
        restored: &RestoredTree<'_>,
        states: Vec<(LeafId, InodeState)>,
        restamped: Option<Timestamp>,
    ) {
        if states.is_empty() && restamped.is_none() && self.is_stamp_complete(restored.manifest) {
            return;
        }
        let Ok(stamp) = self.new_stamp(restored, states, restamped) else {
            return;
        };
        // A change in the tick of the clock in which a file was written would not be seen later.
        let is_settled = || Timestamp::next_file_clock_tick().is_some();
        let is_unwritten = self.plan.is_empty() && restamped.is_none();
        if stamp != self.stamp && (is_unwritten || is_settled()) {
            let RestoredTree {
                entry,
                manifest,
                roots,
            } = restored;
            drop(store.put_stamp(&entry.manifest, &manifest.tree, roots, stamp));
        }
    }

    fn new_stamp(
        &self,
        restored: &RestoredTree<'_>,
        states: Vec<(LeafId, InodeState)>,
        restamped: Option<Timestamp>,
    ) -> Result<Stamp> {
        let RestoredTree {
            manifest, roots, ..
        } = *restored;
        let mut stamp = self.stamp.clone();
        stamp.restamped = None;
        for (leaf, state) in states {
            stamp.set_leaf(leaf, Some(state));
        }
        if self.leaves_nothing_extraneous {
            for (dir, found) in self.untouched_dirs(&manifest.tree) {
                stamp.set_dir(dir, InodeState::before(self.present.started, found));
            }
        }
        if let Some(restamped) = restamped {
            let options = ScanOptions {
                guide: Some(&manifest.tree),
                trust_mtimes: true,
                without_attributes: true,
                ..ScanOptions::default()
            };
            let now = scan(roots, &options)?;
            let matched = match_leaves(&manifest.tree, &now.tree);
            stamp.follow_restamp(manifest, restamped, |leaf| {
                let found = matched[leaf.index()]?;
                let stat = &now.stats[found.index()];
                Some((stat.into(), stat.size, now.tree[found].mtime))
            });
        }
        Ok(stamp)
    }

    /// Whether the stamp already says all that this restore found without writing or reading files.
    fn is_stamp_complete(&self, manifest: &Manifest) -> bool {
        let is_known = |(dir, found): (DirId, &Stat)| {
            let state = InodeState::before(self.present.started, found);
            state.is_none() || self.stamp.dir(dir) == state
        };
        let adds_none = || {
            let mut dirs = self.untouched_dirs(&manifest.tree).into_iter();
            dirs.all(is_known)
        };
        self.stamp.restamped.is_none() && (!self.leaves_nothing_extraneous || adds_none())
    }

    /// The directories that the plan leaves as they are, with their `stat`.
    fn untouched_dirs(&self, tree: &Tree) -> Vec<(DirId, &Stat)> {
        let matched = match_dirs(tree, &self.present.tree);
        let left = tree.dir_ids().filter_map(|dir| {
            let found = self.present.dir_stats[matched[dir.index()]?.index()].as_ref()?;
            (self.plan.dirs[dir.index()] == DirTask::Leave).then_some((dir, found))
        });
        left.collect()
    }
}

/// What was restored, and where.
pub(super) struct RestoredTree<'a> {
    pub(super) entry: &'a Entry,
    pub(super) manifest: &'a Manifest,
    pub(super) roots: &'a Roots,
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
