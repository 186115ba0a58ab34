//! Another cargo uses the same `CARGO_HOME`.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use local_cache::fs::Local;
use local_cache::fs::{FileLock, LockMode};
use local_cache::job::{
    CargoTarget, Job, JobReply, JobTarget, RestoreTask, SaveTask, Task, run_job,
};
use local_cache::monitor::Silent;
use local_cache::ops::restore::RestoreOptions;
use local_cache::tree::plan::Extraneous;

use super::support::{
    TARGET_OUTPUT, build, cargo_home, clear_machine, first_job, machine, project,
};
use crate::support::machine::Machine;
use local_cache::store::CacheScope;

const SHORT: Duration = Duration::from_millis(300);

/// Runs a task for the project in a workspace, as the action's worker does.
fn run_task(machine: &Machine, workspace: &Path, timeout: Duration, task: Task) -> JobReply {
    let cargo = CargoTarget {
        job: "build".to_owned(),
        lock_timeout: timeout,
        ..CargoTarget::default()
    };
    let job = Job {
        cache_root: machine.store(),
        workspace: workspace.to_owned(),
        target: JobTarget::Cargo(Box::new(cargo)),
        task,
        housekeeping: local_cache::job::Housekeeping::default(),
    };
    run_job(&job, &Local::new(Some(machine.home())), &Silent)
}

fn restore() -> Task {
    let scope = CacheScope::branch("acme/widget", "main");
    Task::Restore(RestoreTask {
        read: vec![scope],
        options: RestoreOptions {
            extraneous: Extraneous::Remove,
            ..RestoreOptions::default()
        },
        ..RestoreTask::default()
    })
}

/// Locks the package cache as another cargo does.
fn hold(machine: &Machine, name: &str, mode: LockMode) -> FileLock {
    fs::create_dir_all(cargo_home(machine)).unwrap();
    let file = File::create(cargo_home(machine).join(name)).unwrap();
    FileLock::try_acquire(file, mode).unwrap().unwrap()
}

#[test]
fn during_a_download_the_registry_is_skipped_and_the_target_is_restored() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let held = hold(&machine, ".package-cache", LockMode::Exclusive);
    let start = Instant::now();
    let reply = run_task(&machine, &job.workspace, SHORT, restore());
    assert!(
        (SHORT..10 * SHORT).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    let errors: Vec<_> = reply
        .caches
        .iter()
        .map(|cache| (cache.name.as_str(), cache.error.clone()))
        .collect();
    let text = format!(
        "registry is not restored: another program has been using cargo's package cache in {} for more than 300ms",
        cargo_home(&machine).display()
    );
    assert_eq!(errors[0], ("registry", Some(text)));
    assert!(errors[1].1.is_some());
    assert_eq!(errors[2], ("target", None));
    assert!(reply.caches[2].found.is_some() && job.locate(TARGET_OUTPUT).exists());
    assert!(!cargo_home(&machine).join("registry").exists());
    drop(held);
    let reply = run_task(&machine, &job.workspace, SHORT, restore());
    assert!(
        reply.caches.iter().all(|cache| cache.found.is_some()),
        "{reply:?}"
    );
}

#[test]
fn a_download_that_ends_in_time_is_waited_for() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let held = hold(&machine, ".package-cache", LockMode::Exclusive);
    let letting_go = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        drop(held);
    });
    let reply = run_task(&machine, &job.workspace, Duration::from_secs(60), restore());
    assert!(letting_go.is_finished());
    assert!(
        reply.caches.iter().all(|cache| cache.found.is_some()),
        "{reply:?}"
    );
    letting_go.join().unwrap();
}

#[test]
fn a_build_of_another_job_is_not_waited_for() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let _held = hold(&machine, ".package-cache-mutate", LockMode::Shared);
    let reply = run_task(&machine, &job.workspace, Duration::ZERO, restore());
    assert!(
        reply.caches.iter().all(|cache| cache.found.is_some()),
        "{reply:?}"
    );
}

#[test]
fn an_unfinished_download_is_not_saved() {
    let machine = machine();
    let job = project(&machine);
    build(&job);
    let held = hold(&machine, ".package-cache", LockMode::Exclusive);
    let scope = CacheScope::branch("acme/widget", "main");
    let save = || {
        Task::Save(SaveTask {
            write: scope.clone(),
            ..SaveTask::default()
        })
    };
    let reply = run_task(&machine, &job.workspace, SHORT, save());
    assert_eq!(machine.entries(), 1, "{reply:?}");
    drop(held);
    let reply = run_task(&machine, &job.workspace, SHORT, save());
    assert_eq!(machine.entries(), 3, "{reply:?}");
    clear_machine(&machine);
}
