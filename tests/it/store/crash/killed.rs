//! Processes that are killed at each of their system calls.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Case, temporary_names};
use crate::support::compare::{assert_same, disk_usage, snapshot};
use crate::support::tools::{copy_tree, is_installed};
use crate::support::{RunResult, Sandbox, strace, trees};

/// System calls at whose entry the program is killed.
const CALLS: [&str; 6] = [
    "rename,renameat,renameat2",
    "unlink,unlinkat,rmdir",
    "write,pwrite64,writev,ftruncate",
    "mkdir,mkdirat,symlinkat,linkat",
    "fchmod,fchmodat,utimensat",
    "openat",
];

/// Runs a command repeatedly, killed at the next call each time, until it completes. `prepare` runs
/// before and `check` after each run. Returns the number of kills.
fn kill_at_each_call(
    sandbox: &Sandbox,
    job: &Path,
    arguments: &[&str],
    step: usize,
    prepare: impl Fn(),
    check: impl Fn(&str),
) -> usize {
    let mut kills = 0;
    for calls in CALLS {
        // The program's own calls follow those that load it.
        let first = if calls == "openat" { 8 } else { 1 };
        let every = if calls.contains("write") || calls == "openat" {
            step * 4
        } else {
            step
        };
        for at in (first..).step_by(every).take(12) {
            prepare();
            let starter = strace::kill(calls, at);
            let ran = RunResult::of(&mut sandbox.command_behind(&starter, job, arguments));
            let when = format!("killed at call {at} of {calls}");
            assert!(!ran.stderr.contains("panicked"), "{when}: {ran:#?}");
            check(&when);
            if ran.code.is_some_and(|code| code < 128) {
                break;
            }
            kills += 1;
        }
    }
    kills
}

#[test]
fn a_killed_save_leaves_a_correct_store() {
    if !is_installed("strace", "killing a save at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let before = disk_usage(&store);
    let third = case.sandbox.job("third");
    for number in 0..20 {
        trees::write(
            &third.join(format!("tree/{number}")),
            &trees::random_bytes(900 + number, 100 << 10),
        );
    }
    trees::write(
        &third.join("tree/large"),
        &trees::random_bytes(950, 500 << 10),
    );
    trees::make_old(&third.join("tree"));
    let wanted = snapshot(&third.join("tree"));
    let arguments = ["save", "--key", "3", "tree"];
    let kills = kill_at_each_call(
        &case.sandbox,
        &third,
        &arguments,
        1,
        || {},
        |when| {
            // The minimum: the store opens, and listed entries exist.
            let verified = case.sandbox.verify();
            assert!(verified.code == Some(0), "{when}: {verified:#?}");
            let fresh = case.sandbox.job("fresh-3");
            if case.sandbox.restore(&fresh, "3").succeeded().is_hit() {
                assert_same(&wanted, &snapshot(&fresh.join("tree")));
                fs::remove_dir_all(fresh.join("tree")).unwrap();
                // So that the next run has something to do.
                case.sandbox.prune(2).succeeded();
                for key in ["1", "2"] {
                    case.sandbox
                        .run(&third, &["restore", "--lookup-only", "--key", key, "tree"])
                        .succeeded();
                }
            }
        },
    );
    assert!(kills > 5, "only {kills} kills");
    case.sandbox.save(&third, "4").succeeded();
    let fresh = case.sandbox.job("fresh-4");
    case.sandbox.restore(&fresh, "4").succeeded();
    assert_same(&wanted, &snapshot(&fresh.join("tree")));
    // Nothing of the killed saves stays.
    case.sandbox.prune(3).succeeded();
    assert_eq!(fs::read_dir(store.join("tmp")).unwrap().count(), 0);
    let added = disk_usage(&store) - before;
    assert!(
        added < 2 * disk_usage(&third),
        "{added} bytes more: killed saves left something"
    );
}

#[test]
fn a_killed_restore_leaves_no_partial_files() {
    if !is_installed("strace", "killing a restore at each of its calls") {
        return;
    }
    let case = Case::new();
    let other = case.sandbox.job("other");
    let prepare = || {
        case.sandbox.mirror(&other, "1").succeeded();
    };
    let kills = kill_at_each_call(
        &case.sandbox,
        &other,
        &["restore", "--mirror", "--key", "2", "tree"],
        1,
        prepare,
        |when| {
            case.destination_is_whole(&other.join("tree"), when);
            // The next restore completes it and removes temporary files.
            case.sandbox.mirror(&other, "2").succeeded();
            assert_same(&case.two, &snapshot(&other.join("tree")));
            assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{when}");
        },
    );
    assert!(kills > 5, "only {kills} kills");
    case.store_is_right("after all");
}

#[test]
fn a_killed_first_restore_leaves_nothing_or_everything() {
    if !is_installed("strace", "killing a first restore at each of its calls") {
        return;
    }
    let case = Case::new();
    let other = case.sandbox.job("other");
    let prepare = || drop(fs::remove_dir_all(other.join("tree")));
    let arguments = ["restore", "--key", "1", "tree"];
    let kills = kill_at_each_call(&case.sandbox, &other, &arguments, 2, prepare, |when| {
        if other.join("tree").exists() {
            assert!(
                snapshot(&other.join("tree")) == case.one,
                "{when}: half a tree has the tree's name"
            );
        }
        case.sandbox.restore(&other, "1").succeeded();
        assert_same(&case.one, &snapshot(&other.join("tree")));
        assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{when}");
    });
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn a_killed_prune_leaves_a_correct_store() {
    if !is_installed("strace", "killing a pruning at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let whole = case.sandbox.path("whole");
    copy_tree(&store, &whole);
    // Both generations share a pack. Most of it is needed only by the first one.
    let prepare = || {
        fs::remove_dir_all(&store).unwrap();
        copy_tree(&whole, &store);
    };
    let kills = kill_at_each_call(
        &case.sandbox,
        &case.job,
        &["prune", "--any-key", "--keep", "1"],
        1,
        prepare,
        |when| {
            case.store_is_right(when);
            // The second generation was used last, so the first one is evicted.
            case.sandbox
                .run(
                    &case.job,
                    &["restore", "--lookup-only", "--key", "2", "tree"],
                )
                .succeeded();
            // Twice, as the first run may find files of a killed one.
            case.sandbox.prune(1).succeeded();
            case.store_is_right(when);
            case.sandbox.prune(1).succeeded();
            case.store_is_right(when);
            let left = disk_usage(&store);
            assert!(
                left < 2 * disk_usage(&case.job),
                "{when}: {left} bytes are left"
            );
        },
    );
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn a_killed_repair_leaves_a_correct_store() {
    if !is_installed("strace", "killing a repair at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let mut newest = None;
    trees::walk(&store.join("blobs"), &mut |path| {
        if path.is_file() && path.metadata().unwrap().len() == 300 << 10 {
            newest = Some(path.to_owned());
        }
    });
    let blob = newest.expect("the second generation has a blob of its own");
    fs::write(&blob, b"damaged").unwrap();
    let whole = case.sandbox.path("whole");
    copy_tree(&store, &whole);
    let prepare = || {
        fs::remove_dir_all(&store).unwrap();
        copy_tree(&whole, &store);
    };
    let kills = kill_at_each_call(
        &case.sandbox,
        &case.job,
        &["verify", "--repair"],
        1,
        prepare,
        |when| {
            case.sandbox.repair().exited(0);
            case.store_is_right(when);
            assert!(
                case.sandbox
                    .restore(&case.sandbox.job("older"), "1")
                    .succeeded()
                    .is_hit(),
                "{when}"
            );
            assert!(
                !case
                    .sandbox
                    .restore(&case.sandbox.job("newer"), "2")
                    .succeeded()
                    .is_hit(),
                "{when}"
            );
        },
    );
    assert!(kills > 5, "only {kills} kills");
}
