//! Restoring over an existing directory: correct files stay untouched, different ones are replaced,
//! extraneous ones stay or are removed.

mod contents;
mod kinds;
mod rights;
mod trust;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, identities, identity, snapshot};
use crate::support::tools::rsync_sees_no_difference;
use crate::support::{Sandbox, trees};

/// A saved tree, and a restored one to change.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    tree: PathBuf,
    original: PathBuf,
    wanted: Snapshot,
}

impl Case {
    fn new() -> Self {
        Self::with(Sandbox::new(), |_| {})
    }

    fn with(sandbox: Sandbox, prepare: impl FnOnce(&Path)) -> Self {
        let one = sandbox.job("one");
        let original = one.join("tree");
        trees::small(&original, 1);
        prepare(&original);
        sandbox.chown_all();
        sandbox.save(&one, "k").succeeded();
        let job = sandbox.job("other");
        sandbox.restore(&job, "k").succeeded();
        assert_same(&snapshot(&original), &snapshot(&job.join("tree")));
        let (tree, wanted) = (job.join("tree"), snapshot(&original));
        Self {
            sandbox,
            job,
            tree,
            original,
            wanted,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.tree.join(name)
    }

    /// Restores and demands that the tree equals the saved one. Returns the program's report.
    #[track_caller]
    fn restored(&self) -> serde_json::Value {
        let report = self.sandbox.restore(&self.job, "k").succeeded().json();
        self.is_right();
        report
    }

    #[track_caller]
    fn is_right(&self) {
        assert_same(&self.wanted, &snapshot(&self.tree));
        rsync_sees_no_difference(&self.original, &self.tree);
        rsync_sees_no_difference(&self.tree, &self.original);
    }

    /// Replaces the contents of a file in place and gives it a time.
    fn overwrite(&self, name: &str, bytes: &[u8], seconds: i64) {
        let path = self.at(name);
        fs::write(&path, bytes).unwrap();
        trees::set_modified(&path, seconds, 1);
    }

    #[track_caller]
    fn restored_as(&self, wanted: &[u8]) {
        self.sandbox.restore(&self.job, "k").succeeded();
        assert_eq!(fs::read(self.at("same")).unwrap(), wanted);
    }
}

#[test]
fn correct_files_are_not_touched() {
    let case = Case::new();
    let before = identities(&case.tree);
    let report = case.restored();
    assert_eq!(before, identities(&case.tree));
    assert_eq!(report["written-files"], 0);
    case.sandbox.mirror(&case.job, "k").succeeded();
    assert_eq!(before, identities(&case.tree));
}

#[test]
fn only_different_files_are_touched() {
    let case = Case::new();
    case.overwrite("src/3.rs", b"something else", 1_650_000_000);
    let mut before = identities(&case.tree);
    let report = case.restored();
    assert_eq!(report["written-files"], 1);
    let mut after = identities(&case.tree);
    for changed in [case.at("src/3.rs"), case.at("src")] {
        assert_ne!(before.remove(&changed), after.remove(&changed));
    }
    assert_eq!(before, after);
}

#[test]
fn extraneous_names_stay_without_mirror_and_are_removed_with_it() {
    let case = Case::new();
    let extras = [
        "extra",
        "src/extra.rs",
        "more/deeper/file",
        "nothing/here/file",
    ];
    for name in extras {
        trees::write(&case.at(name), b"mine");
    }
    symlink("/etc", case.at("build/extra-link")).unwrap();
    let before = extras.map(|name| identity(&case.at(name)));
    case.sandbox.restore(&case.job, "k").succeeded();
    assert_eq!(before, extras.map(|name| identity(&case.at(name))));
    let mut found = snapshot(&case.tree);
    found.retain(|path, _| case.wanted.contains_key(path));
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        case.wanted.keys().collect::<Vec<_>>()
    );
    let report = case.sandbox.mirror(&case.job, "k").succeeded().json();
    assert_eq!(report["removed-files"], 7);
    case.is_right();
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn an_existing_key_is_not_saved_again_unless_refreshed() {
    let case = Case::new();
    fs::write(case.original.join("same"), b"newer").unwrap();
    let one = case.sandbox.job("one");
    assert_eq!(
        case.sandbox.save(&one, "k").succeeded().json()["reason"],
        "exists"
    );
    case.restored_as(b"always the same");
    assert!(
        case.sandbox
            .run(&one, &["save", "--json", "--refresh", "--key", "k", "tree"])
            .succeeded()
            .is_saved()
    );
    case.restored_as(b"newer");
}

#[test]
fn lookup_only_writes_nothing() {
    let case = Case::new();
    let third = case.sandbox.job("third");
    let found = case
        .sandbox
        .run(
            &third,
            &["restore", "--lookup-only", "--json", "--key", "k", "tree"],
        )
        .succeeded();
    assert!(found.is_hit());
    assert_eq!(fs::read_dir(&third).unwrap().count(), 0);
}
