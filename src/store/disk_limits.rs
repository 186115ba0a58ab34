//! Decides whether a disk is too full, and what to evict then (pure).
//!
//! There are three limits: the used share of the store's filesystem, in blocks and in inodes; the
//! free bytes of the filesystem; the size of the store. If one is exceeded, data is removed until
//! all limits hold: first garbage (found by garbage collection), then ready copies, which only save
//! time, then entries in [`retention::eviction_order`].
//!
//! Other data fills the disk too. If a limit is out of reach even with an empty cache, emptying it
//! would cost every job its cache and still leave the disk full. In that case only data that would
//! have been removed soon is removed (ready copies, entries unused for long, entries beyond the
//! kept generations), and a warning says that other data fills the disk. Limits are enforced
//! independently: the minimum of free bytes is restored even if the used share can't be.

use serde::{Deserialize, Serialize};

use super::retention::{
    self, EvictReason, Eviction, NeededSpace, RetentionCandidate, RetentionPolicy,
};
use crate::fs::{Timestamp, Volume};

/// Below this many free bytes, a line in the log recommends more.
pub(crate) const RECOMMENDED_FREE: u64 = 50_000_000_000;

/// Nothing is saved to a filesystem that uses more than this percentage of its inodes.
pub(crate) const MAX_INODES_PERCENT: u8 = 99;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskLimits {
    /// Maximum percentage of the filesystem, and of its inodes, that is used.
    pub used_percent: Option<u8>,
    /// Minimum of free bytes.
    pub free_bytes: u64,
    /// Maximum size of the store.
    pub store_bytes: Option<u64>,
}

/// By how much each limit is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Bytes to free for [`DiskLimits::used_percent`].
    pub percent_bytes: u64,
    /// Bytes to free for [`DiskLimits::free_bytes`].
    pub free_bytes: u64,
    /// Inodes to free for [`DiskLimits::used_percent`].
    pub inodes: u64,
    /// Bytes to free for [`DiskLimits::store_bytes`].
    pub store_bytes: u64,
}

impl DiskLimits {
    /// Whether no limit is set.
    pub(crate) fn are_unset(&self) -> bool {
        self.used_percent.is_none() && self.free_bytes == 0 && self.store_bytes.is_none()
    }

    pub fn shortfall(&self, volume: &Volume, store_bytes: u64) -> Shortfall {
        let to_free = |total: u64, free: u64| {
            let percent = self.used_percent.map_or(100, |percent| percent.min(100));
            let required = (u128::from(total) * u128::from(100 - percent)).div_ceil(100);
            u64::try_from(required)
                .unwrap_or(u64::MAX)
                .saturating_sub(free)
        };
        Shortfall {
            percent_bytes: to_free(volume.usable_bytes, volume.free_bytes),
            free_bytes: self.free_bytes.saturating_sub(volume.free_bytes),
            inodes: volume
                .inodes
                .map_or(0, |inodes| to_free(inodes.total, inodes.free)),
            store_bytes: self
                .store_bytes
                .map_or(0, |limit| store_bytes.saturating_sub(limit)),
        }
    }

    /// Whether there is enough free space to save another entry.
    pub fn allows_saving(&self, volume: &Volume) -> bool {
        let has_inodes = volume
            .inodes
            .is_none_or(|inodes| inodes.used_percent() <= MAX_INODES_PERCENT);
        volume.free_bytes >= self.free_bytes && (has_inodes || self.free_bytes == 0)
    }
}

impl Shortfall {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A ready copy that may be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCandidate {
    /// Unique; decides between copies of the same age.
    pub name: String,
    pub bytes: u64,
    pub files: u64,
    pub last_used: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub struct StoreContents<'a> {
    pub ready_copies: &'a [ReadyCandidate],
    pub entries: &'a [RetentionCandidate],
    /// Sizes of the store's files, indexed by [`RetentionCandidate::needs`].
    pub sizes: &'a [u64],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvictionPlan {
    pub ready_copies: Vec<usize>,
    /// Entries, in the order of their removal.
    pub entries: Vec<Eviction>,
    /// Whether a limit is out of reach even with an empty cache.
    pub is_insufficient: bool,
}

/// Decides what to remove to make up for a shortfall.
pub fn plan(
    shortfall: &Shortfall,
    contents: StoreContents<'_>,
    policy: &RetentionPolicy,
    now: Timestamp,
) -> EvictionPlan {
    let StoreContents {
        ready_copies,
        entries,
        sizes,
    } = contents;
    let mut plan = EvictionPlan::default();
    if shortfall.is_none() {
        return plan;
    }
    let mut needed = NeededSpace::new(entries, sizes);
    let total = Space::of_everything(&needed, ready_copies);
    let target = shortfall.reachable_with(total);
    plan.is_insufficient = shortfall.exceeds(total);

    let mut freed = Space::default();
    for index in oldest_first(ready_copies) {
        if freed.covers(target) && !plan.is_insufficient {
            break;
        }
        freed.add(ready_copies[index].bytes, ready_copies[index].files);
        plan.ready_copies.push(index);
    }
    for eviction in retention::eviction_order(entries, policy, now) {
        if freed.covers(target) && !(plan.is_insufficient && would_be_evicted_soon(eviction.reason))
        {
            break;
        }
        let (bytes, files) = needed.remove(&entries[eviction.candidate]);
        freed.add(bytes, files);
        plan.entries.push(eviction);
    }
    plan
}

/// The indexes of the ready copies, the least recently used first.
fn oldest_first(ready_copies: &[ReadyCandidate]) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..ready_copies.len()).collect();
    indexes.sort_by_key(|index| (ready_copies[*index].last_used, &ready_copies[*index].name));
    indexes
}

fn would_be_evicted_soon(reason: EvictReason) -> bool {
    match reason {
        EvictReason::MaxAge(_)
        | EvictReason::Old(_)
        | EvictReason::BeyondFamilyLimit(_)
        | EvictReason::BeyondGroupLimit(_) => true,
        EvictReason::OlderOwn
        | EvictReason::LeastRecentlyUsed
        | EvictReason::NewestOfDefaultBranch => false,
    }
}

impl Shortfall {
    /// Whether a limit of the filesystem is out of reach even if `total` is removed. The limit of
    /// the store's own size is always in reach.
    fn exceeds(&self, total: Space) -> bool {
        self.percent_bytes > total.bytes
            || self.free_bytes > total.bytes
            || self.inodes > total.files
    }

    /// What has to be freed for the limits that can be reached by removing `total`.
    fn reachable_with(&self, total: Space) -> Space {
        let bytes = [self.percent_bytes, self.free_bytes].into_iter();
        Space {
            bytes: bytes
                .filter(|bytes| *bytes <= total.bytes)
                .fold(self.store_bytes, u64::max),
            files: if self.inodes <= total.files {
                self.inodes
            } else {
                0
            },
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Space {
    bytes: u64,
    files: u64,
}

impl Space {
    fn of_everything(needed: &NeededSpace<'_>, ready_copies: &[ReadyCandidate]) -> Self {
        let mut total = Self {
            bytes: needed.bytes(),
            files: needed.files(),
        };
        for copy in ready_copies {
            total.add(copy.bytes, copy.files);
        }
        total
    }

    fn add(&mut self, bytes: u64, files: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files = self.files.saturating_add(files);
    }

    fn covers(self, target: Self) -> bool {
        self.bytes >= target.bytes && self.files >= target.files
    }
}
