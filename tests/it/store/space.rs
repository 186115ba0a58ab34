//! Shared contents are stored once, unused ones are removed, and retained entries can be restored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use local_cache::store::{Entry, EntryId};

use crate::support::compare::{Snapshot, assert_same, disk_usage, snapshot};
use crate::support::{Sandbox, trees};

/// Deterministic numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        let bytes = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(bytes.as_bytes()[..8].try_into().unwrap()) % limit
    }
}

/// Makes `key` the least recently used entry, and prunes only that one.
fn remove_entry(sandbox: &Sandbox, job: &Path, keys: &BTreeMap<String, Snapshot>, key: &str) {
    for other in keys.keys().filter(|other| *other != key) {
        sandbox
            .run(job, &["restore", "--lookup-only", "--key", other, "tree"])
            .succeeded();
    }
    let pruned = sandbox.prune(keys.len() - 1).succeeded().json();
    assert_eq!(pruned["removed-entries"], 1, "{pruned}");
}

#[test]
fn retained_entries_can_be_restored_after_each_of_many_removals() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let tree = job.join("tree");
    let mut numbers = Numbers(7);
    let mut entries: BTreeMap<String, Snapshot> = BTreeMap::new();
    for number in 0..40 {
        trees::write(
            &tree.join(format!("{number}")),
            &trees::random_bytes(number, 100 << 10),
        );
    }
    trees::make_old(&tree);
    let mut next = 100;
    for round in 0..14 {
        for _ in 0..12 {
            next += 1;
            let large = if numbers.below(8) == 0 {
                400 << 10
            } else {
                90 << 10
            };
            trees::write(
                &tree.join(numbers.below(40).to_string()),
                &trees::random_bytes(next, large),
            );
        }
        let key = format!("key-{round}");
        sandbox.save(&job, &key).succeeded();
        entries.insert(key, snapshot(&tree));
        if entries.len() > 4 {
            let at = usize::try_from(numbers.below(entries.len() as u64)).unwrap();
            let victim = entries.keys().nth(at).unwrap().clone();
            remove_entry(&sandbox, &job, &entries, &victim);
            entries.remove(&victim);
            assert!(!sandbox.restore(&other, &victim).succeeded().is_hit() || victim.len() < 6);
        }
        for (key, wanted) in &entries {
            let found = sandbox.mirror(&other, key).succeeded().json();
            assert_eq!(found["cache-matched-key"], **key);
            assert_same(wanted, &snapshot(&other.join("tree")));
        }
        sandbox.verify().succeeded();
    }
    // Space really comes back.
    let keys: Vec<String> = entries.keys().cloned().collect();
    for key in &keys[1..] {
        remove_entry(&sandbox, &job, &entries, key);
        entries.remove(key);
        sandbox.verify().succeeded();
    }
    let (needed, taken) = (
        disk_usage(&other.join("tree")),
        disk_usage(&sandbox.store()),
    );
    let (key, wanted) = entries.iter().next().unwrap();
    sandbox.mirror(&other, key).succeeded();
    assert_same(wanted, &snapshot(&other.join("tree")));
    // A pack is rewritten when more than half of it, and a megabyte, is dead.
    assert!(
        taken <= 2 * needed + (2 << 20),
        "the store takes {taken} bytes for one entry of {needed}"
    );
    sandbox.prune(0).succeeded();
    // The journal of the commands stays.
    let left = disk_usage(&sandbox.store()) - disk_usage(&sandbox.store().join("events"));
    assert!(left < 128 << 10, "{left} bytes for nothing");
    for dir in ["entries", "manifests", "packs", "used", "tmp"] {
        assert_eq!(
            fs::read_dir(sandbox.store().join(dir)).unwrap().count(),
            0,
            "{dir}"
        );
    }
}

#[test]
fn five_generations_that_differ_by_one_percent_take_little_more_than_one() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let tree = job.join("tree");
    for number in 0..300 {
        trees::write(
            &tree.join(format!("{}/{number}", number % 10)),
            &trees::random_bytes(number, 20 << 10),
        );
    }
    for number in 0..4 {
        trees::write(
            &tree.join(format!("large-{number}")),
            &trees::random_bytes(1000 + number, 1 << 20),
        );
    }
    trees::make_old(&tree);
    sandbox.save(&job, "generation-0").succeeded();
    let one = disk_usage(&sandbox.store());
    for generation in 1..5_u64 {
        for number in 0..3 {
            let path = tree.join(format!(
                "{}/{}",
                (generation + number) % 10,
                (generation + number) % 10 + 10 * generation
            ));
            trees::write(
                &path,
                &trees::random_bytes(5000 + 10 * generation + number, 20 << 10),
            );
        }
        let saved = sandbox
            .save(&job, &format!("generation-{generation}"))
            .succeeded()
            .json();
        assert!(
            saved["added-bytes"].as_u64().unwrap() <= 3 * (20 << 10),
            "{saved}"
        );
        assert!(saved["reused-files"].as_u64().unwrap() >= 290, "{saved}");
    }
    let five = disk_usage(&sandbox.store());
    assert!(
        five * 100 <= one * 115,
        "five generations take {five} bytes, one {one}"
    );
    // Equal contents are stored once, for all groups and jobs.
    sandbox
        .run(
            &job,
            &["save", "--key", "other", "tree/0", "tree/1", "tree/large-0"],
        )
        .succeeded();
    let more = disk_usage(&sandbox.store()) - five;
    assert!(more < 100 << 10, "{more} bytes more");
}

/// Packs of a store, with the packs that were rewritten.
fn packs(sandbox: &Sandbox) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let all = fs::read_dir(sandbox.store().join("packs")).unwrap();
    all.map(|entry| entry.unwrap().path()).partition(|path| {
        path.extension()
            .is_some_and(|extension| extension == "pack")
    })
}

#[test]
fn mostly_dead_packs_are_rewritten_repeatedly_and_stay_correct() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let tree = job.join("tree");
    // Each generation keeps a third of the previous one, so that more than half of each pack is
    // dead, in any distribution of files over packs.
    for number in 0..128 {
        trees::write(
            &tree.join(number.to_string()),
            &trees::random_bytes(number, 100 << 10),
        );
    }
    trees::make_old(&tree);
    sandbox.save(&job, "0").succeeded();
    let (first, _) = packs(&sandbox);
    assert!(!first.is_empty());
    let mut rewritten = 0;
    for generation in 1..=3_u32 {
        for number in (0..128_u64).filter(|number| number % 3_u64.pow(generation) != 0) {
            drop(fs::remove_file(tree.join(number.to_string())));
        }
        let saved = sandbox
            .save(&job, &generation.to_string())
            .succeeded()
            .json();
        assert_eq!(
            saved["added-bytes"], 0,
            "what the store has was stored again: {saved}"
        );
        let before = disk_usage(&sandbox.store());
        let pruned = sandbox.prune(1).succeeded().json();
        rewritten += pruned["rewritten-packs"].as_u64().unwrap();
        let after = disk_usage(&sandbox.store());
        assert!(
            pruned["freed-bytes"]
                .as_u64()
                .unwrap()
                .abs_diff(before - after)
                < 64 << 10,
            "{pruned}"
        );
        sandbox.mirror(&other, &generation.to_string()).succeeded();
        assert_same(&snapshot(&tree), &snapshot(&other.join("tree")));
        sandbox.verify().succeeded();
        let needed = disk_usage(&tree);
        assert!(
            after <= 2 * needed + (2 << 20),
            "generation {generation}: {after} bytes for {needed}"
        );
    }
    assert!(rewritten >= 2, "only {rewritten} packs were rewritten");
}

#[test]
fn an_old_entry_finds_its_contents_in_packs_that_were_rewritten_more_than_once() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let tree = job.join("tree");
    let fill = |numbers: std::ops::Range<u64>| {
        drop(fs::remove_dir_all(&tree));
        for number in numbers {
            trees::write(
                &tree.join(number.to_string()),
                &trees::random_bytes(number, 100 << 10),
            );
        }
        trees::make_old(&tree);
    };
    // The oldest entry needs little; the following ones need much and are evicted one after the
    // other.
    fill(0..128);
    sandbox.save(&job, "all").succeeded();
    fill(0..4);
    sandbox.save(&job, "kept").succeeded();
    let kept = snapshot(&tree);
    fill(0..40);
    sandbox.save(&job, "some").succeeded();
    let mut entries: BTreeMap<String, Snapshot> = [
        ("all", Snapshot::new()),
        ("kept", kept.clone()),
        ("some", snapshot(&tree)),
    ]
    .map(|(key, picture)| (key.to_owned(), picture))
    .into();
    for victim in ["all", "some"] {
        remove_entry(&sandbox, &job, &entries, victim);
        entries.remove(victim);
        sandbox.mirror(&other, "kept").succeeded();
        assert_same(&kept, &snapshot(&other.join("tree")));
        sandbox.verify().succeeded();
    }
    let (needed, taken) = (
        disk_usage(&other.join("tree")),
        disk_usage(&sandbox.store()),
    );
    assert!(
        taken <= 2 * needed + (2 << 20),
        "{taken} bytes are kept for an entry of {needed}"
    );
}

#[test]
fn age_and_size_decide_what_is_evicted_and_dry_runs_remove_nothing() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    for number in 0..4 {
        trees::write(
            &job.join("tree/file"),
            &trees::random_bytes(number, 1 << 20),
        );
        sandbox.save(&job, &format!("{number}")).succeeded();
    }
    let keys = || {
        let listed = sandbox.run(&job, &["list", "--json"]).succeeded().json();
        let mut keys: Vec<String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    let before = snapshot(&sandbox.store());
    sandbox
        .run(
            &job,
            &[
                "prune",
                "--dry-run",
                "--keep",
                "1",
                "--max-size",
                "1MB",
                "--max-age",
                "1h",
            ],
        )
        .succeeded();
    assert!(
        before == snapshot(&sandbox.store()),
        "a dry run changed something"
    );
    sandbox
        .run(&job, &["prune", "--max-size", "3500KB"])
        .succeeded();
    assert_eq!(keys(), ["1", "2", "3"]);
    assert!(disk_usage(&sandbox.store()) < 3_500_000);
    sandbox.run(&job, &["prune", "--max-age", "1h"]).succeeded();
    assert_eq!(keys(), ["1", "2", "3"]);
    sandbox.run(&job, &["prune"]).succeeded();
    assert_eq!(keys(), ["1", "2", "3"]);
    sandbox.run(&job, &["prune", "--keep", "1"]).succeeded();
    assert_eq!(keys(), ["1", "2", "3"], "these keys have nothing in common");
    sandbox
        .run(
            &job,
            &[
                "prune",
                "--yes",
                "--any-key",
                "--keep",
                "path=2",
                "--keep",
                "0",
            ],
        )
        .succeeded();
    assert_eq!(keys(), ["2", "3"]);
    make_old(&sandbox, "2");
    sandbox.run(&job, &["prune", "--max-age", "1h"]).succeeded();
    assert_eq!(keys(), ["3"]);
}

/// Makes an entry look as if it was saved long ago and not used since.
fn make_old(sandbox: &Sandbox, key: &str) {
    for path in fs::read_dir(sandbox.store().join("entries"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let id = EntryId::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
        let mut entry = Entry::decode(&fs::read(&path).unwrap(), &id, &path).unwrap();
        if entry.key == key {
            entry.created.seconds = 1_600_000_000;
            fs::write(&path, entry.encode().unwrap()).unwrap();
            drop(fs::remove_file(
                sandbox.store().join("used").join(id.to_string()),
            ));
        }
    }
}
