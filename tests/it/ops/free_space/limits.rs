//! What the limits decide, with a fixed clock and simulated disks.

use std::time::Duration;

use local_cache::fs::{Inodes, Timestamp, Volume};
use local_cache::store::disk_limits::{DiskLimits, ReadyCandidate, Shortfall, StoreContents, plan};
use local_cache::store::retention::{EvictReason, RetentionCandidate, RetentionPolicy, family};
use local_cache::store::{CacheKind, EntryGroup};

const GB: u64 = 1_000_000_000;
const NOW: Timestamp = Timestamp {
    seconds: 1_700_000_000,
    nanoseconds: 0,
};

/// A disk of 100 GB.
fn disk(free: u64) -> Volume {
    Volume {
        device: 1,
        usable_bytes: 100 * GB,
        free_bytes: free,
        inodes: None,
    }
}

fn limits(percent: Option<u8>, free: u64, store: Option<u64>) -> DiskLimits {
    DiskLimits {
        used_percent: percent,
        free_bytes: free,
        store_bytes: store,
    }
}

#[test]
fn the_shortfall_is_the_excess_over_the_limits() {
    // Limits: percent, floor, store size. Disk: free bytes, the store's bytes. Shortfall by
    // percent, floor, size.
    let cases = [
        ((Some(80), 20 * GB, None), (25 * GB, 0), (0, 0, 0)),
        ((Some(80), 20 * GB, None), (20 * GB, 0), (0, 0, 0)),
        ((Some(80), 20 * GB, None), (20 * GB - 1, 0), (1, 1, 0)),
        ((Some(80), 5 * GB, None), (12 * GB, 0), (8 * GB, 0, 0)),
        ((None, 20 * GB, None), (12 * GB, 0), (0, 8 * GB, 0)),
        ((Some(0), 0, None), (99 * GB, 0), (GB, 0, 0)),
        ((Some(100), 0, None), (0, 0), (0, 0, 0)),
        ((None, 0, Some(10 * GB)), (0, 12 * GB), (0, 0, 2 * GB)),
        ((None, 0, Some(10 * GB)), (0, 10 * GB), (0, 0, 0)),
        ((None, 0, None), (0, 12 * GB), (0, 0, 0)),
    ];
    for ((percent, floor, size), (free, store), (of_percent, of_floor, of_store)) in cases {
        let lack = limits(percent, floor, size).shortfall(&disk(free), store);
        let wanted = Shortfall {
            percent_bytes: of_percent,
            free_bytes: of_floor,
            store_bytes: of_store,
            inodes: 0,
        };
        assert_eq!(
            lack, wanted,
            "{percent:?} {floor} {size:?}, {free} free, {store} taken"
        );
    }
}

#[test]
fn inodes_count_like_blocks_and_a_filesystem_without_a_number_of_them_has_enough() {
    let limits = limits(Some(80), 0, None);
    let with = |inodes| Volume {
        inodes,
        ..disk(90 * GB)
    };
    let lacking = |total, free| {
        limits
            .shortfall(&with(Some(Inodes { total, free })), 0)
            .inodes
    };
    assert_eq!(
        (lacking(1000, 200), lacking(1000, 150), lacking(0, 0)),
        (0, 50, 0)
    );
    assert!(limits.shortfall(&with(None), 0).is_none());
    assert_eq!(with(None).used_percent(), 10);
}

#[test]
fn saving_needs_the_floor_and_inodes_and_not_the_percentage() {
    let limits = limits(Some(50), 20 * GB, None);
    let inodes = |free| Volume {
        inodes: Some(Inodes { total: 1000, free }),
        ..disk(30 * GB)
    };
    assert!(limits.allows_saving(&disk(20 * GB)) && !limits.allows_saving(&disk(20 * GB - 1)));
    assert!(limits.allows_saving(&inodes(10)) && !limits.allows_saving(&inodes(9)));
    assert!(
        DiskLimits::default().allows_saving(&disk(0)),
        "with the floor off, the disk itself says no"
    );
}

fn entry(branch: &str, key: &str, days: i64, need: usize) -> RetentionCandidate {
    let group = EntryGroup {
        scope: "acme/widget".into(),
        git_ref: format!("refs/heads/{branch}"),
        kind: CacheKind::Path,
        paths: vec!["target".into()],
    };
    RetentionCandidate {
        id: group.entry_id(key),
        kind: CacheKind::Path,
        family: family(key),
        is_default_branch: branch == "main",
        last_used: Timestamp {
            seconds: NOW.seconds - days * 86_400,
            nanoseconds: 0,
        },
        needs: vec![need],
    }
}

/// Five entries of 4 GB each: an old one, one beyond the kept generation, and three retained ones,
/// the last of them of the default branch.
fn entries() -> Vec<RetentionCandidate> {
    vec![
        entry("main", "k-0000001", 2, 0),
        entry("topic", "a-0000001", 1, 1),
        entry("topic", "b-0000001", 3, 2),
        entry("topic", "b-0000002", 4, 3),
        entry("topic", "c-0000001", 30, 4),
    ]
}

fn policy() -> RetentionPolicy {
    RetentionPolicy {
        keep: [(CacheKind::Path, 1)].into(),
        old_after: Some(Duration::from_secs(7 * 86_400)),
        ..RetentionPolicy::default()
    }
}

struct Goes {
    ready: Vec<usize>,
    entries: Vec<usize>,
    out_of_reach: bool,
}

fn goes(lack: Shortfall, ready: &[ReadyCandidate]) -> Goes {
    let entries = entries();
    let contents = StoreContents {
        ready_copies: ready,
        entries: &entries,
        sizes: &[4 * GB; 5],
    };
    let plan = plan(&lack, contents, &policy(), NOW);
    Goes {
        ready: plan.ready_copies,
        entries: plan.entries.iter().map(|going| going.candidate).collect(),
        out_of_reach: plan.is_insufficient,
    }
}

#[test]
fn entries_are_evicted_in_the_documented_order_and_only_as_many_as_needed() {
    let cases: [(u64, &[usize]); 7] = [
        (0, &[]),
        (1, &[4]),
        (4 * GB, &[4]),
        (5 * GB, &[4, 3]),
        (9 * GB, &[4, 3, 2]),
        (13 * GB, &[4, 3, 2, 1]),
        (20 * GB, &[4, 3, 2, 1, 0]),
    ];
    for (lacking, wanted) in cases {
        for lack in [
            Shortfall {
                free_bytes: lacking,
                ..Shortfall::default()
            },
            Shortfall {
                percent_bytes: lacking,
                ..Shortfall::default()
            },
            Shortfall {
                store_bytes: lacking,
                ..Shortfall::default()
            },
        ] {
            let Goes {
                entries,
                out_of_reach,
                ..
            } = goes(lack, &[]);
            assert_eq!((&entries[..], out_of_reach), (wanted, false), "{lack:?}");
        }
    }
}

#[test]
fn ready_copies_are_removed_before_entries_and_the_oldest_first() {
    let ready: Vec<ReadyCandidate> = entries()
        .iter()
        .take(3)
        .map(|entry| ReadyCandidate {
            name: entry.id.to_string(),
            bytes: GB,
            files: 10,
            last_used: entry.last_used,
        })
        .collect();
    let lack = |of_floor| Shortfall {
        free_bytes: of_floor,
        ..Shortfall::default()
    };
    assert_eq!(
        (
            goes(lack(2 * GB), &ready).ready,
            goes(lack(2 * GB), &ready).entries
        ),
        (vec![2, 0], vec![])
    );
    let more = goes(lack(4 * GB), &ready);
    assert_eq!((more.ready, more.entries), (vec![2, 0, 1], vec![4]));
    let inodes = goes(
        Shortfall {
            inodes: 15,
            ..Shortfall::default()
        },
        &ready,
    );
    assert_eq!((inodes.ready, inodes.entries), (vec![2, 0], vec![]));
}

#[test]
fn a_cache_is_not_emptied_if_others_filled_the_disk() {
    // 20 GB of cache, 60 GB too much on the disk: only entries that would be evicted soon anyway.
    let Goes {
        entries,
        out_of_reach,
        ..
    } = goes(
        Shortfall {
            percent_bytes: 60 * GB,
            ..Shortfall::default()
        },
        &[],
    );
    assert_eq!((&entries[..], out_of_reach), (&[4, 3][..], true));
    // The floor can be met, so it is, although the percentage can not.
    let both = Shortfall {
        percent_bytes: 60 * GB,
        free_bytes: 10 * GB,
        ..Shortfall::default()
    };
    let Goes {
        entries,
        out_of_reach,
        ..
    } = goes(both, &[]);
    assert_eq!((&entries[..], out_of_reach), (&[4, 3, 2][..], true));
    // Inodes of other programs are not the cache's to free.
    let Goes {
        entries,
        out_of_reach,
        ..
    } = goes(
        Shortfall {
            inodes: 100_000,
            ..Shortfall::default()
        },
        &[],
    );
    assert_eq!((&entries[..], out_of_reach), (&[4, 3][..], true));
}

#[test]
fn shared_contents_are_freed_with_the_last_entry() {
    let mut entries = entries();
    entries.truncate(3);
    for entry in &mut entries {
        entry.needs.push(3);
    }
    let sizes = [GB, GB, GB, 10 * GB];
    let contents = StoreContents {
        ready_copies: &[],
        entries: &entries,
        sizes: &sizes,
    };
    let plan = |of_floor| {
        plan(
            &Shortfall {
                free_bytes: of_floor,
                ..Shortfall::default()
            },
            contents,
            &policy(),
            NOW,
        )
    };
    assert_eq!(plan(2 * GB).entries.len(), 2);
    let all = plan(3 * GB);
    assert_eq!(all.entries.len(), 3);
    assert_eq!(all.entries[2].reason, EvictReason::NewestOfDefaultBranch);
    assert!(!plan(13 * GB).is_insufficient && plan(13 * GB + 1).is_insufficient);
}
