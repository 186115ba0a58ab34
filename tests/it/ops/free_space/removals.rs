//! Removing entries does not affect the other entries.

use std::collections::BTreeMap;
use std::fs;

use local_cache::monitor::Silent;
use local_cache::store::{EntryId, Store};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::{Sandbox, trees};

/// Deterministic numbers that look random.
fn below(seed: &mut u64, limit: usize) -> usize {
    *seed += 1;
    let bytes = blake3::hash(&seed.to_le_bytes());
    let number = u64::from_le_bytes(bytes.as_bytes()[..8].try_into().unwrap());
    usize::try_from(number % limit as u64).unwrap()
}

#[test]
fn after_each_of_two_hundred_random_removals_all_other_entries_can_be_restored() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let tree = job.join("tree");
    let mut seed = 0;
    let mut entries: BTreeMap<EntryId, (String, Snapshot)> = BTreeMap::new();
    let mut removals = 0;
    for round in 0.. {
        for number in [below(&mut seed, 6), 6 + below(&mut seed, 2)] {
            let length = if number < 6 { 20 << 10 } else { 300 << 10 };
            trees::write(
                &tree.join(number.to_string()),
                &trees::random_bytes(1000 + round * 2 + number as u64, length),
            );
        }
        trees::make_old(&tree);
        let key = format!("k-{round:07}");
        let saved = sandbox.save(&job, &key).succeeded().json();
        let id = EntryId::parse(saved["entry"].as_str().unwrap()).unwrap();
        entries.insert(id, (key, snapshot(&tree)));
        if entries.len() < 8 {
            continue;
        }
        let store = Store::open(sandbox.cache()).unwrap().unwrap();
        let victim = entries
            .keys()
            .nth(below(&mut seed, entries.len()))
            .unwrap()
            .clone();
        let collecting = store.try_lock_for_gc().unwrap().unwrap();
        store
            .remove_entries(&collecting, std::slice::from_ref(&victim))
            .unwrap();
        store.collect_garbage(&collecting, &Silent).unwrap();
        drop(collecting);
        entries.remove(&victim);
        removals += 1;
        let sharing = store
            .lock_shared(std::time::Duration::from_secs(1))
            .unwrap();
        let verified = store.verify(&sharing, &Silent).unwrap();
        assert!(
            verified.damaged.is_empty() && verified.damaged_files.is_empty(),
            "{verified:?}"
        );
        assert_eq!(verified.intact, entries.len() as u64);
        drop(sharing);
        let (key, wanted) = &entries
            .values()
            .nth(below(&mut seed, entries.len()))
            .unwrap();
        sandbox.mirror(&other, key).succeeded();
        assert_same(wanted, &snapshot(&other.join("tree")));
        if removals == 200 {
            break;
        }
    }
    drop(fs::remove_dir_all(other));
}
