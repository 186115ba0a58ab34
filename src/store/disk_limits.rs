//! Whether a disk has room enough, and what goes when it has not (pure).
//!
//! Three limits: how full the filesystem of the store may be, in blocks and in inodes; how many
//! bytes of it are to be free; how large the store may be. When one is exceeded, things go until
//! all are kept: first what nothing needs (collecting finds that), then ready copies, which only
//! save time, then entries as [`retention::order`] has them.
//!
//! Others fill the disk, too. Where all of the cache together would not be enough to keep a limit,
//! emptying it would cost every job its cache and still leave the disk full. So then only what
//! would have gone soon goes (ready copies, entries unused for long, those beyond the kept
//! generations), and it is said that others fill the disk. Each limit is looked at by itself: a
//! floor that can be kept is kept, also where the percentage can't.

use serde::{Deserialize, Serialize};

use crate::fs::{Timestamp, Volume};
use crate::store::retention;
use crate::store::retention::{
    EvictReason, Eviction, NeededSpace, RetentionCandidate, RetentionPolicy,
};

/// Free space below which builds get into trouble soon: said, and nothing else.
pub const RECOMMENDED_FREE: u64 = 50_000_000_000;

/// A filesystem that has used up more of its inodes than this percentage is too full to save to.
const FEW_INODES: u8 = 99;

/// What is to be kept free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLimits {
    /// Percent of the filesystem, and of its inodes, that may be used.
    pub used_percent: Option<u8>,
    /// Bytes that are to be free.
    pub free_bytes: u64,
    /// Bytes that the store may take.
    pub store_bytes: Option<u64>,
}

/// By how much limits are exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Bytes to free so that the percentage is kept.
    pub percent_bytes: u64,
    /// Bytes to free so that enough is free.
    pub free_bytes: u64,
    /// Inodes to free so that the percentage is kept.
    pub inodes: u64,
    /// Bytes by which the store is too large.
    pub store_bytes: u64,
}

impl DiskLimits {
    /// Whether there is nothing to guard.
    pub fn are_unset(&self) -> bool {
        self.used_percent.is_none() && self.free_bytes == 0 && self.store_bytes.is_none()
    }

    /// By how much a filesystem, and a store on it, exceed the limits.
    pub fn shortfall(&self, volume: &Volume, store_bytes: u64) -> Shortfall {
        let to_free = |total: u64, free: u64| {
            let percent = self.used_percent.map_or(100, |percent| percent.min(100));
            let wanted = (u128::from(total) * u128::from(100 - percent)).div_ceil(100);
            u64::try_from(wanted)
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

    /// Whether a filesystem has room for another entry.
    pub fn allows_saving(&self, volume: &Volume) -> bool {
        let has_inodes = volume
            .inodes
            .is_none_or(|inodes| inodes.used_percent() <= FEW_INODES);
        volume.free_bytes >= self.free_bytes && (has_inodes || self.free_bytes == 0)
    }
}

impl Shortfall {
    /// Whether all limits are kept.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A ready copy of an entry's files, as far as room is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCandidate {
    /// What tells it from the others.
    pub name: String,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Inodes that it takes.
    pub files: u64,
    /// When it was kept.
    pub last_used: Timestamp,
}

/// What is in a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreContents<'a> {
    /// Its ready copies.
    pub ready_copies: &'a [ReadyCandidate],
    /// Its entries.
    pub entries: &'a [RetentionCandidate],
    /// Bytes of the files that entries need, by number.
    pub sizes: &'a [u64],
}

/// What goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvictionPlan {
    /// Ready copies, by their numbers.
    pub ready_copies: Vec<usize>,
    /// Entries, in the order in which they go.
    pub entries: Vec<Eviction>,
    /// Whether the cache is too small for a limit to be kept by emptying it.
    pub is_insufficient: bool,
}

/// Decides what goes so that a lack is made up for.
pub fn plan(
    lack: &Shortfall,
    contents: StoreContents<'_>,
    policy: &RetentionPolicy,
    now: Timestamp,
) -> EvictionPlan {
    let StoreContents {
        ready_copies: ready,
        entries,
        sizes,
    } = contents;
    let mut plan = EvictionPlan::default();
    if lack.is_none() {
        return plan;
    }
    let mut needed = NeededSpace::new(entries, sizes);
    let all = Freed {
        bytes: needed.bytes() + ready.iter().map(|ready| ready.bytes).sum::<u64>(),
        files: needed.files() + ready.iter().map(|ready| ready.files).sum::<u64>(),
    };
    let wanted = Freed {
        bytes: [lack.percent_bytes, lack.free_bytes]
            .into_iter()
            .filter(|bytes| *bytes <= all.bytes)
            .fold(lack.store_bytes, u64::max),
        files: if lack.inodes <= all.files {
            lack.inodes
        } else {
            0
        },
    };
    plan.is_insufficient =
        lack.percent_bytes > all.bytes || lack.free_bytes > all.bytes || lack.inodes > all.files;

    let mut freed = Freed { bytes: 0, files: 0 };
    let mut by_use: Vec<usize> = (0..ready.len()).collect();
    by_use.sort_by_key(|number| (ready[*number].last_used, &ready[*number].name));
    for number in by_use {
        if freed.is_enough(&wanted) && !plan.is_insufficient {
            break;
        }
        freed.add((ready[number].bytes, ready[number].files));
        plan.ready_copies.push(number);
    }
    for going in retention::eviction_order(entries, policy, now) {
        let would_go_soon = !matches!(
            going.reason,
            EvictReason::OlderOwn
                | EvictReason::LeastRecentlyUsed
                | EvictReason::NewestOfDefaultBranch
        );
        if freed.is_enough(&wanted) && !(plan.is_insufficient && would_go_soon) {
            break;
        }
        freed.add(needed.remove(&entries[going.candidate]));
        plan.entries.push(going);
    }
    plan
}

#[derive(Clone, Copy)]
struct Freed {
    bytes: u64,
    files: u64,
}

impl Freed {
    fn add(&mut self, (bytes, files): (u64, u64)) {
        self.bytes += bytes;
        self.files += files;
    }

    fn is_enough(&self, wanted: &Self) -> bool {
        self.bytes >= wanted.bytes && self.files >= wanted.files
    }
}
