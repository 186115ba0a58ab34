//! The cost of checking the limits when nothing is to be done, compared with a scan of the store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use local_cache::digest::Digest;
use local_cache::fs::Timestamp;
use local_cache::monitor::Silent;
use local_cache::ops::free_space::{GuardPolicy, guard};
use local_cache::store::Store;
use local_cache::store::disk_limits::DiskLimits;
use local_cache::store::{CacheKind, Entry, EntryGroup};

use super::settle;

/// A store of a thousand entries, each with a manifest, a pack and a large file of its own.
fn thousand(root: &Path) -> Store {
    let store = Store::create(root).unwrap();
    let layout = store.layout();
    for number in 0..1000_u32 {
        let group = EntryGroup {
            scope: format!("acme/{}", number % 20),
            git_ref: "refs/heads/main".into(),
            kind: CacheKind::Path,
            paths: vec!["target".into()],
        };
        let digest = Digest::of(&number.to_le_bytes());
        let entry = Entry {
            format: 1,
            group,
            key: format!("k-{number:08}"),
            created: Timestamp {
                seconds: 1_700_000_000 + i64::from(number),
                nanoseconds: 0,
            },
            manifest: digest,
            files: 1,
            directories: 0,
            bytes: 1,
            added_bytes: 1,
            record: None,
            parts: BTreeMap::new(),
        };
        fs::write(layout.entry(&entry.id()), entry.encode().unwrap()).unwrap();
        fs::write(layout.manifest(&digest), b"manifest").unwrap();
        fs::write(layout.pack(&digest), b"pack").unwrap();
        fs::create_dir_all(layout.blob_shelf(&digest)).unwrap();
        fs::write(layout.blob(&digest), b"blob").unwrap();
    }
    store
}

/// The median of some runs.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// The disk space of all files below a directory, in bytes.
fn added_up(dir: &Path) -> u64 {
    let taken = |entry: fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            added_up(&entry.path())
        } else {
            metadata.blocks() * 512
        }
    };
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| taken(entry.unwrap()))
        .sum()
}

#[test]
fn with_nothing_to_do_the_check_of_limits_reads_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    let store = thousand(dir.path());
    settle(&store);
    let guarded = |limits: DiskLimits| {
        let wanted = GuardPolicy {
            limits,
            keep: Vec::new(),
            old_after: None,
            default_branches: Vec::new(),
        };
        let guarded = guard(dir.path(), Some(dir.path()), &wanted, &Silent).unwrap();
        assert!(guarded.removed.is_empty() && guarded.may_save);
    };
    let limits = DiskLimits {
        used_percent: Some(100),
        free_bytes: 1,
        store_bytes: None,
    };
    let with_size = DiskLimits {
        store_bytes: Some(u64::MAX),
        ..limits
    };
    guarded(with_size);
    let all = median(|| assert!(added_up(store.layout().root()) > 0));
    let (usual, with_size) = (median(|| guarded(limits)), median(|| guarded(with_size)));
    println!(
        "guard over 1,000 entries: {usual:?}, with a size for the store {with_size:?}; all files {all:?}"
    );
    assert!(
        usual * 20 < all && with_size * 2 < all,
        "{usual:?}, {with_size:?}, {all:?}"
    );
}
