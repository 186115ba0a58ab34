//! Ready copies: directories that are moved into the store and back by a rename.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use local_cache::monitor::Silent;
use local_cache::ops::entries::list;
use local_cache::ops::save::IfExists;
use local_cache::store::ready_limit::ReadyLimit;
use local_cache::{
    RestoreOptions, RestoreRequest, Roots, SaveOptions, SaveOutcome, SaveRequest, Store, restore,
    save,
};

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

    /// What a job does at its end with a directory that it did not change.
    #[track_caller]
    fn end(&self, job: &Path) {
        self.end_with(job, ReadyLimit::Auto);
    }

    #[track_caller]
    fn end_with(&self, job: &Path, ready_limit: ReadyLimit) {
        end(&self.sandbox, job, ready_limit);
    }

    fn jobs(&self, count: usize) -> Vec<PathBuf> {
        let jobs = (0..count).map(|number| self.sandbox.job(&format!("job-{number}")));
        jobs.collect()
    }

    fn restored_inode(&self, job: &Path) -> u64 {
        assert_eq!(self.restored_in(job)["ready-directories"], 1);
        std::os::unix::fs::MetadataExt::ino(&job.join("tree").metadata().unwrap())
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

/// What a job does at its end with a directory that it did not change.
#[track_caller]
pub(super) fn end(sandbox: &Sandbox, job: &Path, ready_limit: ReadyLimit) {
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let entry = list(&store, &Silent).unwrap().remove(0).entry;
    let roots = Roots::new([(Box::from(b"./tree".as_slice()), job.join("tree"))]);
    let request = SaveRequest {
        group: &entry.group,
        key: &entry.key,
        roots: &roots,
        filter: None,
        options: SaveOptions {
            if_exists: IfExists::ReplaceIfChanged,
            keep_ready: true,
            ready_limit,
            ..SaveOptions::default()
        },
        steps: None,
        parts: BTreeMap::new(),
        parent: None,
        max_bytes: None,
    };
    let outcome = save(&store, &request, &Silent).unwrap();
    assert!(matches!(outcome, SaveOutcome::Unchanged), "{outcome:?}");
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
    let jobs = case.jobs(4);
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
fn there_are_as_many_ready_copies_as_jobs_used_at_once() {
    let case = Case::new();
    let jobs = case.jobs(3);
    let round = || -> Vec<serde_json::Value> {
        let taken = jobs.iter().map(|job| case.restored_in(job));
        let taken = taken.map(|report| report["ready-directories"].clone());
        let taken = taken.collect();
        jobs.iter().for_each(|job| case.end(job));
        taken
    };
    assert_eq!(round(), [1, 0, 0]);
    assert_eq!(case.copies().len(), 3);
    assert_eq!(round(), [1, 1, 1]);
    assert_eq!(case.copies().len(), 3);
}

#[test]
fn a_number_limits_the_ready_copies_and_the_other_directories_stay() {
    let case = Case::new();
    let jobs = case.jobs(4);
    jobs.iter().for_each(|job| drop(case.restored_in(job)));
    for (job, copies) in jobs.iter().zip([1, 2, 3, 3]) {
        case.end_with(job, ReadyLimit::AtMost(3));
        assert_eq!(case.copies().len(), copies);
    }
    let stay: Vec<bool> = jobs.iter().map(|job| job.join("tree").exists()).collect();
    assert_eq!(stay, [false, false, false, true]);
}

#[test]
fn a_number_admits_directories_that_were_no_copies() {
    let case = Case::new();
    let jobs = case.jobs(2);
    // Nobody holds a copy, so `auto` would keep one.
    fs::remove_dir_all(case.sandbox.store().join("ready")).unwrap();
    jobs.iter().for_each(|job| drop(case.restored_in(job)));
    for (job, copies) in jobs.iter().zip([1, 2]) {
        case.end_with(job, ReadyLimit::AtMost(2));
        assert_eq!(case.copies().len(), copies);
    }
}

#[test]
fn a_smaller_number_removes_the_copies_that_were_kept_first() {
    let case = Case::new();
    let jobs = case.jobs(3);
    jobs.iter().for_each(|job| drop(case.restored_in(job)));
    jobs.iter().for_each(|job| case.end(job));
    assert_eq!(case.copies().len(), 3);
    let last = case.restored_inode(&jobs[0]);
    case.end_with(&jobs[0], ReadyLimit::AtMost(1));
    assert_eq!(case.copies().len(), 1);
    let stays = case.restored_inode(&case.job);
    assert_ne!(
        stays, last,
        "two copies were there, so a third one stays away"
    );
    assert!(jobs[0].join("tree").exists());
}

#[test]
fn zero_keeps_no_copy_and_removes_those_of_the_group_only() {
    let case = Case::new();
    let save = |arguments: &[&str]| {
        let all = [&["save", "--key", "k"], arguments, &["tree"]].concat();
        case.sandbox.run(&case.job, &all)
    };
    case.restored();
    save(&["--move", "--repository", "acme/app", "--ref", "main"]).succeeded();
    let of_other = case.copies();
    assert_eq!(of_other.len(), 1);
    trees::small(&case.tree(), 2);
    save(&["--move", "--refresh"]).succeeded();
    assert_eq!(case.copies().len(), 2);
    trees::small(&case.tree(), 3);
    // The key exists, so nothing is saved.
    save(&["--move", "--ready-copies", "0"]).succeeded();
    assert_eq!(case.copies(), of_other);
    save(&["--move", "--refresh", "--ready-copies", "0"]).succeeded();
    assert_eq!(case.copies(), of_other);
    assert!(case.tree().exists());
    let wrong = save(&["--ready-copies", "some"]);
    assert!(
        wrong.stderr.contains("use auto, 0, 1, 2 and so on"),
        "{wrong:?}"
    );
    wrong.exited(2);
}

#[test]
fn jobs_one_after_another_share_one_ready_copy() {
    let case = Case::new();
    for number in 0..3 {
        let job = case.sandbox.job(&format!("job-{number}"));
        assert_eq!(case.restored_in(&job)["ready-directories"], 1);
        case.end(&job);
        assert_eq!(case.copies().len(), 1);
    }
}

#[test]
fn a_directory_that_was_in_the_way_of_a_ready_copy_is_no_second_one() {
    let case = Case::new();
    let taker = case.sandbox.job("taker");
    case.restored_in(&taker);
    fs::create_dir(case.tree()).unwrap();
    fs::write(case.tree().join("mine"), "").unwrap();
    case.restored();
    case.end(&taker);
    case.end(&case.job);
    assert_eq!(case.copies().len(), 1);
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

#[test]
fn an_error_at_a_later_root_takes_back_the_ready_copies_of_earlier_ones() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    for root in ["first", "second"] {
        trees::small(&job.join(root), 1);
    }
    let wanted = snapshot(&job.join("first"));
    let arguments = ["save", "--move", "--key", "k", "first", "second"];
    sandbox.run(&job, &arguments).succeeded();
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    assert_eq!(store.ready_copies().unwrap().len(), 2);
    let entry = list(&store, &Silent).unwrap().remove(0).entry;
    let restore_to = |second: &str| {
        let place = |name: &[u8]| match name {
            b"./first" => Ok(job.join("first").into()),
            _ => Ok(job.join(second).into()),
        };
        let request = RestoreRequest {
            groups: std::slice::from_ref(&entry.group),
            key: &entry.key,
            restore_keys: &[],
            destination: &place,
            options: RestoreOptions::default(),
            steps: None,
            second_tier: None,
        };
        restore(&store, &request, &Silent)
    };
    let too_long = "x".repeat(300);
    let error = restore_to(&too_long).unwrap_err();
    assert!(error.to_string().contains(&too_long), "{error}");
    assert!(!job.join("first").exists(), "what was not compared stays");
    assert!(restore_to("second").unwrap().is_some());
    assert_same(&wanted, &snapshot(&job.join("first")));
}

#[test]
fn ready_copies_that_cannot_be_looked_at_do_not_end_a_garbage_collection() {
    let sandbox = Sandbox::without_rights();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.chown_all();
    let arguments = ["save", "--move", "--key", "k", "tree"];
    sandbox.run(&job, &arguments).succeeded();
    let garbage = sandbox.store().join("tmp/left");
    trees::write(&garbage, b"x");
    let ready = sandbox.store().join("ready");
    trees::set_mode(&ready, 0o444);
    sandbox.chown_all();
    sandbox.prune(5).exited(0);
    trees::set_mode(&ready, 0o755);
    assert!(!garbage.exists());
    let report = sandbox.mirror(&job, "k").succeeded().json();
    assert_eq!(report["ready-directories"], 1);
}

#[test]
fn a_ready_copy_is_kept_whatever_is_in_the_place_of_the_notes_of_lent_ones() {
    let case = Case::new();
    let lent = case.sandbox.store().join("lent");
    for place in ["a file", "a symlink", "a note that is a directory"] {
        case.restored();
        let notes = fs::read_dir(&lent).unwrap();
        let note = notes.map(|note| note.unwrap().path()).next().unwrap();
        if place == "a note that is a directory" {
            fs::remove_file(&note).unwrap();
            trees::write(&note.join("inside"), b"x");
        } else {
            fs::remove_dir_all(&lent).unwrap();
            match place {
                "a file" => fs::write(&lent, "x").unwrap(),
                _ => std::os::unix::fs::symlink(case.sandbox.path("job"), &lent).unwrap(),
            }
        }
        case.end(&case.job);
        assert_eq!(case.copies().len(), 1, "{place}");
        // A garbage collection makes room for the directory.
        let pruned = case.sandbox.prune(5).succeeded();
        assert!(pruned.warnings().is_empty(), "{place}: {pruned:#?}");
        assert!(!lent.is_symlink() && !lent.is_file(), "{place}");
    }
}
