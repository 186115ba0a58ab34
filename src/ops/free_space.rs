//! Keeping the disk healthy: measure, and when it is too full remove what can go.
//!
//! With nothing to do this costs two questions to the kernel, and where a size is set for the store
//! a look at the size of each of its files. [`crate::store::disk_limits`] decides.
//!
//! What is in use stays: things are removed by who holds the store alone, so nobody restores or
//! saves meanwhile. When others use the store for longer than [`TIMEOUT`], nothing is removed and
//! that is said; a later phase does it.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::{Timestamp, Volume, volume, wait_for_lock};
use crate::monitor::{Monitor, Stage};
use crate::ops::prune::{ListedEntry, Needs, candidate, list};
use crate::store::disk_limits::{
    DiskLimits, RECOMMENDED_FREE, ReadyCandidate, Shortfall, StoreContents, plan,
};
use crate::store::lock::GcLock;
use crate::store::ready::ReadyCopy;
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheScope, Store};

/// How long others may keep the store in use before the guard goes on without removing anything.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Removing frees what was counted, or more; after so many rounds it is left at that.
const ROUNDS: usize = 3;

/// What to guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardPolicy {
    /// What is to be kept free.
    pub limits: DiskLimits,
    /// Generations that are kept, by kind, while there is room.
    pub keep: Vec<(crate::store::CacheKind, usize)>,
    /// Entries unused for longer go first.
    pub old_after: Option<Duration>,
    /// The default branch of each scope, as far as known.
    pub default_branches: Vec<CacheScope>,
}

/// How full a filesystem is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskUsage {
    /// Percent used, as df shows it.
    pub used_percent: u8,
    /// Bytes that are free for ordinary users.
    pub free_bytes: u64,
    /// Bytes that ordinary users may use in all.
    pub usable_bytes: u64,
    /// Percent of the inodes used, where there is a number of them.
    pub inodes_percent: Option<u8>,
}

impl From<Volume> for DiskUsage {
    fn from(volume: Volume) -> Self {
        Self {
            used_percent: volume.used_percent(),
            free_bytes: volume.free_bytes,
            usable_bytes: volume.usable_bytes,
            inodes_percent: volume.inodes.map(|inodes| inodes.used_percent()),
        }
    }
}

/// Something that people should know of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskNotice {
    /// Less is free than is recommended, though no limit is exceeded.
    LittleFree(DiskUsage),
    /// Others fill the disk: all of the cache would not be enough.
    FilledByOthers {
        /// The disk as it is now.
        room: DiskUsage,
        /// Bytes that the store takes.
        store_bytes: u64,
    },
    /// The workspace is on another disk, and that one is too full.
    WorkspaceFull(DiskUsage),
    /// Something should go, but other jobs use the store.
    InUse(DiskUsage),
}

/// An entry that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedEntry {
    /// Its id.
    pub entry: String,
    /// Its key.
    pub key: String,
    /// Why it went.
    pub reason: String,
}

/// What the guard found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardReport {
    /// The disk before.
    pub before: DiskUsage,
    /// The disk afterwards.
    pub after: DiskUsage,
    /// Entries that were removed, in order.
    pub removed: Vec<RemovedEntry>,
    /// Bytes given back.
    pub freed_bytes: u64,
    /// What people should know.
    pub notices: Vec<DiskNotice>,
    /// Whether there is room to save.
    pub may_save: bool,
    /// Bytes that the store takes afterwards, where they had to be added up.
    pub store_bytes: Option<u64>,
}

/// Guards the disk that the store below `root` is on, and looks at that of the workspace.
pub fn guard(
    root: &Path,
    workspace: Option<&Path>,
    wanted: &GuardPolicy,
    monitor: &dyn Monitor,
) -> Result<GuardReport> {
    let disk = volume(root)?;
    let mut guarded = GuardReport {
        before: disk.into(),
        after: disk.into(),
        ..GuardReport::default()
    };
    let mut lack = wanted.limits.shortfall(&disk, 0);
    let store = if lack.is_none() && wanted.limits.store_bytes.is_none() {
        None
    } else {
        Store::open(root)?
    };
    if let Some(store) = &store {
        if wanted.limits.store_bytes.is_some() {
            let store_bytes = store.allocated_bytes()?;
            guarded.store_bytes = Some(store_bytes);
            lack = wanted.limits.shortfall(&disk, store_bytes);
        }
        if !lack.is_none() {
            make_room(store, root, wanted, lack, &mut guarded, monitor)?;
        }
    } else if !lack.is_none() {
        guarded.notices.push(DiskNotice::FilledByOthers {
            room: disk.into(),
            store_bytes: 0,
        });
    }
    let now = volume(root)?;
    guarded.after = now.into();
    guarded.may_save = wanted.limits.allows_saving(&now);
    if guarded.notices.is_empty() && !wanted.limits.are_unset() && now.free_bytes < RECOMMENDED_FREE
    {
        guarded.notices.push(DiskNotice::LittleFree(now.into()));
    }
    let workspace = workspace.and_then(|path| volume(path).ok());
    if let Some(other) = workspace.filter(|other| other.device != now.device)
        && !wanted.limits.shortfall(&other, 0).is_none()
    {
        guarded
            .notices
            .push(DiskNotice::WorkspaceFull(other.into()));
    }
    Ok(guarded)
}

fn make_room(
    store: &Store,
    root: &Path,
    wanted: &GuardPolicy,
    mut lack: Shortfall,
    guarded: &mut GuardReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let Some(collecting) = lock_for_gc(store, monitor)? else {
        guarded.notices.push(DiskNotice::InUse(guarded.before));
        return Ok(());
    };
    monitor.begin(Stage::Cleaning, 0);
    guarded.store_bytes = None;
    // Dead data first: nothing is lost with it.
    guarded.freed_bytes += store.collect_garbage(&collecting)?.bytes;
    let mut out_of_reach = false;
    for _ in 0..ROUNDS {
        lack = still_lacking(store, root, wanted, guarded)?;
        if lack.is_none() || monitor.is_interrupted() {
            break;
        }
        let round = remove_some(store, &collecting, wanted, &lack, guarded, monitor)?;
        out_of_reach |= round.out_of_reach;
        if round.removed == 0 {
            break;
        }
    }
    if out_of_reach && !lack.is_none() {
        let store_bytes = store.allocated_bytes()?;
        guarded.notices.push(DiskNotice::FilledByOthers {
            room: volume(root)?.into(),
            store_bytes,
        });
    }
    Ok(())
}

/// Locks the store for removals. None if others still use it after [`TIMEOUT`], or on an
/// interruption.
fn lock_for_gc(store: &Store, monitor: &dyn Monitor) -> Result<Option<GcLock>> {
    match wait_for_lock(TIMEOUT, monitor, || store.try_lock_for_gc()) {
        Err(Error::Interrupted) => Ok(None),
        other => other,
    }
}

/// What is lacking now. A filesystem may take its time to show room that was given back, and taking
/// more for that would be a pity: what was freed counts.
fn still_lacking(
    store: &Store,
    root: &Path,
    wanted: &GuardPolicy,
    guarded: &GuardReport,
) -> Result<Shortfall> {
    let mut disk = volume(root)?;
    let credited = guarded
        .before
        .free_bytes
        .saturating_add(guarded.freed_bytes);
    disk.free_bytes = disk.free_bytes.max(credited.min(disk.usable_bytes));
    let store_bytes = if wanted.limits.store_bytes.is_some() {
        store.allocated_bytes()?
    } else {
        0
    };
    Ok(wanted.limits.shortfall(&disk, store_bytes))
}

struct Round {
    removed: usize,
    out_of_reach: bool,
}

fn remove_some(
    store: &Store,
    collecting: &GcLock,
    wanted: &GuardPolicy,
    lack: &Shortfall,
    guarded: &mut GuardReport,
    monitor: &dyn Monitor,
) -> Result<Round> {
    let listed = list(store, monitor)?;
    let mut needs = Needs::new(store);
    let mut entries = Vec::with_capacity(listed.len());
    for listed in &listed {
        let needs = needs.of(&listed.entry, monitor)?;
        entries.push(candidate(listed, needs, &wanted.default_branches));
    }
    let policy = RetentionPolicy {
        keep: wanted.keep.iter().copied().collect(),
        old_after: wanted.old_after,
        ..RetentionPolicy::default()
    };
    let copies = store.ready_copies()?;
    let ready = copies
        .iter()
        .map(|copy| ready(copy, &listed))
        .collect::<Result<Vec<_>>>()?;
    let contents = StoreContents {
        ready_copies: &ready,
        entries: &entries,
        sizes: &needs.sizes,
    };
    let plan = plan(lack, contents, &policy, Timestamp::now());
    for number in &plan.ready_copies {
        store.remove_ready_copy(&copies[*number])?;
        guarded.freed_bytes += copies[*number].bytes;
    }
    let ids: Vec<_> = plan
        .entries
        .iter()
        .map(|going| listed[going.candidate].id.clone())
        .collect();
    store.remove_entries(collecting, &ids)?;
    for going in &plan.entries {
        let listed = &listed[going.candidate];
        guarded.removed.push(RemovedEntry {
            entry: listed.id.to_string(),
            key: listed.entry.key.clone(),
            reason: going.reason.to_string(),
        });
    }
    if !ids.is_empty() {
        guarded.freed_bytes += store.collect_garbage(collecting)?.bytes;
    }
    Ok(Round {
        removed: ids.len() + plan.ready_copies.len(),
        out_of_reach: plan.is_insufficient,
    })
}

/// A ready copy as the guard sees it. As many inodes as its entry has names, which may be a few too
/// many where some are hard links; then the next round takes more. As with its bytes, the first of
/// several roots stands for all of them.
fn ready(copy: &ReadyCopy, listed: &[ListedEntry]) -> Result<ReadyCandidate> {
    let name = copy.path.display().to_string();
    let of = listed
        .iter()
        .find(|listed| listed.entry.manifest == copy.manifest && copy.root == 0);
    let files = of.map_or(0, |listed| {
        listed.entry.files.saturating_add(listed.entry.directories)
    });
    Ok(ReadyCandidate {
        name,
        bytes: copy.bytes,
        files,
        last_used: copy.kept_since()?.unwrap_or_default(),
    })
}
