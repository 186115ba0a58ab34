//! Damage to every kind of file in the store, in every way, followed by everything one can do with
//! a store.
//!
//! After any damage, a restore writes correct bytes or nothing and reports it in one line, and the
//! next save makes the store whole again.

mod case;
mod race;

use std::fs;
use std::path::Path;

use local_cache::store::layout::Layout;

use crate::support::compare::{assert_same, snapshot};
use crate::support::{Sandbox, trees};
use case::{Case, DAMAGES, Damage, KEYS, Target, files_in};

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
            let code = Some(i32::from(case.is_unreadable()));
            let repaired = case.sandbox.repair();
            assert_eq!(repaired.code, code, "{}: {repaired:#?}", case.what());
            let verified = case.sandbox.verify();
            assert_eq!(verified.code, code, "{}: {verified:#?}", case.what());
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
fn many_damaged_files_cost_one_miss() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    for number in 0..4 {
        let bytes = trees::random_bytes(number, 300 << 10);
        trees::write(&job.join(format!("tree/large-{number}")), &bytes);
    }
    trees::make_old(&job.join("tree"));
    let wanted = snapshot(&job.join("tree"));
    sandbox.save(&job, "k").succeeded();
    // As after a power cut: the names and lengths are there, and zeros instead of the contents.
    for dir in ["blobs", "packs"] {
        for path in files_in(&sandbox.store().join(dir)) {
            let length = fs::metadata(&path).unwrap().len();
            fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    let other = sandbox.job("other");
    let ran = sandbox.restore(&other, "k").exited(0);
    assert!(!ran.is_hit());
    assert_eq!(ran.warnings().len(), 1, "{ran:#?}");
    sandbox.save(&job, "k").succeeded();
    assert!(sandbox.restore(&other, "k").succeeded().is_hit());
    assert_same(&wanted, &snapshot(&other.join("tree")));
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
    for dir in Layout::new(Path::new("")).subdirectories() {
        let dir = dir.file_name().unwrap();
        let sandbox = Sandbox::new();
        let job = sandbox.job("job");
        trees::small(&job.join("tree"), 1);
        sandbox.save(&job, "k").succeeded();
        fs::remove_dir_all(sandbox.store().join(dir)).unwrap();
        let ran = sandbox.restore(&sandbox.job("other"), "k").exited(0);
        ran.warnings();
        assert!(
            sandbox.save(&job, "k2").exited(0).is_saved(),
            "{}",
            dir.display()
        );
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
fn a_prune_removes_what_is_in_the_place_of_a_file_or_directory_that_can_be_made_again() {
    type Place = fn(&Path, &Path);
    let directory: Place = |path, _| trees::write(&path.join("inside"), b"x");
    let file: Place = |path, _| fs::write(path, "x").unwrap();
    let link: Place = |path, outside| std::os::unix::fs::symlink(outside, path).unwrap();
    let files = ["collected", "contents"].map(|name| (name, vec![directory]));
    let directories = ["events", "keys", "lent", "memories", "ready", "seen"];
    let directories = directories.map(|name| (name, vec![file, link]));
    for (name, places) in files.into_iter().chain(directories) {
        for put in places {
            let sandbox = Sandbox::new();
            let job = sandbox.job("job");
            trees::small(&job.join("tree"), 1);
            for key in ["a", "b"] {
                sandbox.save(&job, key).succeeded();
            }
            let outside = sandbox.job("outside");
            trees::write(&outside.join("kept"), b"kept");
            let path = sandbox.store().join(name);
            drop(fs::remove_file(&path));
            drop(fs::remove_dir_all(&path));
            put(&path, &outside);
            let pruned = sandbox.prune(1).succeeded();
            assert!(pruned.warnings().is_empty(), "{name}: {pruned:#?}");
            assert_eq!(files_in(&sandbox.store().join("entries")).len(), 1);
            if name == "collected" {
                assert!(path.is_file());
            } else {
                assert!(path.symlink_metadata().is_err(), "{name}");
            }
            assert!(sandbox.store().join("collected").is_file(), "{name}");
            assert!(outside.join("kept").exists());
        }
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
fn what_cannot_be_read_now_is_not_quarantined() {
    for target in [
        Target::Entry,
        Target::Manifest,
        Target::PackBody,
        Target::Blob,
    ] {
        let mut case = Case::new(target, Damage::Close);
        assert!(case.restore("closed", KEYS.1, &[]).is_none());
        case.sandbox.prune(5).exited(0).warnings();
        assert_eq!(case.sandbox.repair().code, Some(1), "{}", case.what());
        assert_eq!(files_in(&case.sandbox.store().join("quarantine")).len(), 0);
        // As soon as it can be read, the entry is a hit.
        for path in case.snapshot() {
            trees::set_mode(&path, 0o600);
        }
        case.damage = Damage::Empty;
        let found = case.restore("open", KEYS.1, &[]);
        assert_same(&case.new, &found.expect("the entry can be read again"));
        case.sandbox.verify().succeeded();
    }
}

#[test]
fn the_key_of_an_unreadable_entry_is_not_replaced() {
    let case = Case::new(Target::Entry, Damage::Close);
    let job = case.sandbox.job("job");
    let line = case.sandbox.save(&job, KEYS.1).failed(1);
    assert!(line.contains("Permission denied"), "{line}");
}

#[test]
fn the_key_of_a_damaged_entry_can_be_saved_again() {
    for damage in DAMAGES
        .into_iter()
        .filter(|damage| *damage != Damage::Close)
    {
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
