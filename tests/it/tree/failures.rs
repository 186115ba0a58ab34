//! A save or restore that could not do all of its work never says that it did.
//!
//! System calls are made to fail one after the other (`strace -e inject`). Whatever failed, a save
//! that ends well made a complete entry, one that fails leaves the entry that was there, and a
//! restore that ends well restored everything.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::tools::{is_installed, is_root, run_tool, skip};
use crate::support::{RunResult, Sandbox, deep, trees};

/// Calls on files. Their first occurrences load the program and are skipped.
const CALLS: [&str; 9] = [
    "openat",
    "getdents64",
    "newfstatat",
    "read",
    "pread64",
    "write",
    "linkat",
    "renameat2",
    "listxattr,llistxattr",
];
const ERRORS: [&str; 3] = ["EIO", "EMFILE", "EACCES"];

/// Replaces a tree by a small one.
fn remake(tree: &Path, seed: u64) {
    drop(fs::remove_dir_all(tree));
    trees::small(tree, seed);
}

/// A tree of two states, of which the first is saved under the key `k`.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    old: Snapshot,
    new: Snapshot,
}

impl Case {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut case = Self {
            job: sandbox.job("job"),
            sandbox,
            old: Snapshot::new(),
            new: Snapshot::new(),
        };
        case.prepare();
        case
    }

    /// Saves the first state, and makes the second one.
    fn prepare(&mut self) {
        let tree = self.job.join("tree");
        remake(&tree, 1);
        self.old = snapshot(&tree);
        let arguments = ["save", "--refresh", "--key", "k", "tree"];
        self.sandbox.run(&self.job, &arguments).succeeded();
        remake(&tree, 2);
        self.new = snapshot(&tree);
    }

    /// Runs the program with one call failing.
    fn with_failing_call(&self, fault: &Fault, job: &Path, arguments: &[&str]) -> RunResult {
        let (trace, inject) = (
            format!("trace={}", fault.call),
            format!(
                "inject={}:error={}:when={}",
                fault.call, fault.error, fault.at
            ),
        );
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let ran = RunResult::of(&mut self.sandbox.command_behind(&strace, job, arguments));
        assert!(!ran.stderr.contains("panicked"), "{fault:?}: {ran:#?}");
        ran
    }

    /// What the entry `k` restores into an empty directory.
    fn entry(&self) -> Snapshot {
        let fresh = self.sandbox.job("fresh");
        assert!(self.sandbox.restore(&fresh, "k").succeeded().is_hit());
        let found = snapshot(&fresh.join("tree"));
        fs::remove_dir_all(&fresh).unwrap();
        found
    }
}

#[derive(Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    at: usize,
}

/// A sample of the calls; all of them with `LOCAL_CACHE_TESTS_EVERY_CALL`.
fn faults() -> Vec<Fault> {
    let step = if std::env::var_os("LOCAL_CACHE_TESTS_EVERY_CALL").is_some() {
        1
    } else {
        4
    };
    let mut faults = Vec::new();
    for (number, call) in CALLS.into_iter().enumerate() {
        for (shift, error) in ERRORS.into_iter().enumerate() {
            let last = if call == "openat" { 90 } else { 40 };
            let first = if call == "openat" { 8 } else { 1 };
            let calls = (first + (number + shift) % step..last).step_by(step);
            faults.extend(calls.map(|at| Fault { call, error, at }));
        }
    }
    faults
}

#[test]
fn a_save_is_complete_or_fails_and_leaves_the_old_entry() {
    if !is_installed("strace", "calls that fail during a save") {
        return;
    }
    let mut case = Case::new();
    let mut failures = 0;
    for fault in faults() {
        let arguments = ["save", "--json", "--refresh", "--key", "k", "tree"];
        let ran = case.with_failing_call(&fault, &case.job, &arguments);
        let found = case.entry();
        if ran.code == Some(0) && ran.is_saved() {
            let skipped = ran.json()["left-out-files"].as_u64().unwrap();
            if fault.error == "EACCES" && skipped > 0 {
                // What may not be read is named.
                let named = ran
                    .stderr
                    .matches(" is not cached: it may not be read")
                    .count();
                assert_eq!(named as u64, skipped, "{fault:?}: {ran:#?}");
            } else {
                assert!(found == case.new, "{fault:?}: {ran:#?}");
            }
            // The old entry is the one to lose again.
            case.prepare();
        } else {
            failures += 1;
            assert!(!ran.stderr.is_empty(), "{fault:?}: {ran:#?}");
            // The entry was made before its line could not be printed.
            let is_made = ran.stderr.contains("cannot write the output");
            let wanted = if is_made { &case.new } else { &case.old };
            assert!(found == *wanted, "{fault:?}: {ran:#?}");
            if is_made {
                case.prepare();
            }
        }
    }
    assert!(failures > 20, "only {failures} saves failed");
}

#[test]
fn a_restore_is_complete_or_fails() {
    if !is_installed("strace", "calls that fail during a restore") {
        return;
    }
    let mut case = Case::new();
    let mut failures = 0;
    for (number, fault) in faults().into_iter().enumerate() {
        let job = case.sandbox.job("other");
        let tree = job.join("tree");
        drop(fs::remove_dir_all(&tree));
        // Into nothing, over another state, and over the right one.
        match number % 3 {
            0 => {}
            1 => remake(&tree, 3),
            _ => drop(case.sandbox.restore(&job, "k").succeeded()),
        }
        let arguments = ["restore", "--json", "--mirror", "--key", "k", "tree"];
        let ran = case.with_failing_call(&fault, &job, &arguments);
        if ran.code == Some(0) && ran.is_hit() {
            let found = snapshot(&tree);
            assert!(
                found == case.old || ran.stderr.contains("attributes"),
                "{fault:?}: {ran:#?}"
            );
        } else {
            failures += 1;
            assert!(
                !ran.stderr.is_empty() || !ran.is_hit(),
                "{fault:?}: {ran:#?}"
            );
            // What cannot be read may be taken for damage, and is a miss then.
            drop(fs::remove_dir_all(&tree));
            if case.sandbox.mirror(&job, "k").succeeded().is_hit() {
                assert_same(&case.old, &snapshot(&tree));
            } else {
                case.prepare();
            }
        }
    }
    assert!(failures > 20, "only {failures} restores failed");
}

#[test]
fn with_too_few_descriptors_a_save_is_complete_or_fails() {
    if !is_installed("prlimit", "few descriptors") {
        return;
    }
    let case = Case::new();
    for number in 0..300 {
        let path = case
            .job
            .join(format!("tree/{}/{}/{number}", number % 7, number % 5));
        trees::write(&path, &trees::random_bytes(number, 500));
    }
    trees::make_old(&case.job.join("tree"));
    let new = snapshot(&case.job.join("tree"));
    let mut ends = [0, 0];
    for limit in [6, 7, 8, 9, 10, 12, 16, 24, 64] {
        let limit = format!("--nofile={limit}:{limit}");
        let arguments = ["save", "--json", "--refresh", "--key", "k", "tree"];
        let mut command = case
            .sandbox
            .command_behind(&["prlimit", &limit], &case.job, &arguments);
        let ran = RunResult::of(&mut command);
        let is_saved = ran.code == Some(0) && ran.is_saved();
        ends[usize::from(is_saved)] += 1;
        let found = case.entry();
        let wanted = if ends[1] > 0 { &new } else { &case.old };
        assert!(found == *wanted, "{limit}: {ran:#?}");
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
}

#[test]
fn a_tree_deeper_than_the_limit_of_descriptors_is_restored_and_removed() {
    if !is_installed("prlimit", "few descriptors") {
        return;
    }
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    deep::make(&one.join("tree"), "d", 300);
    let limited = |job: &Path, arguments: &[&str]| {
        let starter = ["prlimit", "--nofile=100:100"];
        RunResult::of(&mut sandbox.command_behind(&starter, job, arguments))
    };
    limited(&one, &["save", "--key", "k", "tree"]).succeeded();
    limited(&other, &["restore", "--key", "k", "tree"]).succeeded();
    assert_eq!(deep::depth(&other.join("tree"), "d"), 300);
    limited(&other, &["restore", "--key", "k", "tree"]).succeeded();
    limited(&one, &["save", "--refresh", "--key", "k", "tree"]).succeeded();
    deep::make(&other.join("tree/extra"), "e", 300);
    limited(&other, &["restore", "--mirror", "--key", "k", "tree"]).succeeded();
    assert!(!other.join("tree/extra").exists());
    for job in [one, other] {
        run_tool("rm", &["-rf".as_ref(), job.join("tree").as_ref()]);
    }
}

#[test]
fn a_restore_that_may_not_write_fails() {
    if !is_root() {
        return skip("root", "a directory of another user");
    }
    let sandbox = Sandbox::without_rights();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    sandbox.chown_all();
    sandbox.save(&one, "k").succeeded();
    trees::write(&other.join("tree/src/4.rs"), b"of root");
    for path in ["tree", "tree/src", "tree/src/4.rs"] {
        trees::set_mode(&other.join(path), 0o755);
    }
    std::os::unix::fs::chown(other.join("tree"), Some(65534), Some(65534)).unwrap();
    for flag in ["--no-verify", "--mirror"] {
        let arguments = ["restore", "--json", flag, "--key", "k", "tree"];
        let ran = sandbox.run(&other, &arguments).exited(1);
        assert!(ran.stderr.contains("tree/src"), "{ran:#?}");
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }
}

#[test]
fn hard_links_that_become_copies_are_reported() {
    if !is_installed("strace", "a filesystem that refuses hard links") {
        return;
    }
    let case = Case::new();
    let other = case.sandbox.job("other");
    let starter = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=linkat",
        "-e",
        "inject=linkat:error=EPERM",
    ];
    let arguments = ["restore", "--json", "--key", "k", "tree"];
    let mut command = case.sandbox.command_behind(&starter, &other, &arguments);
    let ran = RunResult::of(&mut command).exited(0);
    assert!(ran.stderr.contains("1 hard link was copied"), "{ran:#?}");
    let contents =
        ["large", "build/large"].map(|name| fs::read(other.join("tree").join(name)).unwrap());
    assert_eq!(contents[0], contents[1]);
    // Where links are possible again, they are made.
    case.sandbox.restore(&other, "k").succeeded();
    assert_same(&case.old, &snapshot(&other.join("tree")));
}
