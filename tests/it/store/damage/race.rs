//! Damage that is found while others save the same entries: an entry that was saved since is
//! neither reported nor quarantined.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use local_cache::monitor::{Monitor, Silent, Stage};
use local_cache::ops::entries::list;
use local_cache::ops::verify::{repair_damage, verify};
use local_cache::store::Store;
use local_cache::store::verify::VerifyReport;

use super::files_in;
use crate::support::compare::{assert_same, snapshot};
use crate::support::{Sandbox, trees};

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Saves a key again with other contents when the contents of the store begin to be read.
struct SavesMeanwhile<'s>(&'s Sandbox);

impl Monitor for SavesMeanwhile<'_> {
    fn begin(&self, stage: Stage, _bytes: u64) {
        if stage == Stage::Verifying {
            save(self.0, 2);
        }
    }
}

/// Counts the bytes that are read.
#[derive(Default)]
struct CountsBytes(AtomicU64);

impl Monitor for CountsBytes {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Saves generation `number`, which has a blob and a pack of its own.
fn save(sandbox: &Sandbox, number: u64) {
    let job = sandbox.job(&format!("job-{number}"));
    trees::write(&job.join("tree/small"), &number.to_le_bytes());
    let blob = trees::random_bytes(number, 300 << 10);
    trees::write(&job.join("tree/large"), &blob);
    let arguments = ["save", "--json", "--refresh", "--key", "k", "tree"];
    assert!(sandbox.run(&job, &arguments).succeeded().is_saved());
}

fn restores(sandbox: &Sandbox, number: u64) {
    let job = sandbox.job("restored");
    assert!(sandbox.restore(&job, "k").succeeded().is_hit());
    let saved = sandbox.path(&format!("job-{number}/tree"));
    assert_same(&snapshot(&saved), &snapshot(&job.join("tree")));
}

/// Changes a byte in the middle of every file of a directory of the store.
fn damage(sandbox: &Sandbox, dir: &str) {
    for path in files_in(&sandbox.store().join(dir)) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
}

fn open(sandbox: &Sandbox) -> Store {
    Store::open(sandbox.cache()).unwrap().unwrap()
}

fn report(store: &Store) -> VerifyReport {
    verify(store, false, &Silent).unwrap().0
}

#[test]
fn an_entry_that_is_replaced_while_the_store_is_verified_is_intact() {
    let sandbox = Sandbox::new();
    save(&sandbox, 1);
    let (report, repaired) = verify(&open(&sandbox), true, &SavesMeanwhile(&sandbox)).unwrap();
    assert!(
        report.damaged.is_empty() && repaired.is_none(),
        "{report:?}"
    );
    assert_eq!(report.intact, 1);
    restores(&sandbox, 2);
}

#[test]
fn a_repair_keeps_an_entry_that_was_saved_since_it_was_verified() {
    for dir in ["blobs", "packs", "manifests", "entries"] {
        for number in [1, 2] {
            let sandbox = Sandbox::new();
            save(&sandbox, 1);
            let store = open(&sandbox);
            damage(&sandbox, dir);
            let report = report(&store);
            assert_eq!(report.damaged.len(), 1, "{dir}: {report:?}");
            // The contents of the first generation replace damaged ones only if damage is known.
            if number == 1 {
                assert!(!sandbox.restore(&sandbox.job("miss"), "k").is_hit());
            }
            save(&sandbox, number);
            repair_damage(&store, &report, &Silent).unwrap();
            restores(&sandbox, number);
            sandbox.verify().succeeded();
        }
    }
}

#[test]
fn a_repair_quarantines_what_is_still_damaged() {
    for dir in ["blobs", "packs", "manifests", "entries"] {
        let sandbox = Sandbox::new();
        save(&sandbox, 1);
        damage(&sandbox, dir);
        let store = open(&sandbox);
        repair_damage(&store, &report(&store), &Silent).unwrap();
        assert_eq!(files_in(&sandbox.store().join("entries")).len(), 0, "{dir}");
        sandbox.verify().succeeded();
    }
}

#[test]
fn a_repair_reads_what_several_damaged_entries_need_once() {
    let sandbox = Sandbox::new();
    save(&sandbox, 1);
    let job = sandbox.path("job-1");
    for key in ["b", "c", "d"] {
        sandbox.save(&job, key).succeeded();
    }
    damage(&sandbox, "packs");
    let store = open(&sandbox);
    let report = report(&store);
    assert_eq!(report.damaged.len(), 4, "{report:?}");
    let counts = CountsBytes::default();
    repair_damage(&store, &report, &counts).unwrap();
    let read = counts.0.into_inner();
    assert!((300 << 10..600 << 10).contains(&read), "{read}");
    assert_eq!(files_in(&sandbox.store().join("entries")).len(), 0);
}

#[test]
fn damage_found_by_a_restore_quarantines_no_entry_that_was_saved_since() {
    let sandbox = Sandbox::new();
    save(&sandbox, 1);
    let store = open(&sandbox);
    let found = list(&store, &Silent).unwrap().remove(0);
    let lock = store.lock_shared(TIMEOUT).unwrap();
    save(&sandbox, 2);
    for read in [Some(&found.entry), None] {
        let quarantined = store.quarantine_unless_saved(&lock, &found.id, read);
        assert!(!quarantined.unwrap());
        restores(&sandbox, 2);
    }
    let found = list(&store, &Silent).unwrap().remove(0);
    let quarantined = store.quarantine_unless_saved(&lock, &found.id, Some(&found.entry));
    assert!(quarantined.unwrap());
    assert!(!sandbox.restore(&sandbox.job("miss"), "k").is_hit());
}

#[test]
fn damage_quarantines_no_entry_that_is_being_saved() {
    let sandbox = Sandbox::new();
    save(&sandbox, 1);
    let store = open(&sandbox);
    let found = list(&store, &Silent).unwrap().remove(0);
    let lock = store.lock_shared(TIMEOUT).unwrap();
    let path = sandbox.store().join("locks").join(found.id.to_string());
    let file = fs::File::create(path).unwrap();
    file.lock().unwrap();
    let quarantined = store.quarantine_unless_saved(&lock, &found.id, Some(&found.entry));
    assert!(!quarantined.unwrap());
    drop(file);
    let quarantined = store.quarantine_unless_saved(&lock, &found.id, Some(&found.entry));
    assert!(quarantined.unwrap());
}
