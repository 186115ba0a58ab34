//! Two machines, each with a store, and one bucket in memory.

mod bucket;
mod costs;
mod damage;
mod hostile;
mod machine;
mod requests;
mod server;
mod signatures;
mod signed;

use super::name::Trust;
use super::status::RemoteVerifyOptions;
use super::{PushOutcome, Remote, RemoteGcOptions, SHORTEST_GRACE};
use crate::digest::Digest;
use crate::fs::files;
use crate::monitor::Silent;
use crate::ops::second_tier::SecondTier as _;
use crate::store::CacheKind;
use crate::store::key_match::KeyMatch;
use crate::store::retention::RetentionPolicy;
use bucket::MemoryBucket;
use machine::{Machine, Warnings, entry_of, noise};

#[test]
fn another_machine_gets_the_same_files() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write_tree();
    let PushOutcome::Pushed(stats) = a.push("linux-1") else {
        panic!("nothing was pushed");
    };
    assert!(
        stats.uploaded_bytes < 11 << 20,
        "text is compressed: {stats:?}"
    );
    let found = b
        .restore(&b.tier(Trust::Branch), "linux-1", &[], &Silent)
        .unwrap();
    assert!(found.from_second_tier && found.matched == KeyMatch::Exact);
    assert_eq!(b.contents(), a.contents());
    assert_eq!(b.contents().len(), 303);
    // It is an entry like any other now, with the time of the original.
    let local = b.store.read_entry(&found.id).unwrap().unwrap();
    let original = a.store.read_entry(&found.id).unwrap().unwrap();
    assert_eq!(local.created, original.created);
    let lock = b.store.lock_shared(crate::ops::LOCK_TIMEOUT).unwrap();
    let report = b.store.verify(&lock, &Silent).unwrap();
    assert_eq!((report.intact, report.damaged.len()), (1, 0));
}

#[test]
fn a_local_exact_match_sends_no_request() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write_tree();
    a.push("linux-1");
    let tier = a.tier(Trust::Branch);
    let found = a.restore(&tier, "linux-1", &["linux-"], &Silent).unwrap();
    assert!(!found.from_second_tier);
    assert_eq!(tier.report().requests, 0);
}

#[test]
fn a_small_change_moves_few_bytes_in_both_directions() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write_tree();
    a.push("linux-1");
    b.restore(&b.tier(Trust::Branch), "linux-1", &[], &Silent)
        .unwrap();
    a.write("small/7", &noise(2, 5_000));
    let PushOutcome::Pushed(stats) = a.push("linux-2") else {
        panic!("nothing was pushed");
    };
    assert_eq!(stats.segments, 1);
    assert!(stats.uploaded_bytes < 60_000, "{stats:?}");
    let tier = b.tier(Trust::Branch);
    let found = b.restore(&tier, "linux-2", &["linux-"], &Silent).unwrap();
    assert!(found.from_second_tier);
    assert_eq!(b.contents(), a.contents());
    assert!(tier.report().received_bytes < 60_000, "{:?}", tier.report());
}

#[test]
fn an_exact_match_of_the_remote_comes_before_a_local_prefix() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"of a");
    a.push("linux-1");
    b.write("f", b"of b");
    b.save("linux-0");
    let found = b.restore(&b.tier(Trust::Branch), "linux-1", &["linux-"], &Silent);
    assert_eq!(found.unwrap().entry.key, "linux-1");
}

#[test]
fn of_several_prefixes_the_newest_wins_wherever_it_is() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    b.write("f", b"old");
    b.save("linux-old");
    a.write("f", b"new");
    a.push("linux-new");
    let find = || {
        b.restore(&b.tier(Trust::Branch), "linux-3", &["linux-"], &Silent)
            .unwrap()
    };
    let found = find();
    assert_eq!(
        (&*found.entry.key, found.matched),
        ("linux-new", KeyMatch::Prefix)
    );
    assert!(found.from_second_tier);
    b.write("f", b"newest");
    b.save("linux-newest");
    let found = find();
    assert_eq!(found.entry.key, "linux-newest");
    assert!(!found.from_second_tier);
}

#[test]
fn jobs_that_look_for_the_same_at_once_ask_the_remote_once() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"of a");
    a.push("macos-1");
    let requests: Vec<u64> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let tier = b.tier(Trust::Branch);
                    assert!(b.restore(&tier, "linux-1", &[], &Silent).is_none());
                    tier.report().requests
                })
            })
            .collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    let asked = requests.iter().filter(|count| **count > 0).count();
    assert_eq!(asked, 1, "{requests:?}");
}

#[test]
fn an_exact_match_reads_one_record_however_many_there_are() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    for key in ["linux-1", "linux-2", "linux-3"] {
        a.write("f", key.as_bytes());
        a.push(key);
    }
    let tier = b.tier(Trust::Branch);
    let found = b.restore(&tier, "linux-2", &["linux-"], &Silent).unwrap();
    assert_eq!(found.entry.key, "linux-2");
    // A list, a record, a manifest and a range of a segment.
    assert_eq!(tier.report().requests, 4);
}

#[test]
fn a_broken_exact_match_is_followed_by_a_prefix() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"old");
    a.push("linux-0");
    let old = bucket.names("/segments/");
    a.write("f", b"new");
    a.push("linux-1");
    let mut segments = bucket.names("/segments/");
    segments.retain(|name| !old.contains(name));
    bucket.remove(&segments[0]);
    let warnings = Warnings::default();
    let tier = b.tier(Trust::Branch);
    let found = b.restore(&tier, "linux-1", &["linux-"], &warnings).unwrap();
    assert_eq!(found.entry.key, "linux-0");
    assert_eq!(warnings.take().len(), 1);
}

#[test]
fn a_look_up_copies_nothing() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write_tree();
    a.push("linux-1");
    let tier = b.tier(Trust::Branch);
    assert!(b.look_up(&tier, "linux-1"));
    assert!(b.store.entry_ids(None).unwrap().is_empty());
    assert!(tier.report().received_bytes < 5_000);
}

#[test]
fn a_push_continues_where_a_killed_one_ended() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write_tree();
    a.push("linux-1");
    for part in ["/entries/", "/manifests/"] {
        for name in bucket.names(part) {
            bucket.remove(&name);
        }
    }
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let entry = entry_of(&a, "linux-1");
    let PushOutcome::Pushed(stats) = remote.push(&a.store, &entry, &Silent).unwrap() else {
        panic!("nothing was pushed");
    };
    assert_eq!(stats.segments, 0);
    let b = Machine::new(&bucket);
    b.restore(&b.tier(Trust::Branch), "linux-1", &[], &Silent)
        .unwrap();
    assert_eq!(b.contents(), a.contents());
    assert_eq!(
        remote.push(&a.store, &entry, &Silent).unwrap(),
        PushOutcome::Exists
    );
}

#[test]
fn a_damaged_local_content_is_not_pushed() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("large", &noise(3, 1 << 20));
    let id = a.save("linux-1");
    let digest = Digest::of(&noise(3, 1 << 20));
    let blob = a.store.layout().blob(&digest);
    for length in [1 << 20, 1 << 19, 0] {
        files::remove(&blob).unwrap();
        files::write_new(&blob, 0o644, &noise(4, length)).unwrap();
        let warnings = Warnings::default();
        let pushed = a.tier(Trust::Branch).push(&a.store, &id, &warnings);
        assert_eq!(pushed.unwrap(), None);
        let warnings = warnings.take();
        assert!(warnings[0].contains("another digest"), "{warnings:?}");
        assert!(bucket.names("/entries/").is_empty());
    }
}

#[test]
fn a_failure_of_the_store_is_a_warning_and_the_next_entry_is_pushed() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", b"of a");
    let (broken, whole) = (a.save("linux-1"), a.save("linux-2"));
    let path = a.store.layout().entry(&broken);
    files::remove(&path).unwrap();
    files::write_new(&path, 0o644, b"{}").unwrap();
    let tier = a.tier(Trust::Branch);
    let warnings = Warnings::default();
    assert_eq!(tier.push(&a.store, &broken, &warnings).unwrap(), None);
    assert_eq!(warnings.take().len(), 1);
    let pushed = tier.push(&a.store, &whole, &warnings).unwrap();
    assert!(matches!(pushed, Some(PushOutcome::Pushed(_))), "{pushed:?}");
    assert_eq!(warnings.take().len(), 0);
}

#[test]
fn a_push_of_what_exists_reads_one_record_however_many_there_are() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    for key in ["linux-1", "linux-2", "linux-3"] {
        a.write("f", key.as_bytes());
        a.push(key);
    }
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let pushed = remote.push(&a.store, &entry_of(&a, "linux-2"), &Silent);
    assert_eq!(pushed.unwrap(), PushOutcome::Exists);
    // A list and a record.
    assert_eq!(remote.traffic().requests, 2);
}

#[test]
fn verify_names_what_is_damaged_and_repair_removes_its_entry() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", &noise(5, 400_000));
    a.push("linux-1");
    a.write("f", &noise(6, 400_000));
    a.push("linux-2");
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let verify = |contents, repair| {
        let options = RemoteVerifyOptions { contents, repair };
        remote.verify(options, &Silent).unwrap()
    };
    assert_eq!(verify(true, false).intact, 2);
    let segment = bucket.names("/segments/")[0].clone();
    let mut bytes = bucket.read(&segment);
    bytes[1000] ^= 1;
    bucket.overwrite(&segment, bytes);
    assert_eq!(verify(false, false).damaged.len(), 0);
    let report = verify(true, true);
    assert_eq!((report.intact, report.damaged.len()), (1, 1));
    assert!(report.damaged[0].1.to_string().contains("/segments/"));
    assert_eq!(verify(true, false).intact, 1);
}

#[test]
fn garbage_collection_keeps_what_entries_need() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    for n in 0..4 {
        a.write("f", &noise(10 + n, 400_000));
        a.push(&format!("linux-aaaaaaa{n}"));
    }
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let options = RemoteGcOptions {
        policy: RetentionPolicy {
            keep: [(CacheKind::Path, 2)].into(),
            ..RetentionPolicy::default()
        },
        grace: SHORTEST_GRACE,
        dry_run: false,
    };
    let first = remote.gc(&options, &Silent).unwrap();
    assert_eq!((first.removed_entries, first.kept_entries), (2, 2));
    assert_eq!((first.removed_objects, first.waiting_bytes), (0, 0));
    let second = remote.gc(&options, &Silent).unwrap();
    assert!(second.waiting_bytes > 800_000, "{second:?}");
    assert_eq!(bucket.names("unreferenced.json").len(), 1);
    // With the marks of a run long ago, the data goes.
    let marks = bucket.names("unreferenced.json")[0].clone();
    let text = String::from_utf8(bucket.read(&marks)).unwrap();
    let old: Marks = serde_json::from_str(&text).unwrap();
    let old = Marks {
        since: old.since.into_keys().map(|name| (name, 0)).collect(),
    };
    bucket.overwrite(&marks, serde_json::to_vec(&old).unwrap());
    let third = remote.gc(&options, &Silent).unwrap();
    assert_eq!(third.removed_objects, 4);
    let status = remote.status(&Silent).unwrap();
    assert_eq!((status.entries.len(), status.unreferenced_bytes), (2, 0));
    for n in 2..4 {
        let b = Machine::new(&bucket);
        let key = format!("linux-aaaaaaa{n}");
        assert!(
            b.restore(&b.tier(Trust::Branch), &key, &[], &Silent)
                .is_some()
        );
    }
    assert_eq!(remote.gc(&options, &Silent).unwrap().removed_objects, 0);
    assert_eq!(bucket.names("unreferenced.json").len(), 0);
}

/// The file of marks, as the format describes it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Marks {
    since: std::collections::BTreeMap<String, i64>,
}

#[test]
fn pull_by_key_makes_local_entries() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write_tree();
    a.push("linux-1");
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    assert!(
        remote
            .pull(&b.store, &["linux-2".to_owned()], &Silent)
            .unwrap()
            .is_empty()
    );
    let pulled = remote
        .pull(&b.store, &["linux-1".to_owned()], &Silent)
        .unwrap();
    assert_eq!(pulled.len(), 1);
    assert!(pulled[0].1.downloaded_bytes > 9 << 20);
    assert_eq!(b.store.entry_ids(None).unwrap().len(), 1);
    // Again, there is nothing to do.
    let again = remote
        .pull(&b.store, &["linux-1".to_owned()], &Silent)
        .unwrap();
    assert_eq!(again[0].1.downloaded_bytes, 0);
}
