//! A save or restore that could not do all of its work never says that it did: few descriptors,
//! missing rights, refused links. `faults` lets single system calls fail.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::tools::{is_installed, is_root, run_tool, skip};
use crate::support::{RunResult, Sandbox, deep, strace, trees};

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

    /// What the entry `k` restores into an empty directory.
    fn entry(&self) -> Snapshot {
        let fresh = self.sandbox.job("fresh");
        assert!(self.sandbox.restore(&fresh, "k").succeeded().is_hit());
        let found = snapshot(&fresh.join("tree"));
        fs::remove_dir_all(&fresh).unwrap();
        found
    }
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
    let starter = strace::inject("linkat", "error=EPERM");
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
