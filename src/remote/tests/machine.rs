//! Machines with a store and a tree, and a bucket in memory that they share.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::bucket::MemoryBucket;
use crate::digest::Digest;
use crate::fs::{Local, files};
use crate::monitor::{Monitor, Silent};
use crate::ops::restore::{RestoreOptions, RestoreRequest, RestoredEntry, restore};
use crate::ops::save::{SaveOptions, SaveOutcome, SaveRequest, save};
use crate::remote::config::PushMode;
use crate::remote::name::Trust;
use crate::remote::{PushOutcome, RemoteTier};
use crate::store::{CacheKind, Entry, EntryGroup, EntryId, Store};
use crate::tree::{RootPlace, Roots};

/// Collects warnings.
#[derive(Default)]
pub(super) struct Warnings(Mutex<Vec<String>>);

impl Monitor for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Warnings {
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub(super) struct Machine {
    dir: tempfile::TempDir,
    pub(super) store: Store,
    bucket: MemoryBucket,
}

pub(super) fn group() -> EntryGroup {
    group_of("refs/heads/main")
}

pub(super) fn group_of(git_ref: &str) -> EntryGroup {
    EntryGroup {
        scope: "acme/repo".into(),
        git_ref: git_ref.into(),
        kind: CacheKind::Path,
        paths: vec!["tree".into()],
    }
}

/// Bytes that do not compress.
pub(super) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    for n in 0_u32.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(
            Digest::of(&[seed.to_le_bytes(), n.to_le_bytes()].concat()).as_bytes(),
        );
    }
    bytes.truncate(length);
    bytes
}

impl Machine {
    pub(super) fn new(bucket: &MemoryBucket) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("cache")).unwrap();
        Self {
            dir,
            store,
            bucket: bucket.clone(),
        }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.tree().join(name);
        files::create_dir_all(path.parent().unwrap()).unwrap();
        drop(files::remove(&path));
        files::write_new(&path, 0o644, bytes).unwrap();
    }

    /// Small files, some of them equal, and two that have frames of their own.
    pub(super) fn write_tree(&self) {
        for n in 0..300_u32 {
            let text = format!("file {}\n", n / 2).repeat(50);
            self.write(&format!("small/{n}"), text.as_bytes());
        }
        self.write("empty", b"");
        self.write(
            "large/text",
            &b"some text that compresses well\n".repeat(400_000),
        );
        self.write("large/noise", &noise(1, 9 << 20));
    }

    pub(super) fn save(&self, key: &str) -> EntryId {
        self.save_in(&group(), key)
    }

    pub(super) fn save_in(&self, group: &EntryGroup, key: &str) -> EntryId {
        let roots = Roots::new(vec![(b"tree"[..].into(), self.tree())]);
        let request = SaveRequest {
            group,
            key,
            roots: &roots,
            filter: None,
            options: SaveOptions::default(),
            steps: None,
            parts: std::collections::BTreeMap::new(),
            parent: None,
            max_bytes: None,
        };
        match save(&self.store, &request, &Silent).unwrap() {
            SaveOutcome::Saved(saved) => saved.id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn tier(&self, trust: Trust) -> RemoteTier {
        RemoteTier::with_client(self.bucket.client(), PushMode::Wait, trust)
    }

    pub(super) fn push(&self, key: &str) -> PushOutcome {
        let id = self.save(key);
        self.tier(Trust::Branch)
            .push(&self.store, &id, &Silent)
            .unwrap()
            .unwrap()
    }

    pub(super) fn restore(
        &self,
        tier: &RemoteTier,
        key: &str,
        prefixes: &[&str],
        monitor: &dyn Monitor,
    ) -> Option<RestoredEntry> {
        self.restore_in(&group(), tier, (key, prefixes), monitor)
    }

    pub(super) fn restore_in(
        &self,
        group: &EntryGroup,
        tier: &RemoteTier,
        (key, prefixes): (&str, &[&str]),
        monitor: &dyn Monitor,
    ) -> Option<RestoredEntry> {
        let prefixes: Vec<String> = prefixes.iter().map(|it| (*it).to_owned()).collect();
        let request = RestoreRequest {
            groups: std::slice::from_ref(group),
            key,
            restore_keys: &prefixes,
            destination: &|_| RootPlace::locate(&Local::default(), &self.tree()),
            options: RestoreOptions::default(),
            steps: None,
            second_tier: Some(tier),
        };
        restore(&self.store, &request, monitor).unwrap()
    }

    /// Whether the remote has an entry, which is not copied.
    pub(super) fn look_up(&self, tier: &RemoteTier, key: &str) -> bool {
        let request = RestoreRequest {
            groups: &[group()],
            key,
            restore_keys: &[],
            destination: &|_| RootPlace::locate(&Local::default(), &self.tree()),
            options: RestoreOptions {
                lookup_only: true,
                ..RestoreOptions::default()
            },
            steps: None,
            second_tier: Some(tier),
        };
        let found = restore(&self.store, &request, &Silent).unwrap();
        found.is_some_and(|found| found.from_second_tier)
    }

    /// All files of the tree with their contents.
    pub(super) fn contents(&self) -> Vec<(PathBuf, Digest)> {
        let mut found = Vec::new();
        list_below(&self.tree(), &mut found);
        found.sort();
        found
    }
}

pub(super) fn list_below(dir: &Path, found: &mut Vec<(PathBuf, Digest)>) {
    for name in files::list(dir).unwrap_or_default() {
        let path = dir.join(&name);
        match files::read(&path) {
            Ok(bytes) => found.push((name.into(), Digest::of(&bytes))),
            Err(_) => list_below(&path, found),
        }
    }
}

pub(super) fn entry_of(machine: &Machine, key: &str) -> Entry {
    let id = group().entry_id(key);
    machine.store.read_entry(&id).unwrap().unwrap()
}
