//! Damage to every kind of file in the store, in every way, followed by everything one can do with
//! a store.
//!
//! After any damage, a restore writes correct bytes or nothing and reports it in one line, and the
//! next save makes the store whole again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::{RunResult, Sandbox, trees};

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
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
enum Damage {
    Delete,
    Empty,
    Halve,
    Flip,
    Close,
    Directory,
}

const DAMAGES: [Damage; 6] = [
    Damage::Delete,
    Damage::Empty,
    Damage::Halve,
    Damage::Flip,
    Damage::Close,
    Damage::Directory,
];

/// A store with two generations of a tree; the newer one is damaged.
struct Case {
    sandbox: Sandbox,
    old: Snapshot,
    new: Snapshot,
    target: Target,
    damage: Damage,
}

const KEYS: (&str, &str) = ("gen-1", "gen-2");

/// Files of a directory of the store, recursively, sorted.
fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    trees::walk(dir, &mut |path| {
        if path.is_file() {
            files.push(path.to_owned());
        }
    });
    files
}

impl Case {
    fn new(target: Target, damage: Damage) -> Self {
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

    fn snapshot(&self) -> Vec<PathBuf> {
        files_in(&self.sandbox.store())
    }

    fn packs(&self) -> Vec<PathBuf> {
        files_in(&self.sandbox.store().join("packs"))
    }

    /// The file of the newer generation to damage.
    fn find(&self, before: &[PathBuf], packs_before: &[PathBuf]) -> PathBuf {
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

    fn spoil(&self, path: &Path) {
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

    fn what(&self) -> String {
        format!("{:?} x {:?}", self.target, self.damage)
    }

    /// Whether the store is unusable and the program reports that: a lock that can't be opened.
    fn is_locked_out(&self) -> bool {
        self.damage == Damage::Close && self.target == Target::StoreLock
    }

    /// Restores into a new directory, which then contains a whole generation or nothing.
    #[track_caller]
    fn restore(&self, name: &str, key: &str, fallback: &[&str]) -> Option<Snapshot> {
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
    fn one_clear_line(&self, ran: &RunResult) {
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
    fn works_again(&self, name: &str) {
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
                "{}: a fresh entry can't be restored",
                self.what()
            );
        }
        panic!(
            "{}: a fresh entry can't be restored even after its damage was found",
            self.what()
        );
    }

    fn run_all(&self) {
        self.restore("plain", KEYS.1, &[]);
        self.works_again("after-restore");
    }
}

#[track_caller]
fn each_damage(target: Target, act: impl Fn(Case)) {
    for damage in DAMAGES {
        act(Case::new(target, damage));
    }
}

/// Everything that can follow, each on a store of its own.
fn matrix(target: Target) {
    each_damage(target, |case| case.run_all());
    each_damage(target, |case| {
        if case.target != Target::Moved {
            // The older generation stands in.
            let found = case.restore("fallback", KEYS.1, &["--restore-key", "gen-"]);
            let restored_anyway = case.is_locked_out() || matches!(target, Target::Format);
            assert!(
                found.is_some() || restored_anyway,
                "{}: nothing stood in",
                case.what()
            );
        }
        case.works_again("after-fallback");
    });
    each_damage(target, |case| case.works_again("on-top"));
    each_damage(target, |case| {
        let verified = case.sandbox.verify();
        assert!(matches!(verified.code, Some(0 | 1)) && !verified.stderr.contains("panicked"));
        // What verify calls whole can be restored.
        let restored = case.restore("after-verify", KEYS.1, &[]);
        let deleted = case.damage == Damage::Delete && target == Target::Entry;
        if !case.is_locked_out() {
            let is_whole = verified.code == Some(0);
            assert_eq!(
                is_whole,
                restored.is_some() || deleted,
                "{}: {verified:#?}",
                case.what()
            );
        }
    });
    each_damage(target, |case| {
        if !case.is_locked_out() {
            let repaired = case.sandbox.repair();
            assert_eq!(repaired.code, Some(0), "{}: {repaired:#?}", case.what());
            let verified = case.sandbox.verify();
            assert_eq!(verified.code, Some(0), "{}: {verified:#?}", case.what());
        }
        case.works_again("after-repair");
        if case.target != Target::Moved && !case.is_locked_out() {
            assert_same(
                &case.old,
                &case
                    .restore("older", KEYS.0, &[])
                    .expect("the older generation is whole"),
            );
        }
    });
    each_damage(target, |case| {
        let pruned = case.sandbox.prune(5);
        if case.is_locked_out() || (target == Target::Format && pruned.code == Some(1)) {
            case.one_clear_line(&pruned);
        } else {
            assert_eq!(pruned.code, Some(0), "{}: {pruned:#?}", case.what());
            pruned.warnings();
        }
        case.works_again("after-prune");
        if case.target != Target::Moved && !case.is_locked_out() {
            assert_same(
                &case.old,
                &case
                    .restore("older", KEYS.0, &[])
                    .expect("the older generation is whole"),
            );
        }
    });
}

macro_rules! damaged {
    ($($name:ident: $target:ident,)*) => {
        $(#[test] fn $name() { matrix(Target::$target); })*
    };
}

damaged! {
    a_damaged_entry_is_a_miss: Entry,
    a_damaged_manifest_is_a_miss: Manifest,
    a_damaged_pack_header_is_a_miss: PackHeader,
    damaged_contents_of_a_pack_are_a_miss: PackBody,
    a_damaged_pack_index_is_a_miss: PackIndex,
    a_damaged_pack_trailer_is_a_miss: PackTrailer,
    a_damaged_blob_is_a_miss: Blob,
    a_damaged_format_file_is_a_miss: Format,
    a_damaged_time_of_use_does_no_harm: Used,
    a_damaged_lock_of_the_store_does_no_harm: StoreLock,
    a_damaged_lock_of_an_entry_does_no_harm: EntryLock,
    a_damaged_note_of_a_rewritten_pack_is_a_miss: Moved,
}

#[test]
fn a_change_of_any_byte_of_an_entry_and_a_pack_is_noticed() {
    // One bit of each byte in turn, in all small files of the store: right bytes or a miss, every
    // time.
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::write(&job.join("tree/a"), b"contents of a");
    trees::write(&job.join("tree/b"), b"contents of b");
    trees::make_old(&job.join("tree"));
    sandbox.save(&job, "k").succeeded();
    let wanted = snapshot(&job.join("tree"));
    let other = sandbox.job("other");
    let mut misses = 0;
    for dir in ["entries", "manifests", "packs"] {
        for path in files_in(&sandbox.store().join(dir)) {
            let right = fs::read(&path).unwrap();
            // Every seventh byte: all of them would take long.
            for at in (0..right.len()).step_by(7) {
                let mut bytes = right.clone();
                bytes[at] ^= 1 << (at % 8);
                fs::write(&path, bytes).unwrap();
                let ran = sandbox.restore(&other, "k").exited(0);
                if ran.is_hit() {
                    assert_same(&wanted, &snapshot(&other.join("tree")));
                    fs::remove_dir_all(other.join("tree")).unwrap();
                } else {
                    misses += 1;
                    assert!(!other.join("tree").exists(), "{} at {at}", path.display());
                    let set_aside = files_in(&sandbox.store().join("quarantine"));
                    for aside in set_aside {
                        if aside
                            .extension()
                            .is_some_and(|extension| extension == "json")
                        {
                            let back = sandbox
                                .store()
                                .join("entries")
                                .join(aside.file_name().unwrap());
                            fs::rename(aside, back).unwrap();
                        } else {
                            fs::remove_file(aside).unwrap();
                        }
                    }
                }
                fs::write(&path, &right).unwrap();
            }
        }
    }
    assert!(misses > 50, "only {misses} damages were noticed");
    sandbox.verify().succeeded();
}

#[test]
fn a_damaged_entry_in_an_unwritable_store_is_a_miss_too() {
    let case = Case::new(Target::Blob, Damage::Flip);
    // All directories of the store lose their write permission.
    trees::walk(&case.sandbox.store(), &mut |path| {
        if path.is_dir() {
            trees::set_mode(path, 0o555);
        }
    });
    let job = case.sandbox.job("read-only");
    let ran = case.sandbox.restore(&job, KEYS.1).exited(0);
    assert!(!ran.is_hit() && !ran.warnings().is_empty(), "{ran:#?}");
    let older = case.sandbox.restore(&job, KEYS.0).exited(0);
    assert!(older.is_hit());
    assert_same(&case.old, &snapshot(&job.join("tree")));
    trees::walk(&case.sandbox.store(), &mut |path| {
        if path.is_dir() {
            trees::set_mode(path, 0o755);
        }
    });
}

#[test]
fn missing_directories_of_the_store_do_no_harm() {
    for dir in [
        "entries",
        "manifests",
        "packs",
        "blobs",
        "used",
        "locks",
        "tmp",
        "quarantine",
    ] {
        let sandbox = Sandbox::new();
        let job = sandbox.job("job");
        trees::small(&job.join("tree"), 1);
        sandbox.save(&job, "k").succeeded();
        fs::remove_dir_all(sandbox.store().join(dir)).unwrap();
        let ran = sandbox.restore(&sandbox.job("other"), "k").exited(0);
        ran.warnings();
        assert!(sandbox.save(&job, "k2").exited(0).is_saved(), "{dir}");
        sandbox.mirror(&sandbox.job("third"), "k2").succeeded();
        assert_same(
            &snapshot(&job.join("tree")),
            &snapshot(&sandbox.path("third/tree")),
        );
        fs::remove_dir_all(sandbox.store().join(dir)).unwrap();
        sandbox.prune(5).exited(0).warnings();
    }
}

#[test]
fn a_blob_that_a_save_repaired_survives_pruning() {
    let case = Case::new(Target::Blob, Damage::Flip);
    let job = case.sandbox.job("job");
    // Found by a restore, stored again by a save under another key, then pruned.
    assert!(case.restore("first", KEYS.1, &[]).is_none());
    assert!(case.sandbox.save(&job, "gen-3").exited(0).is_saved());
    case.sandbox.prune(5).exited(0);
    assert_same(
        &case.new,
        &case
            .restore("second", "gen-3", &[])
            .expect("the healed blob is there"),
    );
    case.sandbox.verify().succeeded();
}

#[test]
fn the_key_of_a_damaged_entry_can_be_saved_again() {
    for damage in DAMAGES {
        let case = Case::new(Target::Entry, damage);
        let saved = case
            .sandbox
            .save(&case.sandbox.job("job"), KEYS.1)
            .exited(0);
        assert!(saved.is_saved(), "{}: {saved:#?}", case.what());
        assert_same(
            &case.new,
            &case
                .restore("new", KEYS.1, &[])
                .expect("the entry is whole"),
        );
    }
}
