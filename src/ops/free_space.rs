//! The disk guard: measures the disk, and removes data from the store while a limit is exceeded.
//! [`crate::store::disk_limits`] decides what is removed.
//!
//! If no limit is exceeded, this costs two `statvfs` calls and, if the size of the store is limited,
//! the time to measure that ([`crate::store::size`]).
//!
//! Files in use are safe: only the holder of the exclusive lock removes anything, so nobody
//! restores or saves meanwhile. If others use the store for longer than [`GC_TIMEOUT`], nothing is
//! removed, and the report contains [`DiskNotice::InUse`]. A later phase tries again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::{Timestamp, Volume, volume};
use crate::monitor::{Monitor, Stage};
use crate::ops::GC_TIMEOUT;
use crate::ops::entries::{ListedEntry, StoreFiles, list};
use crate::store::disk_limits::{
    DiskLimits, RECOMMENDED_FREE, ReadyCandidate, Shortfall, StoreContents, plan,
};
use crate::store::lock::GcLock;
use crate::store::ready::ReadyCopy;
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheKind, CacheScope, Store};

/// How many times the guard plans removals. A removal may free less than planned, for example fewer
/// inodes, or nothing of another user's ready copy; the guard then plans again.
const ROUNDS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardPolicy {
    pub limits: DiskLimits,
    /// Generations of each kind that stay while the limits hold.
    pub keep: Vec<(CacheKind, usize)>,
    /// Entries unused for longer are evicted first.
    pub old_after: Option<Duration>,
    /// The default branch of each scope, as far as known.
    pub default_branches: Vec<CacheScope>,
}

/// How full a filesystem is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskUsage {
    pub used_percent: u8,
    /// Bytes that are free for ordinary users.
    pub free_bytes: u64,
    /// Bytes that ordinary users can use in all.
    pub usable_bytes: u64,
    /// `None` where the filesystem has no fixed number of inodes.
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

/// A state of the disk that users are told about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskNotice {
    /// All limits hold, but less is free than recommended.
    LittleFree(DiskUsage),
    /// Other data fills the disk: an empty cache would still exceed the limits.
    FilledByOthers { usage: DiskUsage, store_bytes: u64 },
    /// The workspace is on another disk, which is too full.
    WorkspaceFull(DiskUsage),
    /// Nothing could be removed because others use the store.
    InUse(DiskUsage),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedEntry {
    /// The id of the entry.
    pub entry: String,
    pub key: String,
    pub reason: String,
}

/// What the guard found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardReport {
    pub before: DiskUsage,
    pub after: DiskUsage,
    /// In the order in which they were evicted.
    pub removed: Vec<RemovedEntry>,
    pub freed_bytes: u64,
    pub notices: Vec<DiskNotice>,
    /// Whether there is room to save.
    pub may_save: bool,
    /// The size of the store afterwards, if it had to be added up.
    pub store_bytes: Option<u64>,
}

/// Guards the disk of the store below `root`, and measures that of the workspace.
pub fn guard(
    root: &Path,
    workspace: Option<&Path>,
    policy: &GuardPolicy,
    monitor: &dyn Monitor,
) -> Result<GuardReport> {
    let limits = &policy.limits;
    let disk = volume(root)?;
    let mut report = GuardReport {
        before: disk.into(),
        ..GuardReport::default()
    };
    let is_exceeded = !limits.shortfall(&disk, 0).is_none();
    let store = if is_exceeded || limits.store_bytes.is_some() {
        Store::open(root)?
    } else {
        None
    };
    match &store {
        Some(store) => free_space(root, store, policy, &mut report, monitor)?,
        None if is_exceeded => report.notices.push(DiskNotice::FilledByOthers {
            usage: disk.into(),
            store_bytes: 0,
        }),
        None => {}
    }
    let now = volume(root)?;
    report.after = now.into();
    report.may_save = limits.allows_saving(&now);
    if report.notices.is_empty() && !limits.are_unset() && now.free_bytes < RECOMMENDED_FREE {
        report.notices.push(DiskNotice::LittleFree(now.into()));
    }
    if let Some(other) = workspace.and_then(|path| volume(path).ok())
        && other.device != now.device
        && !limits.shortfall(&other, 0).is_none()
    {
        report.notices.push(DiskNotice::WorkspaceFull(other.into()));
    }
    Ok(report)
}

/// Removes data until all limits hold, if they do not hold yet.
fn free_space(
    root: &Path,
    store: &Store,
    policy: &GuardPolicy,
    report: &mut GuardReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    if policy.limits.store_bytes.is_some() {
        report.store_bytes = Some(store.allocated_bytes()?);
    }
    let store_bytes = report.store_bytes.unwrap_or(0);
    if policy
        .limits
        .shortfall(&volume(root)?, store_bytes)
        .is_none()
    {
        return Ok(());
    }
    let Some(gc_lock) = lock_for_gc(store, monitor)? else {
        report.notices.push(DiskNotice::InUse(report.before));
        return Ok(());
    };
    monitor.begin(Stage::Cleaning, 0);
    report.store_bytes = None;
    let mut cleaner = Cleaner {
        root,
        store,
        policy,
        gc_lock,
        report,
        tried_copies: HashSet::new(),
    };
    cleaner.run(monitor)
}

/// `None` if others still use the store after [`GC_TIMEOUT`], or on an interruption.
fn lock_for_gc(store: &Store, monitor: &dyn Monitor) -> Result<Option<GcLock>> {
    match store.lock_for_gc(GC_TIMEOUT, monitor) {
        Err(Error::Interrupted) => Ok(None),
        result => result,
    }
}

struct Cleaner<'a> {
    root: &'a Path,
    store: &'a Store,
    policy: &'a GuardPolicy,
    gc_lock: GcLock,
    report: &'a mut GuardReport,
    /// The ready copies that the guard removed or tried to remove.
    tried_copies: HashSet<PathBuf>,
}

/// What one round of removals did.
struct Round {
    removed: usize,
    /// Even an empty cache would not satisfy the limits.
    is_insufficient: bool,
}

impl Cleaner<'_> {
    fn run(&mut self, monitor: &dyn Monitor) -> Result<()> {
        // Unused data first: nothing is lost with it.
        self.collect_garbage(monitor)?;
        let mut shortfall = self.shortfall()?;
        let mut is_insufficient = false;
        for _ in 0..ROUNDS {
            if shortfall.is_none() || monitor.is_interrupted() {
                break;
            }
            let round = self.evict(&shortfall, monitor)?;
            is_insufficient |= round.is_insufficient;
            if round.removed == 0 {
                break;
            }
            shortfall = self.shortfall()?;
        }
        if is_insufficient && !shortfall.is_none() {
            self.report.notices.push(DiskNotice::FilledByOthers {
                usage: volume(self.root)?.into(),
                store_bytes: self.store.allocated_bytes()?,
            });
        }
        Ok(())
    }

    fn collect_garbage(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let collected = self.store.collect_garbage(&self.gc_lock, monitor)?;
        self.report.freed_bytes += collected.bytes;
        Ok(())
    }

    /// A filesystem may take a while to show freed space. What was freed counts as free, so that
    /// the next round does not evict more than needed.
    fn shortfall(&self) -> Result<Shortfall> {
        let mut disk = volume(self.root)?;
        let GuardReport {
            before,
            freed_bytes,
            ..
        } = &*self.report;
        let expected = before.free_bytes.saturating_add(*freed_bytes);
        disk.free_bytes = disk.free_bytes.max(expected.min(disk.usable_bytes));
        let limits = &self.policy.limits;
        let store_bytes = match limits.store_bytes {
            Some(_) => self.store.allocated_bytes()?,
            None => 0,
        };
        Ok(limits.shortfall(&disk, store_bytes))
    }

    fn evict(&mut self, shortfall: &Shortfall, monitor: &dyn Monitor) -> Result<Round> {
        let listed = list(self.store, monitor)?;
        let mut files = StoreFiles::new(self.store);
        let mut entries = Vec::with_capacity(listed.len());
        for listed in &listed {
            let numbers = files.of(&listed.entry, monitor)?;
            entries.push(listed.candidate(numbers, &self.policy.default_branches));
        }
        // Copies that can't be listed stay.
        let mut copies = self.store.ready_copies().unwrap_or_default();
        // In a shared store, a copy may belong to another user and stay. If it were planned again,
        // no entry would be evicted in its place.
        copies.retain(|copy| !self.tried_copies.contains(&copy.path));
        let ready_copies: Vec<_> = copies
            .iter()
            .map(|copy| self.ready_candidate(copy, &listed))
            .collect();
        let contents = StoreContents {
            ready_copies: &ready_copies,
            entries: &entries,
            sizes: &files.sizes,
        };
        let policy = RetentionPolicy {
            keep: self.policy.keep.iter().copied().collect(),
            old_after: self.policy.old_after,
            ..RetentionPolicy::default()
        };
        let plan = plan(shortfall, contents, &policy, Timestamp::now());
        for number in &plan.ready_copies {
            let copy = &copies[*number];
            let freed = match self.store.remove_ready_copy(copy) {
                // A part of it stays, perhaps another user's. Garbage collection reports that.
                Err(error) if self.store.is_unreadable(&error) => 0,
                other => other?,
            };
            let freed_bytes = &mut self.report.freed_bytes;
            *freed_bytes = freed_bytes.saturating_add(freed);
            self.tried_copies.insert(copy.path.clone());
        }
        let mut evicted = Vec::with_capacity(plan.entries.len());
        for eviction in &plan.entries {
            evicted.push((&listed[eviction.candidate], eviction.reason.to_string()));
        }
        self.remove_entries(&evicted, monitor)?;
        Ok(Round {
            removed: plan.entries.len() + plan.ready_copies.len(),
            is_insufficient: plan.is_insufficient,
        })
    }

    fn remove_entries(
        &mut self,
        evicted: &[(&ListedEntry, String)],
        monitor: &dyn Monitor,
    ) -> Result<()> {
        if evicted.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = evicted
            .iter()
            .map(|(listed, _)| listed.id.clone())
            .collect();
        self.store.remove_entries(&self.gc_lock, &ids)?;
        for (listed, reason) in evicted {
            self.report.removed.push(RemovedEntry {
                entry: listed.id.to_string(),
                key: listed.entry.key.clone(),
                reason: reason.clone(),
            });
        }
        self.collect_garbage(monitor)
    }

    /// The number of inodes is that of the entry's files and directories, which is too high if some
    /// are hard links; the next round then evicts more. The copy of an entry's first root counts for
    /// all of its roots.
    fn ready_candidate(&self, copy: &ReadyCopy, listed: &[ListedEntry]) -> ReadyCandidate {
        let entry = listed
            .iter()
            .map(|listed| &listed.entry)
            .find(|entry| entry.manifest == copy.manifest && copy.root == 0);
        ReadyCandidate {
            name: copy.path.display().to_string(),
            bytes: copy.bytes,
            files: entry.map_or(0, |entry| entry.files.saturating_add(entry.directories)),
            last_used: self.store.kept_since(copy),
        }
    }
}
