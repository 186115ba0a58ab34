//! The size of a store: computed once, and again after a change.

use std::fs;

use local_cache::store::Store;
use serde_json::Value;

use super::settle;
use crate::support::{Sandbox, trees};

/// A store with an entry.
fn saved() -> (Sandbox, Store) {
    let sandbox = Sandbox::new();
    save(&sandbox, 1);
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    (sandbox, store)
}

fn save(sandbox: &Sandbox, number: u64) {
    let job = sandbox.job("job");
    trees::write(
        &job.join("tree/large"),
        &trees::random_bytes(number, 3 << 20),
    );
    sandbox.save(&job, &format!("k-{number}")).succeeded();
}

/// Changes the size note to an impossible size.
fn falsify(store: &Store) {
    let path = store.layout().size();
    let mut noted: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    noted["bytes"] = 7.into();
    fs::write(path, noted.to_string()).unwrap();
}

#[test]
fn the_size_is_recorded_for_a_settled_store_and_valid_until_it_changes() {
    let (sandbox, store) = saved();
    drop(fs::remove_file(store.layout().size()));
    let one = store.allocated_bytes().unwrap();
    assert!((3 << 20..4 << 20).contains(&one), "{one}");
    assert!(
        !store.layout().size().exists(),
        "two changes may have the same time"
    );
    settle(&store);
    assert_eq!(store.allocated_bytes().unwrap(), one);
    falsify(&store);
    assert_eq!(
        store.allocated_bytes().unwrap(),
        7,
        "what was noted is not used"
    );

    save(&sandbox, 2);
    let two = store.allocated_bytes().unwrap();
    assert!(two > one + (3 << 20), "{two}");
    settle(&store);
    assert_eq!(store.allocated_bytes().unwrap(), two);
    falsify(&store);
    sandbox.prune(1).succeeded();
    let left = store.allocated_bytes().unwrap();
    assert!((3 << 20..4 << 20).contains(&left), "{left}");
}

#[test]
fn an_unreadable_size_note_is_written_again() {
    let (_sandbox, store) = saved();
    let size = store.allocated_bytes().unwrap();
    settle(&store);
    fs::write(store.layout().size(), "{\"times\":").unwrap();
    assert_eq!(store.allocated_bytes().unwrap(), size);
    fs::remove_file(store.layout().size()).unwrap();
    fs::create_dir_all(store.layout().size().join("in the way")).unwrap();
    assert_eq!(store.allocated_bytes().unwrap(), size);
    assert!(store.layout().size().is_file());
    assert!(
        fs::read_dir(store.layout().tmp()).unwrap().next().is_none(),
        "something was left behind"
    );
}
