//! What the guard costs when there is nothing to do.

use std::fs;
use std::time::{Duration, Instant};

use local_cache::digest::Digest;
use local_cache::fs::Timestamp;
use local_cache::monitor::Silent;
use local_cache::ops::guard::{Wanted, guard};
use local_cache::store::Store;
use local_cache::store::entry::{Entry, Group, Kind};
use local_cache::store::guard::Limits;

/// A store of a thousand entries, each with a manifest, a pack and a large file of its own.
fn thousand(root: &std::path::Path) -> Store {
    let store = Store::create(root).unwrap();
    let layout = store.layout();
    for number in 0..1000_u32 {
        let group = Group {
            scope: format!("acme/{}", number % 20),
            git_ref: "refs/heads/main".into(),
            kind: Kind::Path,
            paths: vec!["target".into()],
        };
        let digest = Digest::of(&number.to_le_bytes());
        let entry = Entry {
            format: 1,
            group,
            key: format!("k-{number:08}"),
            created: Timestamp { seconds: 1_700_000_000 + i64::from(number), nanoseconds: 0 },
            manifest: digest,
            files: 1,
            directories: 0,
            bytes: 1,
            added_bytes: 1,
            sources: None,
        };
        fs::write(layout.entry(&entry.id()), entry.encode().unwrap()).unwrap();
        fs::write(layout.manifest(&digest), b"manifest").unwrap();
        fs::write(layout.pack(&digest), b"pack").unwrap();
        fs::create_dir_all(layout.blob_shelf(&digest)).unwrap();
        fs::write(layout.blob(&digest), b"blob").unwrap();
    }
    store
}

#[test]
fn with_nothing_to_do_a_thousand_entries_cost_the_guard_five_milliseconds() {
    let dir = tempfile::tempdir().unwrap();
    thousand(dir.path());
    let took = |limits: Limits| {
        let wanted = Wanted { limits, keep: Vec::new(), old_after: None, default_branches: Vec::new() };
        let mut times: Vec<Duration> = (0..21)
            .map(|_| {
                let begun = Instant::now();
                let guarded = guard(dir.path(), Some(dir.path()), &wanted, &Silent).unwrap();
                assert!(guarded.removed.is_empty() && guarded.may_save);
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() / 2]
    };
    let usual = took(Limits { used_percent: Some(100), free_bytes: 1, store_bytes: None });
    let with_size = took(Limits { used_percent: Some(100), free_bytes: 1, store_bytes: Some(u64::MAX) });
    println!("guard over 1,000 entries: {usual:?}; with a size for the store {with_size:?}");
    // An unoptimised build on a busy machine has ten times as long.
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 5 });
    assert!(usual <= limit && with_size <= limit * 4, "{usual:?}, {with_size:?}");
}
