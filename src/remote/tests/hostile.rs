//! A bucket with objects that others wrote, altered or removed.

use super::bucket::MemoryBucket;
use super::machine::{Machine, Warnings, group, group_of};
use crate::fs::Timestamp;
use crate::monitor::Silent;
use crate::remote::gc::LARGEST_MARKS;
use crate::remote::manifest::RemoteManifest;
use crate::remote::name::{Trust, key_id};
use crate::remote::record::{LARGEST_RECORD, RemoteRecord};
use crate::remote::signature::RecordKeys;
use crate::remote::status::RemoteVerifyOptions;
use crate::remote::{PushOutcome, Remote, RemoteGcOptions, SHORTEST_GRACE};
use crate::store::CacheKind;
use crate::store::retention::RetentionPolicy;
use crate::tree::{FileData, LeafKind};

#[test]
fn a_branch_does_not_see_what_a_pull_request_pushed() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"forged");
    let group = group_of("refs/pull/7/merge");
    let id = a.save_in(&group, "linux-1");
    let pushed = a.tier(Trust::PullRequest).push(&a.store, &id, &Silent);
    assert!(matches!(pushed, Ok(Some(PushOutcome::Pushed(_)))));
    assert_eq!(bucket.names("/pull-request/").len(), bucket.names("").len());
    let tier = b.tier(Trust::Branch);
    let found = b.restore_in(&group, &tier, ("linux-1", &["l"]), &Silent);
    assert!(found.is_none());
    let tier = b.tier(Trust::PullRequest);
    let found = b.restore_in(&group, &tier, ("linux-1", &[]), &Silent);
    assert!(found.is_some());
}

#[test]
fn a_pull_request_does_not_push_what_branches_read() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", b"forged");
    for git_ref in [
        "",
        "refs/heads/main",
        "refs/tags/v1",
        "refs/heads/refs/pull/7",
    ] {
        let id = a.save_in(&group_of(git_ref), "linux-1");
        let warnings = Warnings::default();
        let pushed = a.tier(Trust::PullRequest).push(&a.store, &id, &warnings);
        assert_eq!(pushed.unwrap(), None);
        assert!(warnings.take()[0].contains("branches read it"));
        let entry = a.store.read_entry(&id).unwrap().unwrap();
        let remote = Remote::with_client(bucket.client(), Trust::PullRequest);
        assert!(remote.push(&a.store, &entry, &Silent).is_err());
        assert!(bucket.names("").is_empty());
    }
}

/// With the bucket's policy of docs/remote.md, a pull request can write any name below its trust.
#[test]
fn what_a_pull_request_forges_for_a_branch_is_not_pulled_by_other_pull_requests() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"forged");
    a.push("linux-1");
    for name in bucket.names("/branch/") {
        bucket.overwrite(
            &name.replace("/branch/", "/pull-request/"),
            bucket.read(&name),
        );
        bucket.remove(&name);
    }
    let tier = b.tier(Trust::PullRequest);
    assert!(b.restore(&tier, "linux-1", &["l"], &Silent).is_none());
    let remote = Remote::with_client(bucket.client(), Trust::PullRequest);
    assert!(
        remote
            .pull(&b.store, &["linux-1".to_owned()], &Silent)
            .unwrap()
            .is_empty()
    );
    // The same in the group of a pull request.
    for name in bucket.names("/pull-request/") {
        let other = name.replace("/refs/heads/main/", "/refs/pull/7/merge/");
        assert_ne!(other, name);
        bucket.overwrite(&other, bucket.read(&name));
    }
    assert!(
        remote
            .pull(&b.store, &["linux-1".to_owned()], &Silent)
            .unwrap()
            .is_empty()
    );
    assert!(b.store.entry_ids(None).unwrap().is_empty());
}

/// Writes a changed record over that of `key`, with right checksums.
fn forge(bucket: &MemoryBucket, key: &str, change: impl Fn(&mut RemoteRecord)) {
    let name = bucket
        .names(&format!("/{}-", key_id(&group(), key)))
        .remove(0);
    let (mut record, _) = RemoteRecord::decode(&bucket.read(&name), &name).unwrap();
    change(&mut record);
    let bytes = record.encode(&name, &RecordKeys::default()).unwrap();
    bucket.overwrite(&name, bytes);
}

#[test]
fn an_entry_of_a_newer_version_is_a_miss_and_is_never_removed() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"of a");
    a.push("linux-1");
    forge(&bucket, "linux-1", |record| record.format += 1);
    let objects = bucket.names("");
    let warnings = Warnings::default();
    let found = b.restore(&b.tier(Trust::Branch), "linux-1", &[], &warnings);
    assert!(found.is_none());
    assert!(warnings.take()[0].ends_with("update local-cache"));
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let options = RemoteVerifyOptions {
        contents: true,
        repair: true,
    };
    let report = remote.verify(options, &Silent).unwrap();
    assert_eq!((report.newer, report.damaged.len()), (1, 0));
    let status = remote.status(&Silent).unwrap();
    assert_eq!((status.newer, status.damaged), (1, 0));
    let gc = RemoteGcOptions {
        policy: RetentionPolicy {
            keep: CacheKind::ALL.map(|kind| (kind, 0)).into(),
            ..RetentionPolicy::default()
        },
        grace: std::time::Duration::ZERO,
        dry_run: false,
    };
    remote.gc(&gc, &Silent).unwrap();
    remote.gc(&gc, &Silent).unwrap();
    assert_eq!(bucket.names(""), objects);
}

#[test]
fn objects_with_names_of_others_are_left_alone() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", b"of a");
    a.push("linux-1");
    let record = bucket.names("/entries/").remove(0);
    for name in ["\u{1b}[2Jforged", "white space", "ünder"] {
        let name = record.replace("acme", name);
        bucket.overwrite(&name, b"{}".to_vec());
    }
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let warnings = Warnings::default();
    let status = remote.status(&warnings).unwrap();
    assert_eq!((status.entries.len(), status.damaged), (1, 0));
    assert_eq!(warnings.take(), Vec::<String>::new());
}

/// Otherwise the restore would find the damage later, and take a pack of the store for damaged.
#[test]
fn a_file_with_another_length_than_its_contents_is_refused() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    for machine in [&a, &b] {
        machine.write("known", b"the same on both machines");
    }
    a.write("other", b"more bytes in the same frame");
    b.save("own");
    a.push("linux-1");
    let name = bucket.names("/manifests/").remove(0);
    forge(&bucket, "linux-1", |record| {
        let mut remote = RemoteManifest::decode(&bucket.read(&name), record, &name).unwrap();
        let tree = &mut remote.manifest.tree;
        let leaf = tree.leaf_ids().next().unwrap();
        let LeafKind::File(data) = tree[leaf].kind.clone() else {
            panic!("no file");
        };
        let size = data.size + 1;
        tree.set_file(leaf, 0o644, Timestamp::default(), FileData { size, ..data });
        record.entry.manifest = remote.manifest.encode().unwrap().1;
        let RemoteManifest {
            manifest,
            unique,
            contents,
            ..
        } = &remote;
        let encoded =
            RemoteManifest::encode(&record.push, manifest, None, unique, contents).unwrap();
        record.manifest = encoded.reference;
        let digest = name.rsplit('/').next().unwrap();
        let forged = name.replace(digest, &encoded.reference.digest.to_string());
        bucket.overwrite(&forged, encoded.bytes);
    });
    let warnings = Warnings::default();
    let found = b.restore(&b.tier(Trust::Branch), "linux-1", &[], &warnings);
    assert!(found.is_none());
    let warnings = warnings.take();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("another digest"), "{warnings:?}");
}

#[test]
fn every_damaged_object_is_a_miss_with_one_warning_and_restores_nothing() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write_tree();
    a.push("linux-1");
    let restored = a.contents();
    for part in ["/entries/", "/manifests/", "/segments/"] {
        for name in bucket.names(part) {
            let right = bucket.read(&name);
            let mut altered = right.clone();
            let middle = altered.len() / 2;
            altered[middle] ^= 1;
            let cut = right[..middle].to_vec();
            let wrong = [Some(altered), Some(cut), Some(Vec::new()), None];
            for wrong in wrong {
                match &wrong {
                    Some(bytes) => bucket.overwrite(&name, bytes.clone()),
                    None => bucket.remove(&name),
                }
                let b = Machine::new(&bucket);
                let warnings = Warnings::default();
                let found = b.restore(&b.tier(Trust::Branch), "linux-1", &[], &warnings);
                let length = wrong.as_ref().map(Vec::len);
                assert!(found.is_none(), "{name} {length:?}");
                assert!(b.contents().is_empty() && b.store.entry_ids(None).unwrap().is_empty());
                // A record that is gone is an ordinary miss.
                let is_gone = part == "/entries/" && wrong.is_none();
                let warnings = warnings.take();
                assert_eq!(
                    warnings.len(),
                    usize::from(!is_gone),
                    "{name}: {warnings:?}"
                );
                // Otherwise every job of the machine would go without the remote for a while.
                let is_outage = warnings.iter().any(|it| it.contains("does not work"));
                assert!(!is_outage, "{name} {length:?}: {warnings:?}");
            }
            bucket.overwrite(&name, right);
        }
    }
    let b = Machine::new(&bucket);
    b.restore(&b.tier(Trust::Branch), "linux-1", &[], &Silent)
        .unwrap();
    assert_eq!(b.contents(), restored);
}

/// Puts objects with names of records and of marks into the group of `key`, as anyone who may write
/// there can. Returns their names.
fn put_wrong_objects(bucket: &MemoryBucket, key: &str) -> Vec<String> {
    let name = bucket
        .names(&format!("/{}-", key_id(&group(), key)))
        .remove(0);
    let (directory, file) = name.rsplit_once('/').unwrap();
    let (id, _) = file.split_once('-').unwrap();
    let record = |digit: &str| format!("{directory}/{id}-{}.json", digit.repeat(32));
    let too_large = usize::try_from(LARGEST_RECORD).unwrap() + 1;
    bucket.overwrite(&record("0"), Vec::new());
    bucket.overwrite(&record("1"), vec![b'{'; too_large]);
    bucket.overwrite(&record("2"), b"{}".to_vec());
    let group = directory.strip_suffix("/entries").unwrap();
    bucket.overwrite(&format!("{group}/unreferenced.json"), Vec::new());
    ["0", "1", "2"].map(record).to_vec()
}

#[test]
fn records_that_cannot_be_read_stop_no_command_and_verify_removes_them() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    a.write("f", b"of a");
    a.push("linux-1");
    let wrong = put_wrong_objects(&bucket, "linux-1");
    let tier = b.tier(Trust::Branch);
    let warnings = Warnings::default();
    assert!(b.restore(&tier, "linux-1", &[], &warnings).is_some());
    assert_eq!(warnings.take().len(), wrong.len());
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let status = remote.status(&Silent).unwrap();
    assert_eq!((status.entries.len(), status.damaged), (1, 3));
    let gc = RemoteGcOptions {
        policy: RetentionPolicy::default(),
        grace: SHORTEST_GRACE,
        dry_run: false,
    };
    let stats = remote.gc(&gc, &Silent).unwrap();
    assert_eq!((stats.kept_entries, stats.skipped_groups), (4, 1));
    let verify = |repair| {
        let options = RemoteVerifyOptions {
            contents: true,
            repair,
        };
        remote.verify(options, &Silent).unwrap()
    };
    let mut damaged: Vec<String> = verify(true).damaged.into_iter().map(|it| it.0).collect();
    damaged.sort();
    let of_bucket = |name: &String| name.split_once("/local-cache-v1/").unwrap().1.to_owned();
    assert_eq!(damaged, wrong.iter().map(of_bucket).collect::<Vec<_>>());
    assert_eq!(verify(false).damaged.len(), 0);
    // What these records named is unneeded from now on, whatever a run found before.
    assert_eq!(bucket.names("/unreferenced.json").len(), 0);
    let stats = remote.gc(&gc, &Silent).unwrap();
    assert_eq!((stats.kept_entries, stats.skipped_groups), (1, 0));
}

#[test]
fn marks_that_no_run_wrote_count_as_none() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", b"of a");
    a.push("linux-1");
    let record = bucket.names("/entries/").remove(0);
    let name = record.split_once("/entries/").unwrap().0.to_owned() + "/unreferenced.json";
    let remote = Remote::with_client(bucket.client(), Trust::Branch);
    let gc = RemoteGcOptions {
        policy: RetentionPolicy::default(),
        grace: SHORTEST_GRACE,
        dry_run: false,
    };
    let too_large = usize::try_from(LARGEST_MARKS).unwrap() + 1;
    for marks in [Vec::new(), b"no JSON".to_vec(), vec![b' '; too_large]] {
        bucket.overwrite(&name, marks);
        let stats = remote.gc(&gc, &Silent).unwrap();
        assert_eq!((stats.kept_entries, stats.removed_objects), (1, 0));
    }
    assert_eq!(remote.status(&Silent).unwrap().entries.len(), 1);
}
