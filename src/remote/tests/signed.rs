//! Machines that sign records, and machines that use only those of some keys.

use super::bucket::MemoryBucket;
use super::machine::{Machine, Warnings, entry_of, group, group_of, noise};
use super::signatures::keys;
use crate::monitor::Silent;
use crate::remote::config::PushMode;
use crate::remote::name::{GroupName, Trust};
use crate::remote::signature::RecordKeys;
use crate::remote::status::RemoteVerifyOptions;
use crate::remote::{PushOutcome, Remote, RemoteGcOptions, RemoteTier, SHORTEST_GRACE};
use crate::store::CacheKind;
use crate::store::retention::RetentionPolicy;

fn tier(bucket: &MemoryBucket, keys: RecordKeys) -> RemoteTier {
    let mut client = bucket.client();
    client.keys = keys;
    RemoteTier::with_client(client, PushMode::Wait, Trust::Branch)
}

fn remote(bucket: &MemoryBucket, keys: RecordKeys) -> Remote {
    let mut client = bucket.client();
    client.keys = keys;
    Remote::with_client(client, Trust::Branch)
}

/// Saves and pushes an entry.
fn push(machine: &Machine, bucket: &MemoryBucket, key: &str, signer: Option<u8>) {
    let seed = key.bytes().map(u32::from).sum();
    machine.write("f", &noise(seed, 100_000));
    let id = machine.save(key);
    let pushed = tier(bucket, keys(signer, None)).push(&machine.store, &id, &Silent);
    assert!(matches!(pushed, Ok(Some(PushOutcome::Pushed(_)))));
}

#[test]
fn an_entry_that_no_trusted_key_signed_is_a_miss_with_one_warning() {
    for (signer, reason) in [
        (None, "it is not signed"),
        (Some(2), "no key that is trusted here signed it"),
    ] {
        let bucket = MemoryBucket::new();
        let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
        for key in ["linux-1", "linux-2", "linux-3"] {
            push(&a, &bucket, key, signer);
        }
        b.write("f", b"of b");
        b.save("local");
        let before = b.contents();
        let trusting = tier(&bucket, keys(None, Some(&[1])));
        let warnings = Warnings::default();
        for key in ["linux-1", "linux-4"] {
            assert!(b.restore(&trusting, key, &["linux-"], &warnings).is_none());
        }
        let warnings = warnings.take();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let expected = format!("is refused: {reason}; it counts as a miss; push the entry with");
        assert!(warnings[0].contains(&expected), "{warnings:?}");
        assert_eq!(b.contents(), before);
        let found = b.restore(&trusting, "local", &[], &Silent).unwrap();
        assert!(!found.from_second_tier);
        // Without trusted keys, it is used as before.
        let found = b.restore(&tier(&bucket, keys(None, None)), "linux-1", &[], &Silent);
        assert!(found.unwrap().from_second_tier);
    }
}

#[test]
fn a_signed_entry_is_used_next_to_refused_ones_without_a_warning() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    push(&a, &bucket, "linux-1", None);
    push(&a, &bucket, "linux-2", Some(1));
    let id = group().entry_id("linux-1");
    let signing = tier(&bucket, keys(Some(1), None));
    let pushed = signing.push(&a.store, &id, &Silent).unwrap();
    assert!(matches!(pushed, Some(PushOutcome::Pushed(_))), "{pushed:?}");
    let warnings = Warnings::default();
    let trusting = tier(&bucket, keys(Some(3), Some(&[2, 1])));
    let found = b.restore(&trusting, "linux-1", &[], &warnings).unwrap();
    assert!(found.from_second_tier);
    assert_eq!(warnings.take(), Vec::<String>::new());
    // A prefix, where the entry with the key is refused.
    push(&a, &bucket, "linux-3", Some(4));
    let c = Machine::new(&bucket);
    let found = c.restore(&trusting, "linux-3", &["linux-"], &warnings);
    assert_eq!(found.unwrap().entry.key, "linux-2");
    assert_eq!(warnings.take().len(), 1);
}

#[test]
fn a_signed_entry_does_not_move_to_another_ref_or_trust() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    push(&a, &bucket, "linux-1", Some(1));
    let from = GroupName::new(Trust::Branch, &group()).to_string();
    for (trust, git_ref) in [
        (Trust::Branch, "refs/heads/release"),
        (Trust::PullRequest, "refs/pull/7/merge"),
    ] {
        let group = group_of(git_ref);
        let to = GroupName::new(trust, &group).to_string();
        for name in bucket.names(&from) {
            bucket.overwrite(&name.replace(&from, &to), bucket.read(&name));
        }
        let mut client = bucket.client();
        client.keys = keys(None, Some(&[1]));
        let trusting = RemoteTier::with_client(client, PushMode::Wait, trust);
        let warnings = Warnings::default();
        let found = b.restore_in(&group, &trusting, ("linux-1", &["l"]), &warnings);
        assert!(found.is_none());
        assert!(warnings.take()[0].contains("is refused"));
    }
}

#[test]
fn what_a_job_without_trusted_keys_found_does_not_count_for_one_with_them() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    push(&a, &bucket, "linux-1", None);
    // It remembers the look-up in the store and copies nothing.
    for (keys, is_found) in [(keys(None, None), true), (keys(None, Some(&[1])), false)] {
        let tier = tier(&bucket, keys);
        assert_eq!(b.look_up(&tier, "linux-1"), is_found);
    }
}

#[test]
fn a_push_signs_and_a_machine_that_does_not_sign_pushes_nothing_that_it_would_refuse() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    push(&a, &bucket, "linux-1", None);
    let entry = entry_of(&a, "linux-1");
    let push = |keys| remote(&bucket, keys).push(&a.store, &entry, &Silent);
    // Nobody who trusts the key would use the record that is there.
    let pushed = push(keys(Some(1), None)).unwrap();
    let PushOutcome::Pushed(stats) = pushed else {
        panic!("{pushed:?}");
    };
    assert_eq!(stats.segments, 0, "the contents are there");
    for keys in [
        keys(None, None),
        keys(Some(1), None),
        keys(Some(1), Some(&[1])),
        keys(Some(1), Some(&[2])),
        keys(Some(2), Some(&[1])),
    ] {
        assert_eq!(push(keys).unwrap(), PushOutcome::Exists);
    }
    let count = bucket.names("/entries/").len();
    let error = push(keys(None, Some(&[1]))).unwrap_err().with_advice();
    assert!(error.contains("trust is set without sign"), "{error}");
    assert_eq!(bucket.names("/entries/").len(), count);
    // For others, it is another entry's record.
    assert!(matches!(
        push(keys(Some(2), None)),
        Ok(PushOutcome::Pushed(_))
    ));
}

fn gc(bucket: &MemoryBucket, keys: RecordKeys, keep: usize) -> crate::remote::RemoteGcStats {
    let options = RemoteGcOptions {
        policy: RetentionPolicy {
            keep: [(CacheKind::Path, keep)].into(),
            ..RetentionPolicy::default()
        },
        grace: SHORTEST_GRACE,
        dry_run: false,
    };
    remote(bucket, keys).gc(&options, &Silent).unwrap()
}

#[test]
fn garbage_collection_drops_no_signed_entry_for_newer_ones_of_others() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    let all = [
        "linux-aaaaaaa1",
        "linux-aaaaaaa2",
        "linux-aaaaaaa3",
        "linux-aaaaaaa4",
    ];
    for (key, signer) in all.into_iter().zip([Some(1), None, Some(2), None]) {
        push(&a, &bucket, key, signer);
    }
    let trusting = || keys(None, Some(&[1]));
    let data = bucket.names("/segments/");
    // Records of others protect their data, and are dropped for newer ones of others.
    let stats = gc(&bucket, trusting(), 2);
    assert_eq!((stats.removed_entries, stats.kept_entries), (1, 3));
    assert_eq!(
        (
            stats.removed_objects,
            stats.waiting_bytes,
            stats.skipped_groups
        ),
        (0, 0, 0)
    );
    assert_eq!(bucket.names("/segments/"), data);
    let left = || -> Vec<String> {
        let status = remote(&bucket, RecordKeys::default())
            .status(&Silent)
            .unwrap();
        let mut keys: Vec<_> = status.entries.into_iter().map(|it| it.entry.key).collect();
        keys.sort();
        keys
    };
    assert!(left().len() == 3 && left()[0] == all[0]);
    assert_eq!(gc(&bucket, trusting(), 1).removed_entries, 1);
    assert!(left().len() == 2 && left()[0] == all[0]);
    // Without trusted keys, all are alike.
    assert_eq!(gc(&bucket, keys(Some(1), None), 1).removed_entries, 1);
    assert_eq!(left().len(), 1);
}

#[test]
fn status_and_verify_count_refused_entries_and_a_repair_leaves_them() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    for (key, signer) in [
        ("linux-1", Some(1)),
        ("linux-2", None),
        ("linux-3", Some(2)),
    ] {
        push(&a, &bucket, key, signer);
    }
    let remote = remote(&bucket, keys(None, Some(&[1])));
    let warnings = Warnings::default();
    let status = remote.status(&warnings).unwrap();
    assert_eq!(
        (status.entries.len(), status.refused, status.damaged),
        (1, 2, 0)
    );
    assert_eq!(status.unreferenced_bytes, 0);
    assert_eq!(warnings.take().len(), 2);
    let objects = bucket.names("");
    let options = RemoteVerifyOptions {
        contents: true,
        repair: true,
    };
    let report = remote.verify(options, &Silent).unwrap();
    assert_eq!(
        (report.intact, report.damaged.len(), report.refused.len()),
        (1, 0, 2)
    );
    assert!(!report.repaired);
    assert_eq!(bucket.names(""), objects);
}

#[test]
fn a_pull_by_key_names_the_refusal_unless_another_entry_has_the_key() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    push(&a, &bucket, "linux-1", None);
    let remote = remote(&bucket, keys(None, Some(&[1])));
    let pull = |warnings: &Warnings| remote.pull(&b.store, &["linux-1".to_owned()], warnings);
    let error = pull(&Warnings::default()).unwrap_err().with_advice();
    assert!(error.contains("is refused: it is not signed; "), "{error}");
    assert!(b.store.entry_ids(None).unwrap().is_empty());
    let signing = tier(&bucket, keys(Some(1), None));
    signing
        .push(&a.store, &group().entry_id("linux-1"), &Silent)
        .unwrap();
    assert_eq!(pull(&Warnings::default()).unwrap().len(), 1);
    // The same key in another group, which someone else can add.
    let other = group_of("refs/heads/other");
    let id = a.save_in(&other, "linux-1");
    tier(&bucket, keys(None, None))
        .push(&a.store, &id, &Silent)
        .unwrap();
    let warnings = Warnings::default();
    assert_eq!(pull(&warnings).unwrap().len(), 1);
    assert_eq!(warnings.take().len(), 1);
}
