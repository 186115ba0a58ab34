//! Damage to the local copy of an entry that the remote has, too.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::machine::{Machine, Warnings, group, noise};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Local, Timestamp, files};
use crate::monitor::Silent;
use crate::ops::LOCK_TIMEOUT;
use crate::ops::restore::{RestoreOptions, RestoreRequest, RestoreSteps, restore};
use crate::remote::name::Trust;
use crate::remote::tests::bucket::MemoryBucket;
use crate::store::Entry;
use crate::tree::manifest::Manifest;
use crate::tree::{RootPlace, Roots};

#[test]
fn an_entry_that_is_damaged_here_comes_from_the_remote() {
    let large = noise(3, 1 << 20);
    for damage in ["the contents", "the entry", "the contents, of a prefix"] {
        let bucket = MemoryBucket::new();
        let machine = Machine::new(&bucket);
        machine.write("large", &large);
        machine.push("linux-1");
        let wanted = machine.contents();
        let layout = machine.store.layout();
        let damaged = match damage {
            "the entry" => layout.entry(&group().entry_id("linux-1")),
            _ => layout.blob(&Digest::of(&large)),
        };
        files::remove(&damaged).unwrap();
        files::write_new(&damaged, 0o644, &noise(4, 1 << 20)).unwrap();
        files::remove(&machine.tree().join("large")).unwrap();
        let key = match damage {
            "the contents, of a prefix" => "linux-2",
            _ => "linux-1",
        };
        let warnings = Warnings::default();
        let tier = machine.tier(Trust::Branch);
        let found = machine.restore(&tier, key, &["linux-"], &warnings);
        let found = found.unwrap_or_else(|| panic!("{damage}: {:?}", warnings.take()));
        assert!(found.from_second_tier && found.entry.key == "linux-1");
        assert_eq!(machine.contents(), wanted);
        assert_eq!(warnings.take().len(), 1, "{damage}");
        // The store is whole again.
        let lock = machine.store.lock_shared(LOCK_TIMEOUT).unwrap();
        let report = machine.store.verify(&lock, &Silent).unwrap();
        assert_eq!((report.intact, report.damaged.len()), (1, 0), "{damage}");
        let found = machine.restore(&tier, key, &["linux-"], &Silent);
        assert!(!found.unwrap().from_second_tier, "{damage}");
    }
}

/// Finds every entry damaged.
#[derive(Default)]
struct FindsDamage {
    found: AtomicUsize,
}

impl RestoreSteps for FindsDamage {
    fn prepare(&self, _: &Entry, _: &Manifest, _: &Roots) -> Result<()> {
        let found = self.found.fetch_add(1, Ordering::Relaxed);
        assert!(found < 5, "it is restored again and again");
        Err(Error::damaged(Path::new("/damaged"), "its digest is wrong"))
    }

    fn finish(&self, _: &Entry, _: &Manifest, _: &Roots) -> Result<Option<Timestamp>> {
        Ok(None)
    }
}

#[test]
fn an_entry_that_is_damaged_whenever_it_is_fetched_is_fetched_once() {
    let bucket = MemoryBucket::new();
    let machine = Machine::new(&bucket);
    machine.write("file", b"small");
    machine.push("linux-1");
    let tier = machine.tier(Trust::Branch);
    let steps = FindsDamage::default();
    let request = RestoreRequest {
        groups: &[group()],
        key: "linux-1",
        restore_keys: &[],
        destination: &|_| RootPlace::locate(&Local::default(), &machine.tree()),
        options: RestoreOptions::default(),
        steps: Some(&steps),
        second_tier: Some(&tier),
    };
    let found = restore(&machine.store, &request, &Silent).unwrap();
    assert!(found.is_none());
    assert_eq!(steps.found.into_inner(), 2, "here, and as it was fetched");
}
