//! A store, and one kind of damage to one kind of its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::{RunResult, Sandbox, trees};

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Entry,
    Manifest,
    PackHeader,
    PackBody,
    PackIndex,
    PackTrailer,
    Blob,
    Format,
    Used,
    StoreLock,
    EntryLock,
    Moved,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Delete,
    Empty,
    Halve,
    Flip,
    Close,
    Directory,
}

pub(super) const DAMAGES: [Damage; 6] = [
    Damage::Delete,
    Damage::Empty,
    Damage::Halve,
    Damage::Flip,
    Damage::Close,
    Damage::Directory,
];

/// A store with two generations of a tree; the newer one is damaged.
pub(super) struct Case {
    pub(super) sandbox: Sandbox,
    pub(super) old: Snapshot,
    pub(super) new: Snapshot,
    pub(super) target: Target,
    pub(super) damage: Damage,
}

pub(super) const KEYS: (&str, &str) = ("gen-1", "gen-2");

/// Files of a directory of the store, recursively, sorted.
pub(super) fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    trees::walk(dir, &mut |path| {
        if path.is_file() {
            files.push(path.to_owned());
        }
    });
    files
}

impl Case {
    pub(super) fn new(target: Target, damage: Damage) -> Self {
        let mut sandbox = Sandbox::without_rights();
        if target == Target::Moved {
            sandbox.threads = 1;
        }
        let job = sandbox.job("job");
        trees::small(&job.join("tree"), 1);
        if target == Target::Moved {
            // A large part of the first pack dies, so that pruning rewrites it.
            trees::write(&job.join("tree/dies"), &trees::random_bytes(7, 250 << 10));
            for number in 0..9 {
                trees::write(
                    &job.join(format!("tree/dies-{number}")),
                    &trees::random_bytes(70 + number, 250 << 10),
                );
            }
        }
        trees::make_old(&job.join("tree"));
        sandbox.chown_all();
        sandbox.save(&job, KEYS.0).succeeded();
        let mut case = Self {
            old: snapshot(&job.join("tree")),
            new: Snapshot::new(),
            sandbox,
            target,
            damage,
        };
        let (before, packs_before) = (case.snapshot(), case.packs());
        trees::write(&job.join("tree/src/0.rs"), b"changed");
        trees::write(
            &job.join("tree/src/more"),
            &trees::random_bytes(8, 100 << 10),
        );
        trees::write(
            &job.join("tree/build/second"),
            &trees::random_bytes(9, 700 << 10),
        );
        for path in files_in(&job.join("tree")) {
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("dies")
            {
                fs::remove_file(path).unwrap();
            }
        }
        trees::make_old(&job.join("tree"));
        case.sandbox.chown_all();
        case.sandbox.save(&job, KEYS.1).succeeded();
        case.new = snapshot(&job.join("tree"));
        if target == Target::Moved {
            let pruned = case.sandbox.prune(1).succeeded().json();
            assert_eq!(pruned["rewritten-packs"], 1, "{pruned}");
        }
        let path = case.find(&before, &packs_before);
        case.spoil(&path);
        case
    }

    pub(super) fn snapshot(&self) -> Vec<PathBuf> {
        files_in(&self.sandbox.store())
    }

    pub(super) fn packs(&self) -> Vec<PathBuf> {
        files_in(&self.sandbox.store().join("packs"))
    }

    /// The file of the newer generation to damage.
    pub(super) fn find(&self, before: &[PathBuf], packs_before: &[PathBuf]) -> PathBuf {
        let store = self.sandbox.store();
        let new_in = |name: &str| {
            let found: Vec<_> = files_in(&store.join(name))
                .into_iter()
                .filter(|path| !before.contains(path))
                .collect();
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            found[0].clone()
        };
        match self.target {
            Target::Entry => new_in("entries"),
            Target::Manifest => new_in("manifests"),
            Target::PackHeader | Target::PackBody | Target::PackIndex | Target::PackTrailer => {
                new_in("packs")
            }
            Target::Blob => new_in("blobs"),
            Target::Format => store.join("format.json"),
            Target::Used => {
                let entry = new_in("entries");
                let used = store.join("used").join(entry.file_stem().unwrap());
                if !used.exists() {
                    self.sandbox
                        .restore(&self.sandbox.job("use"), KEYS.1)
                        .succeeded();
                }
                used
            }
            Target::StoreLock => store.join("locks/store"),
            Target::EntryLock => store
                .join("locks")
                .join(new_in("entries").file_stem().unwrap()),
            Target::Moved => {
                let moved: Vec<_> = packs_before
                    .iter()
                    .map(|pack| pack.with_extension("moved"))
                    .collect();
                assert!(moved.len() == 1 && moved[0].exists(), "{moved:?}");
                moved[0].clone()
            }
        }
    }

    pub(super) fn spoil(&self, path: &Path) {
        let length = path.metadata().unwrap().len();
        match self.damage {
            Damage::Delete => fs::remove_file(path).unwrap(),
            Damage::Empty => fs::write(path, b"").unwrap(),
            Damage::Halve => {
                fs::OpenOptions::new()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_len(length / 2)
                    .unwrap();
            }
            Damage::Flip => {
                let mut bytes = fs::read(path).unwrap();
                if bytes.is_empty() {
                    bytes.push(0);
                }
                let (middle, end) = (bytes.len() / 2, bytes.len());
                let at = match self.target {
                    Target::PackHeader => 8,
                    Target::PackBody => 20,
                    Target::PackIndex => end - 48 - 5,
                    Target::PackTrailer => end - 40,
                    _ => middle,
                };
                bytes[at] ^= 2;
                fs::write(path, bytes).unwrap();
            }
            Damage::Close => fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap(),
            Damage::Directory => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::write(path.join("inside"), b"x").unwrap();
            }
        }
        if self.damage != Damage::Close {
            self.sandbox.chown_all();
        }
    }

    pub(super) fn what(&self) -> String {
        format!("{:?} x {:?}", self.target, self.damage)
    }

    /// Whether the store is unusable and the program reports that: a lock or a format that can't be
    /// read.
    pub(super) fn is_locked_out(&self) -> bool {
        self.damage == Damage::Close && matches!(self.target, Target::StoreLock | Target::Format)
    }

    /// Whether an entry can't be read. It is a miss, but not damaged, and nothing repairs it.
    pub(super) fn is_unreadable(&self) -> bool {
        let is_read = !matches!(self.target, Target::Used | Target::EntryLock);
        self.damage == Damage::Close && is_read && !self.is_locked_out()
    }

    /// Restores into a new directory, which then contains a whole generation or nothing.
    #[track_caller]
    pub(super) fn restore(&self, name: &str, key: &str, fallback: &[&str]) -> Option<Snapshot> {
        let job = self.sandbox.job(name);
        let arguments = [&["restore", "--json", "--key", key, "tree"], fallback].concat();
        let ran = self.sandbox.run(&job, &arguments);
        if self.is_locked_out() && ran.code == Some(1) {
            self.one_clear_line(&ran);
            return None;
        }
        let ran = ran.exited(0);
        assert!(ran.warnings().len() <= 2, "{}: {ran:#?}", self.what());
        if !ran.is_hit() {
            assert!(
                !job.join("tree").exists(),
                "{}: a miss wrote something",
                self.what()
            );
            // A missing file is a plain miss; all other damage is reported.
            let silent = self.damage == Damage::Delete && matches!(self.target, Target::Entry);
            assert_eq!(
                ran.warnings().is_empty(),
                silent,
                "{}: {ran:#?}",
                self.what()
            );
            return None;
        }
        let found = snapshot(&job.join("tree"));
        assert!(
            found == self.old || found == self.new,
            "{}: something else was restored",
            self.what()
        );
        Some(found)
    }

    #[track_caller]
    pub(super) fn one_clear_line(&self, ran: &RunResult) {
        let line = ran.stderr.trim_end();
        assert!(
            !line.contains('\n') && line.starts_with("local-cache: "),
            "{}: {ran:#?}",
            self.what()
        );
        assert!(
            line.contains(';') || line.contains(','),
            "{}: it does not say what to do: {line}",
            self.what()
        );
    }

    /// A save under a new key, and its restore: afterwards the store works again.
    #[track_caller]
    pub(super) fn works_again(&self, name: &str) {
        if self.is_locked_out() {
            return;
        }
        let job = self.sandbox.job("job");
        for round in 0..2 {
            let key = format!("again-{name}-{round}");
            let saved = self.sandbox.save(&job, &key).exited(0);
            assert!(saved.is_saved(), "{}: {saved:#?}", self.what());
            if let Some(found) = self.restore(&format!("{name}-{round}"), &key, &[]) {
                assert_same(&self.new, &found);
                return;
            }
            // A flipped bit is only found when the file is read; then the next save stores it
            // again.
            assert!(
                self.damage == Damage::Flip,
                "{}: a fresh entry cannot be restored",
                self.what()
            );
        }
        panic!(
            "{}: a fresh entry cannot be restored even after its damage was found",
            self.what()
        );
    }

    pub(super) fn run_all(&self) {
        self.restore("plain", KEYS.1, &[]);
        self.works_again("after-restore");
    }
}
