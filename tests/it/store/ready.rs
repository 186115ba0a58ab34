//! Ready copies: directories that are moved into the store and back by a rename.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::compare::{assert_same, identity, snapshot};
use crate::support::{Sandbox, trees};

struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    wanted: crate::support::compare::Snapshot,
}

impl Case {
    /// A tree that was saved and moved into the store.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let job = sandbox.job("job");
        let tree = job.join("tree");
        trees::small(&tree, 1);
        trees::make_old(&tree);
        let wanted = snapshot(&tree);
        sandbox
            .run(&job, &["save", "--move", "--key", "k", "tree"])
            .succeeded();
        assert!(!tree.exists(), "the tree is still there");
        let case = Self {
            sandbox,
            job,
            wanted,
        };
        assert_eq!(case.copies().len(), 1);
        case
    }

    fn copies(&self) -> Vec<PathBuf> {
        let Ok(names) = fs::read_dir(self.sandbox.store().join("ready")) else {
            return Vec::new();
        };
        names.map(|name| name.unwrap().path()).collect()
    }

    fn tree(&self) -> PathBuf {
        self.job.join("tree")
    }

    #[track_caller]
    fn restored(&self) -> serde_json::Value {
        self.restored_in(&self.job)
    }

    #[track_caller]
    fn restored_in(&self, job: &Path) -> serde_json::Value {
        let report = self.sandbox.mirror(job, "k").succeeded().json();
        assert_same(&self.wanted, &snapshot(&job.join("tree")));
        report
    }
}

#[test]
fn a_ready_copy_is_restored_by_a_rename_and_not_read() {
    let case = Case::new();
    let copy = case.copies().remove(0);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
    let before = (inode(&copy), identity(&copy.join("build/large")));
    trees::settle();
    let report = case.restored();
    assert_eq!(report["ready-directories"], 1);
    assert_eq!(
        (&report["written-files"], &report["compared-files"]),
        (&0.into(), &0.into()),
        "{report}"
    );
    let tree = case.tree();
    assert!(before == (inode(&tree), identity(&tree.join("build/large"))));
    assert!(case.copies().is_empty());
}

#[test]
fn one_job_gets_the_ready_copy_and_the_others_restore_from_the_entry() {
    let case = Case::new();
    let jobs: Vec<PathBuf> = (0..4)
        .map(|number| case.sandbox.job(&format!("job-{number}")))
        .collect();
    let taken: u64 = std::thread::scope(|scope| {
        let case = &case;
        let runs: Vec<_> = jobs
            .iter()
            .map(|job| scope.spawn(move || case.restored_in(job)))
            .collect();
        runs.into_iter()
            .map(|run| run.join().unwrap()["ready-directories"].as_u64().unwrap())
            .sum()
    });
    assert_eq!(taken, 1);
}

#[test]
fn a_changed_ready_copy_is_repaired() {
    let case = Case::new();
    let copy = case.copies().remove(0);
    let times = copy.join("same").metadata().unwrap().modified().unwrap();
    fs::write(copy.join("same"), b"ALWAYS THE SAME").unwrap();
    fs::File::options()
        .write(true)
        .open(copy.join("same"))
        .unwrap()
        .set_modified(times)
        .unwrap();
    fs::remove_file(copy.join("build/large")).unwrap();
    fs::write(copy.join("extra"), "").unwrap();
    assert_eq!(case.restored()["ready-directories"], 1);
}

#[test]
fn an_existing_directory_is_not_replaced() {
    let case = Case::new();
    fs::create_dir(case.tree()).unwrap();
    fs::write(case.tree().join("same"), "mine").unwrap();
    assert_eq!(case.restored()["ready-directories"], 0);
    assert_eq!(case.copies().len(), 1);
}

#[test]
fn the_entry_is_complete_without_its_ready_copy() {
    let case = Case::new();
    fs::remove_dir_all(case.sandbox.store().join("ready")).unwrap();
    assert_eq!(case.restored()["ready-directories"], 0);
}

#[test]
fn a_ready_copy_is_removed_with_its_last_entry() {
    let case = Case::new();
    let size = |sandbox: &Sandbox| {
        sandbox
            .run(&case.job, &["prune", "--json", "--yes", "--keep", "0"])
            .succeeded()
            .json()["freed-bytes"]
            .as_u64()
    };
    assert!(
        size(&case.sandbox).unwrap() > 2 * (600 << 10),
        "the copy's bytes are not counted"
    );
    assert!(case.copies().is_empty());
}

#[test]
fn a_refreshed_save_of_the_same_tree_keeps_the_ready_copy() {
    let case = Case::new();
    case.restored();
    case.sandbox
        .run(
            &case.job,
            &["save", "--move", "--refresh", "--key", "k", "tree"],
        )
        .succeeded();
    assert_eq!(case.copies().len(), 1);
    case.restored();
}

#[test]
fn a_directory_with_excluded_files_is_not_moved() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let refused = sandbox.run(
        &job,
        &["save", "--move", "--key", "k", "tree", "!tree/same"],
    );
    assert!(refused.failed(2).contains("--move"));
    assert!(job.join("tree/same").exists());
}
