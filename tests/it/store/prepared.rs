//! Ready copies that are prepared for jobs that will run at the same time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use local_cache::Store;
use local_cache::fs::volume;
use local_cache::monitor::Silent;
use local_cache::ops::free_space::{GuardPolicy, guard};
use local_cache::store::disk_limits::DiskLimits;
use local_cache::store::ready_limit::ReadyLimit;

use super::ready::end;
use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::mounts::Mount;
use crate::support::{Sandbox, trees};

/// A filesystem whose files can share blocks; none, and a skipped test, if it can't be mounted.
fn sharing(what: &str) -> Option<Mount> {
    let mkfs = ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"];
    Mount::image(320 << 20, &mkfs, "loop", what)
}

struct Case {
    sandbox: Sandbox,
    job: PathBuf,
}

impl Case {
    fn on(mount: &Mount) -> Self {
        let sandbox = Sandbox::below(mount.path());
        let job = sandbox.job("job");
        Self { sandbox, job }
    }

    fn copies(&self) -> usize {
        self.store().ready_copies().unwrap().len()
    }

    fn store(&self) -> Store {
        Store::open(self.sandbox.cache()).unwrap().unwrap()
    }

    /// Saves the tree of a job and moves it into the store.
    #[track_caller]
    fn save(&self, job: &Path, key: &str, options: &[&str]) {
        let arguments = [&["save", "--move", "--key", key], options, &["tree"]].concat();
        self.sandbox.run(job, &arguments).succeeded();
        let tmp = fs::read_dir(self.sandbox.store().join("tmp")).unwrap();
        assert_eq!(tmp.count(), 0, "something is left in tmp");
    }

    /// What a restore into nothing took of ready copies, and read and wrote.
    #[track_caller]
    fn restored(&self, job: &Path, key: &str, wanted: &Snapshot) -> [u64; 3] {
        let report = self.sandbox.mirror(job, key).succeeded().json();
        assert_same(wanted, &snapshot(&job.join("tree")));
        ["ready-directories", "compared-files", "written-files"]
            .map(|name| report[name].as_u64().unwrap())
    }
}

#[test]
fn with_a_number_as_many_jobs_at_once_get_a_copy_that_is_not_read() {
    let Some(mount) = sharing("copies for jobs at once") else {
        return;
    };
    let case = Case::on(&mount);
    let tree = case.job.join("tree");
    trees::everything(&tree);
    trees::make_old(&tree);
    let wanted = snapshot(&tree);
    case.save(&case.job, "k", &["--ready-copies", "4"]);
    assert_eq!(case.copies(), 4);
    trees::settle();
    let jobs: Vec<_> = (0..4)
        .map(|number| case.sandbox.job(&format!("job-{number}")))
        .collect();
    std::thread::scope(|scope| {
        let (case, wanted) = (&case, &wanted);
        let runs: Vec<_> = jobs
            .iter()
            .map(|job| scope.spawn(move || case.restored(job, "k", wanted)))
            .collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), [1, 0, 0]);
        }
    });
    // A change by one job is none for the others.
    let changed = fs::File::options()
        .write(true)
        .open(jobs[0].join("tree/sizes/524288"));
    changed.unwrap().write_all_at(b"of one job", 0).unwrap();
    assert_same(&wanted, &snapshot(&jobs[1].join("tree")));
    // The others will move theirs into the store too, so the first to end prepares none.
    for (job, copies) in jobs[1..].iter().zip(1..) {
        end(&case.sandbox, job, ReadyLimit::AtMost(4));
        assert_eq!(case.copies(), copies);
    }
    assert_eq!(case.restored(&case.job, "k", &wanted)[0], 1);
}

#[test]
fn a_changed_directory_gets_as_many_copies_as_jobs_used_at_once_before() {
    let Some(mount) = sharing("copies for the next jobs") else {
        return;
    };
    let case = Case::on(&mount);
    let tree = case.job.join("tree");
    trees::small(&tree, 1);
    trees::make_old(&tree);
    let first = snapshot(&tree);
    case.save(&case.job, "first", &["--ready-copies", "3"]);
    assert_eq!(case.restored(&case.job, "first", &first)[0], 1);
    trees::write(&tree.join("new"), b"of the next job");
    let second = snapshot(&tree);
    case.save(&case.job, "second", &[]);
    // Two of the first entry and three of the second one.
    assert_eq!(case.copies(), 5);
    for number in 0..4 {
        let job = case.sandbox.job(&format!("job-{number}"));
        let taken = case.restored(&job, "second", &second)[0];
        assert_eq!(taken, u64::from(number < 3));
    }
    // A directory that was no copy does not count, or each save would add one.
    trees::small(&tree, 3);
    case.save(&case.job, "third", &[]);
    trees::small(&tree, 4);
    let before = case.copies();
    case.save(&case.job, "fourth", &[]);
    assert_eq!(case.copies(), before + 1);
}

#[test]
fn the_copy_of_a_job_that_never_ended_is_replaced_after_an_hour() {
    let Some(mount) = sharing("copies of jobs that never end") else {
        return;
    };
    let case = Case::on(&mount);
    trees::small(&case.job.join("tree"), 1);
    trees::make_old(&case.job.join("tree"));
    let wanted = snapshot(&case.job.join("tree"));
    case.save(&case.job, "k", &["--ready-copies", "2"]);
    let lost = case.sandbox.job("lost");
    for job in [&lost, &case.job] {
        assert_eq!(case.restored(job, "k", &wanted)[0], 1);
    }
    end(&case.sandbox, &case.job, ReadyLimit::AtMost(2));
    assert_eq!(case.copies(), 1);
    let notes = case.sandbox.store().join("lent");
    for note in fs::read_dir(&notes).unwrap() {
        trees::set_modified(&note.unwrap().path(), 1_700_000_000, 0);
    }
    assert_eq!(case.restored(&case.job, "k", &wanted)[0], 1);
    end(&case.sandbox, &case.job, ReadyLimit::AtMost(2));
    assert_eq!(case.copies(), 2);
}

#[test]
fn where_no_blocks_are_shared_no_copies_are_prepared() {
    let Some(mount) = Mount::tmpfs(64 << 20, "copies where blocks are not shared") else {
        return;
    };
    let case = Case::on(&mount);
    trees::small(&case.job.join("tree"), 1);
    case.save(&case.job, "k", &["--ready-copies", "4"]);
    assert_eq!(case.copies(), 1);
}

#[test]
fn copies_count_only_for_what_they_do_not_share_with_blobs() {
    let Some(mount) = sharing("the size of copies") else {
        return;
    };
    let case = Case::on(&mount);
    let tree = case.job.join("tree");
    let large = 32 << 20;
    trees::write(&tree.join("large"), &trees::random_bytes(1, large));
    trees::write(&tree.join("small"), &trees::random_bytes(2, 5000));
    case.save(&case.job, "k", &["--ready-copies", "3"]);
    let store = case.store();
    let copies = store.ready_copies().unwrap();
    assert_eq!(copies.len(), 3);
    for copy in &copies {
        assert_eq!(copy.bytes, 8192);
    }
    let counted = store.allocated_bytes().unwrap();
    assert!((large as u64..2 * large as u64).contains(&counted));
    // No more is reported as freed than becomes free.
    let free = || {
        let synced = Command::new("sync").arg("-f").arg(mount.path()).status();
        assert!(synced.unwrap().success());
        volume(mount.path()).unwrap().free_bytes
    };
    let before = free();
    let pruned = ["prune", "--json", "--yes", "--keep", "0"];
    let report = case.sandbox.run(&case.job, &pruned).succeeded().json();
    let freed = report["freed-bytes"].as_u64().unwrap();
    assert!(freed >= large as u64, "{freed}");
    // The filesystem frees removed files later.
    let start = Instant::now();
    while free() < before + freed.saturating_sub(1 << 20) {
        assert!(start.elapsed() < Duration::from_secs(60), "{freed}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_disk_guard_removes_prepared_copies_first_and_knows_what_that_does_not_free() {
    let Some(mount) = sharing("prepared copies on a full disk") else {
        return;
    };
    let case = Case::on(&mount);
    let tree = case.job.join("tree");
    trees::write(&tree.join("large"), &trees::random_bytes(1, 32 << 20));
    trees::write(&tree.join("small"), &trees::random_bytes(2, 200_000));
    case.save(&case.job, "k", &["--ready-copies", "4"]);
    // More than what the filesystem itself allocates meanwhile.
    let copy_bytes = case.store().ready_copies().unwrap()[0].bytes;
    assert!((200_000..1 << 20).contains(&copy_bytes), "{copy_bytes}");
    let guard_for = |lacking: u64| {
        let free = volume(case.sandbox.cache()).unwrap().free_bytes;
        let policy = GuardPolicy {
            limits: DiskLimits {
                free_bytes: free + lacking,
                ..DiskLimits::default()
            },
            keep: Vec::new(),
            old_after: None,
            default_branches: Vec::new(),
        };
        guard(case.sandbox.cache(), None, &policy, &Silent).unwrap()
    };
    let guarded = guard_for(4096);
    assert!(guarded.removed.is_empty(), "{guarded:?}");
    let left = case.copies();
    assert!((1..4).contains(&left), "{left} of 4 copies are left");
    // All copies together do not free that much, although each of them is larger.
    let guarded = guard_for(16 << 20);
    assert_eq!(case.copies(), 0);
    assert_eq!(guarded.removed.len(), 1, "{guarded:?}");
}
