//! Freeing space on small filesystems.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use local_cache::fs::volume;
use local_cache::monitor::Silent;
use local_cache::ops::entries::list;
use local_cache::ops::free_space::{DiskNotice, GuardPolicy, GuardReport, guard};
use local_cache::store::disk_limits::DiskLimits;
use local_cache::store::{CacheKind, Store};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::mounts::Mount;
use crate::support::{Sandbox, trees};

const MB: u64 = 1 << 20;

fn wanted(limits: DiskLimits) -> GuardPolicy {
    GuardPolicy {
        limits,
        keep: vec![(CacheKind::Path, 5)],
        old_after: Some(Duration::from_secs(7 * 86_400)),
        default_branches: Vec::new(),
    }
}

/// Limits that require `lacking` more free bytes than now.
fn more_free(root: &Path, lacking: u64) -> DiskLimits {
    let free_bytes = volume(root).unwrap().free_bytes + lacking;
    DiskLimits {
        free_bytes,
        ..DiskLimits::default()
    }
}

/// A sandbox whose store is on a memory filesystem of 64 MiB and has `count` entries of 4 MiB, the
/// least recently used first.
fn filled(mount: &Mount, count: u64) -> (Sandbox, BTreeMap<String, Snapshot>) {
    let sandbox = Sandbox::new().with_cache(mount.join("cache"));
    let job = sandbox.job("job");
    let mut entries = BTreeMap::new();
    for number in 0..count {
        let tree = job.join("tree");
        for part in 0..4 {
            trees::write(
                &tree.join(part.to_string()),
                &trees::random_bytes(number * 10 + part, 1 << 20),
            );
        }
        trees::make_old(&tree);
        let key = format!("k-{number:07}");
        sandbox.save(&job, &key).succeeded();
        entries.insert(key, snapshot(&tree));
    }
    (sandbox, entries)
}

fn keys(guarded: &GuardReport) -> Vec<&str> {
    guarded
        .removed
        .iter()
        .map(|removed| removed.key.as_str())
        .collect()
}

#[test]
fn on_a_disk_with_free_space_nothing_is_removed() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, _) = filled(&mount, 3);
    let limits = DiskLimits {
        used_percent: Some(80),
        free_bytes: 20 * MB,
        store_bytes: Some(40 * MB),
    };
    let before = snapshot(&sandbox.store());
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert!(
        guarded.removed.is_empty() && guarded.freed_bytes == 0 && guarded.may_save,
        "{guarded:#?}"
    );
    assert!(before == snapshot(&sandbox.store()));
    assert!(
        matches!(guarded.notices[..], [DiskNotice::LittleFree(_)]),
        "{guarded:#?}"
    );
}

#[test]
fn entries_are_evicted_until_enough_space_is_free_and_the_rest_can_be_restored() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, entries) = filled(&mount, 8);
    // Temporary files of a killed save are removed before any entry.
    trees::write(
        &sandbox.store().join("tmp/killed/pack"),
        &trees::random_bytes(1, 2 << 20),
    );
    let limits = more_free(sandbox.cache(), 9 * MB);
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert_eq!(keys(&guarded), ["k-0000000", "k-0000001"], "{guarded:#?}");
    assert!(
        guarded.may_save && guarded.after.free_bytes >= limits.free_bytes,
        "{guarded:#?}"
    );
    assert!(!sandbox.store().join("tmp/killed").exists());
    let other = sandbox.job("other");
    for (key, wanted) in entries.iter().skip(2) {
        assert_eq!(
            sandbox.mirror(&other, key).succeeded().json()["cache-matched-key"],
            **key
        );
        assert_same(wanted, &snapshot(&other.join("tree")));
    }
    sandbox.verify().succeeded();
}

#[test]
fn removing_unreferenced_data_can_be_enough() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, _) = filled(&mount, 2);
    trees::write(
        &sandbox.store().join("tmp/killed/pack"),
        &trees::random_bytes(1, 8 << 20),
    );
    let limits = more_free(sandbox.cache(), 6 * MB);
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert!(
        guarded.removed.is_empty() && guarded.may_save,
        "{guarded:#?}"
    );
    assert!(guarded.after.free_bytes >= limits.free_bytes);
}

#[test]
fn a_small_cache_on_a_disk_that_others_filled_stays_and_saving_stops() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, entries) = filled(&mount, 2);
    fs::write(mount.join("others"), vec![1; 40 << 20]).unwrap();
    let limits = DiskLimits {
        used_percent: Some(80),
        free_bytes: 50 * MB,
        store_bytes: None,
    };
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert!(
        guarded.removed.is_empty() && !guarded.may_save,
        "{guarded:#?}"
    );
    assert!(
        matches!(
            guarded.notices[..],
            [DiskNotice::FilledByOthers {
                store_bytes: 8_000_000..,
                ..
            }]
        ),
        "{guarded:#?}"
    );
    let job = sandbox.job("other");
    for key in entries.keys() {
        assert!(sandbox.restore(&job, key).succeeded().is_hit());
    }
}

#[test]
fn a_store_over_its_size_shrinks_on_any_disk() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, _) = filled(&mount, 5);
    let limits = DiskLimits {
        store_bytes: Some(13 * MB),
        ..DiskLimits::default()
    };
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert_eq!(keys(&guarded), ["k-0000000", "k-0000001"], "{guarded:#?}");
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    assert!(store.allocated_bytes().unwrap() <= 13 * MB);
}

#[test]
fn ready_copies_are_removed_if_inodes_are_short() {
    let Some(mount) = Mount::tmpfs_of_files(64 * MB, 1000, "the guard on a disk of few files")
    else {
        return;
    };
    let sandbox = Sandbox::below(mount.path());
    let job = sandbox.job("job");
    for key in ["k-0000001", "k-0000002"] {
        for number in 0..400 {
            trees::write(
                &job.join(format!("tree/{number}")),
                format!("{key} {number}").as_bytes(),
            );
        }
        let move_it = if key.ends_with('2') {
            &["--move"][..]
        } else {
            &[]
        };
        sandbox
            .run(
                &job,
                &[&["save", "--key", key], move_it, &["tree"]].concat(),
            )
            .succeeded();
    }
    let copies = || fs::read_dir(sandbox.store().join("ready")).unwrap().count();
    assert_eq!(copies(), 1);
    // The older entry could be evicted, but the ready copy frees enough space.
    let few = GuardPolicy {
        keep: vec![(CacheKind::Path, 1)],
        ..wanted(DiskLimits {
            used_percent: Some(30),
            ..DiskLimits::default()
        })
    };
    let guarded = guard(sandbox.cache(), None, &few, &Silent).unwrap();
    assert!(
        guarded.before.inodes_percent > Some(40) && guarded.after.inodes_percent < Some(30),
        "{guarded:#?}"
    );
    assert!(copies() == 0 && guarded.removed.is_empty(), "{guarded:#?}");
    let other = sandbox.job("other");
    assert!(sandbox.restore(&other, "k-0000001").succeeded().is_hit());
}

#[test]
fn entries_are_evicted_in_place_of_a_ready_copy_that_cannot_be_removed() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, entries) = filled(&mount, 8);
    let newest = entries.keys().next_back().unwrap();
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let listed = list(&store, &Silent).unwrap();
    let newest = listed.iter().find(|it| it.entry.key == *newest).unwrap();
    // Nobody can rename what is a mount point.
    let name = format!("ready/{}-0-{}-1", newest.entry.manifest, 20 * MB);
    let copy = sandbox.store().join(name);
    fs::create_dir_all(&copy).unwrap();
    let other = sandbox.job("other");
    let Some(_bound) = Mount::bind(&other, &copy, "a directory that stays") else {
        return;
    };
    let limits = more_free(sandbox.cache(), 7 * MB);
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert_eq!(keys(&guarded), ["k-0000000", "k-0000001"], "{guarded:#?}");
    assert!(guarded.may_save && copy.exists(), "{guarded:#?}");
    assert!(guarded.freed_bytes < 9 * MB, "{guarded:#?}");
}

#[test]
fn a_ready_copy_of_which_a_part_stays_does_not_end_the_guard() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, _) = filled(&mount, 8);
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let manifest = list(&store, &Silent).unwrap().remove(0).entry.manifest;
    let copy = sandbox
        .store()
        .join(format!("ready/{manifest}-0-{}-1", 4 * MB));
    let mounted = copy.join("mounted");
    fs::create_dir_all(&mounted).unwrap();
    let other = sandbox.job("other");
    // The guard moves it. Its disk is unmounted with everything below.
    let Some(_bound) = Mount::bind(&other, &mounted, "a directory that stays") else {
        return;
    };
    let limits = more_free(sandbox.cache(), 7 * MB);
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert_eq!(keys(&guarded), ["k-0000000", "k-0000001"], "{guarded:#?}");
    assert!(guarded.may_save && !copy.exists(), "{guarded:#?}");
}

#[test]
fn entries_in_use_stay_and_a_notice_reports_it() {
    let Some(mount) = Mount::tmpfs(64 * MB, "the guard on a small disk") else {
        return;
    };
    let (sandbox, _) = filled(&mount, 3);
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let using = store.lock_shared(Duration::from_secs(1)).unwrap();
    let limits = more_free(sandbox.cache(), 5 * MB);
    let start = std::time::Instant::now();
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "a lock held by another job is waited for a stated time"
    );
    assert!(guarded.removed.is_empty(), "{guarded:#?}");
    assert!(
        matches!(guarded.notices[..], [DiskNotice::InUse(_)]),
        "{guarded:#?}"
    );
    drop(using);
    let guarded = guard(sandbox.cache(), None, &wanted(limits), &Silent).unwrap();
    assert_eq!(keys(&guarded), ["k-0000000", "k-0000001"]);
}

#[test]
fn a_full_disk_of_the_workspace_is_reported_and_evicts_no_entry() {
    let (Some(mount), Some(other)) = (
        Mount::tmpfs(256 * MB, "the guard on a small disk"),
        Mount::tmpfs(32 * MB, "the guard on a small disk"),
    ) else {
        return;
    };
    let (sandbox, _) = filled(&mount, 2);
    fs::write(other.join("build"), vec![1; 30 << 20]).unwrap();
    let limits = DiskLimits {
        used_percent: Some(80),
        free_bytes: MB,
        store_bytes: None,
    };
    let guarded = guard(
        sandbox.cache(),
        Some(other.path()),
        &wanted(limits),
        &Silent,
    )
    .unwrap();
    assert!(guarded.removed.is_empty() && guarded.may_save);
    assert!(
        guarded.notices.iter().any(
            |notice| matches!(notice, DiskNotice::WorkspaceFull(room) if room.used_percent > 90)
        )
    );
    // On the same disk there is no second notice.
    let same = guard(
        sandbox.cache(),
        Some(mount.path()),
        &wanted(limits),
        &Silent,
    )
    .unwrap();
    assert!(
        !same
            .notices
            .iter()
            .any(|notice| matches!(notice, DiskNotice::WorkspaceFull(_)))
    );
}

#[test]
fn a_full_disk_without_a_store_creates_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    let limits = DiskLimits {
        free_bytes: u64::MAX,
        ..DiskLimits::default()
    };
    let guarded = guard(&root, Some(dir.path()), &wanted(limits), &Silent).unwrap();
    assert!(!guarded.may_save && !root.exists());
    assert!(
        matches!(
            guarded.notices[..],
            [DiskNotice::FilledByOthers { store_bytes: 0, .. }]
        ),
        "{guarded:#?}"
    );
}

#[test]
fn disabled_limits_require_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let guarded = guard(dir.path(), None, &wanted(DiskLimits::default()), &Silent).unwrap();
    assert!(guarded.may_save && guarded.notices.is_empty());
}
