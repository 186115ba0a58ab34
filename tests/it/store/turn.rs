//! A garbage collection comes through although the store is always in use.

use std::fs::File;
use std::time::Duration;

use local_cache::Store;
use local_cache::fs::{FileLock, LockMode};

use crate::support::{RunResult, Sandbox, trees};

#[test]
fn who_comes_after_a_waiting_collection_waits_behind_it() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let first = store.lock_shared(Duration::ZERO).unwrap();
    let prune = sandbox.command(
        &job,
        &["prune", "--yes", "--json", "--any-key", "--keep", "0"],
    );
    let prune = { prune }.spawn().unwrap();
    let turn = sandbox.store().join("locks/turn");
    let is_waiting = || {
        let file = File::open(&turn).unwrap();
        FileLock::try_acquire(file, LockMode::Shared)
            .unwrap()
            .is_none()
    };
    while !is_waiting() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Others could share the lock with the first one, and garbage collection would never get it.
    store.lock_shared(Duration::ZERO).unwrap_err();
    drop(first);
    RunResult::wait_for(prune).succeeded();
    assert!(!sandbox.restore(&job, "k").succeeded().is_hit());
}

#[test]
fn a_second_collection_gives_up_while_one_waits() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let turn = File::open(sandbox.store().join("locks/turn")).unwrap();
    let waiting = FileLock::try_acquire(turn, LockMode::Exclusive).unwrap();
    assert!(waiting.is_some());
    let line = sandbox.prune(0).failed(1);
    assert!(line.contains("in use by another process"), "{line}");
    drop(waiting);
    sandbox.prune(0).succeeded();
}
