//! Several processes at once: on one key, on several, saving, restoring and pruning together.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use local_cache::monitor::Silent;
use local_cache::ops::prune::prune;
use local_cache::store::Store;
use local_cache::store::retention::RetentionPolicy;
use nix::fcntl::{Flock, FlockArg};

use crate::support::compare::{assert_same, snapshot};
use crate::support::{RunResult, Sandbox, trees};

fn locked(path: &Path, how: FlockArg) -> Flock<File> {
    Flock::lock(File::open(path).unwrap(), how)
        .map_err(|(_, errno)| errno)
        .unwrap()
}

#[test]
fn two_saves_of_one_key_make_one_entry() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    for round in 0..6 {
        let key = format!("k{round}");
        let arguments = ["save", "--json", "--key", &key, "tree"];
        let children: Vec<_> = (0..3)
            .map(|_| sandbox.command(&job, &arguments).spawn().unwrap())
            .collect();
        let runs: Vec<RunResult> = children
            .into_iter()
            .map(|child| RunResult::wait_for(child).succeeded())
            .collect();
        let saved = runs.iter().filter(|ran| ran.is_saved()).count();
        assert_eq!(saved, 1, "{runs:#?}");
        for ran in runs.iter().filter(|ran| !ran.is_saved()) {
            let json = ran.json();
            assert!(
                ["exists", "in-progress"].contains(&json["reason"].as_str().unwrap()),
                "{ran:#?}"
            );
        }
        let other = sandbox.job(&format!("other-{round}"));
        assert!(sandbox.restore(&other, &key).succeeded().is_hit());
        assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
    }
    sandbox.verify().succeeded();
}

#[test]
fn a_store_that_another_process_is_creating_is_not_damaged() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let entry = sandbox.save(&job, "k").succeeded().json()["entry"]
        .as_str()
        .unwrap()
        .to_owned()
        + ".json";
    let bytes = fs::read(sandbox.store().join("entries").join(&entry)).unwrap();
    for number in 0..200 {
        let root = sandbox.path(&format!("root-{number}"));
        std::thread::scope(|scope| {
            let maker = scope.spawn(|| {
                let store = Store::create(&root).unwrap();
                fs::write(store.layout().root().join("entries").join(&entry), &bytes).unwrap();
            });
            while Store::open(&root).unwrap().is_none() {}
            maker.join().unwrap();
        });
    }
}

#[test]
fn the_state_of_jobs_survives_a_collection() {
    let sandbox = Sandbox::new();
    let store = Store::create(&sandbox.path("root")).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(prune(&store, &RetentionPolicy::default(), false, &Silent));
            }
        });
        for number in 0..2000 {
            let remembered = store.put_job_state("name", b"bytes");
            if remembered.is_err() || number == 1999 {
                is_done.store(true, Ordering::Relaxed);
            }
            remembered.unwrap();
        }
    });
}

#[test]
fn a_save_is_skipped_while_another_saves_the_same_key() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let entry = sandbox.save(&job, "k").succeeded().json()["entry"]
        .as_str()
        .unwrap()
        .to_owned();
    let lock = locked(
        &sandbox.store().join("locks").join(&entry),
        FlockArg::LockExclusive,
    );
    let arguments = ["save", "--json", "--refresh", "--key", "k", "tree"];
    assert_eq!(
        sandbox.run(&job, &arguments).succeeded().json()["reason"],
        "in-progress"
    );
    // Another key is not affected.
    assert!(sandbox.save(&job, "k2").succeeded().is_saved());
    drop(lock);
    assert!(sandbox.run(&job, &arguments).succeeded().is_saved());
}

#[test]
fn saves_of_different_keys_run_side_by_side() {
    let sandbox = Sandbox::new();
    let jobs: Vec<PathBuf> = (0..4)
        .map(|number| sandbox.job(&format!("job-{number}")))
        .collect();
    for (seed, job) in (1..).zip(&jobs) {
        trees::small(&job.join("tree"), seed);
        trees::write(
            &job.join("tree/shared"),
            &trees::random_bytes(1000, 400 << 10),
        );
    }
    for round in 0..3 {
        let children: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|(number, job)| {
                let key = format!("{round}-{number}");
                sandbox
                    .command(job, &["save", "--json", "--key", &key, "tree"])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            assert!(RunResult::wait_for(child).succeeded().is_saved());
        }
    }
    sandbox.verify().succeeded();
    for (number, job) in jobs.iter().enumerate() {
        let other = sandbox.job(&format!("other-{number}"));
        sandbox.restore(&other, &format!("2-{number}")).succeeded();
        assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
    }
}

#[test]
fn pruning_gives_up_while_the_store_stays_in_use() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let lock = locked(&sandbox.store().join("locks/store"), FlockArg::LockShared);
    let line = sandbox.prune(0).failed(1);
    assert!(
        line.contains("in use by another process, so nothing was removed"),
        "{line}"
    );
    assert!(
        sandbox
            .run(&job, &["prune", "--dry-run", "--keep", "0"])
            .succeeded()
            .stdout
            .contains("would be removed")
    );
    assert!(sandbox.restore(&job, "k").succeeded().is_hit());
    drop(lock);
    sandbox.prune(0).succeeded();
    assert!(!sandbox.restore(&job, "k").succeeded().is_hit());
}

#[test]
fn a_restore_waits_until_a_prune_ends() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let lock = locked(
        &sandbox.store().join("locks/store"),
        FlockArg::LockExclusive,
    );
    let child = sandbox
        .command(&other, &["restore", "--json", "--key", "k", "tree"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!other.join("tree").exists(), "it did not wait");
    drop(lock);
    assert!(RunResult::wait_for(child).succeeded().is_hit());
    assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
}

#[test]
fn saving_restoring_and_pruning_at_once_never_gives_wrong_bytes() {
    let sandbox = Sandbox::new();
    let stop = AtomicBool::new(false);
    let (restored, pruned, saved) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let seeds = [1, 2, 3];
    let sources: Vec<PathBuf> = seeds
        .iter()
        .map(|seed| {
            let job = sandbox.job(&format!("source-{seed}"));
            trees::small(&job.join("tree"), *seed);
            sandbox.save(&job, &format!("s{seed}-0")).succeeded();
            job
        })
        .collect();
    let wanted: Vec<_> = sources
        .iter()
        .map(|job| snapshot(&job.join("tree")))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1.. {
                for (seed, job) in seeds.iter().zip(&sources) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    sandbox.save(job, &format!("s{seed}-{round}")).succeeded();
                    saved.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for worker in 0..2 {
            let (sandbox, stop, restored, wanted) = (&sandbox, &stop, &restored, &wanted);
            scope.spawn(move || {
                let job = sandbox.job(&format!("worker-{worker}"));
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let seed = round % 3;
                    let prefix = format!("s{}-", seed + 1);
                    let ran = sandbox.run(
                        &job,
                        &[
                            "restore",
                            "--json",
                            "--mirror",
                            "--key",
                            "none",
                            "--restore-key",
                            &prefix,
                            "tree",
                        ],
                    );
                    if ran.succeeded().is_hit() {
                        assert_same(&wanted[seed], &snapshot(&job.join("tree")));
                        restored.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let ran = sandbox.prune(4);
                if ran.code == Some(0) {
                    pruned.fetch_add(1, Ordering::Relaxed);
                } else {
                    ran.failed(1);
                }
                std::thread::sleep(Duration::from_millis(15));
            }
        });
        std::thread::sleep(Duration::from_secs(4));
        stop.store(true, Ordering::Relaxed);
    });
    let counts = [restored, pruned, saved].map(AtomicU32::into_inner);
    assert!(
        counts.iter().all(|count| *count > 0),
        "restored, pruned, saved: {counts:?}"
    );
    sandbox.verify().succeeded();
    sandbox.prune(4).succeeded();
    sandbox.verify().succeeded();
}

#[test]
fn eight_restores_into_different_directories_run_at_once() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let others: Vec<PathBuf> = (0..8)
        .map(|number| sandbox.job(&format!("other-{number}")))
        .collect();
    let start = |other: &PathBuf| {
        sandbox
            .command(other, &["restore", "--json", "--key", "k", "tree"])
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = others.iter().map(start).collect();
    for (child, other) in children.into_iter().zip(&others) {
        assert!(RunResult::wait_for(child).succeeded().is_hit());
        assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
    }
}

#[test]
fn restores_into_one_directory_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    let (one, two, other) = (sandbox.job("one"), sandbox.job("two"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    trees::small(&two.join("tree"), 2);
    sandbox.save(&one, "1").succeeded();
    sandbox.save(&two, "2").succeeded();
    let pictures = [snapshot(&one.join("tree")), snapshot(&two.join("tree"))];
    for round in 0..8 {
        if round % 4 == 0 {
            drop(fs::remove_dir_all(other.join("tree")));
        }
        let start = |key: &str| {
            sandbox
                .command(
                    &other,
                    &["restore", "--json", "--mirror", "--key", key, "tree"],
                )
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = ["1", "2", "1", "2"].into_iter().map(start).collect();
        for child in children {
            assert!(RunResult::wait_for(child).succeeded().is_hit());
        }
        assert!(
            pictures.contains(&snapshot(&other.join("tree"))),
            "round {round}: a mixture was left"
        );
        assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    }
}

#[test]
fn a_restore_continues_beside_a_hanging_one_and_does_not_touch_its_files() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    sandbox.save(&one, "1").succeeded();
    // The temporary files of a restore that holds its lock.
    let unfinished = other.join(".local-cache-0123456789abcdef.tmp");
    fs::create_dir(&unfinished).unwrap();
    let lock = locked(&other, FlockArg::LockExclusive);
    let child = sandbox
        .command(&other, &["restore", "--json", "--key", "1", "tree"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!other.join("tree").exists(), "it did not wait");
    drop(lock);
    assert!(RunResult::wait_for(child).succeeded().is_hit());
    assert_same(&snapshot(&one.join("tree")), &snapshot(&other.join("tree")));
    assert!(
        !unfinished.exists(),
        "what a killed restore left is still there"
    );
}
