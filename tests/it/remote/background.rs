//! `push=background`: a process that copies entries after the command or the job.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::write_tree;
use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::s3::{KEY, SECRET};
use crate::support::tools::skip;
use crate::support::trees::walk;
use crate::support::{RunResult, Sandbox};

/// A limit on hanging, nothing that a test depends on.
const GENEROUS: Duration = Duration::from_secs(60);

/// The processes that copy entries of the stores below a directory.
pub(crate) fn pushers(root: &Path) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    let is_ours = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let files = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut links = files
            .flatten()
            .filter_map(|it| fs::read_link(it.path()).ok());
        command == b"local-cache\0push-in-background\0" && links.any(|it| it.starts_with(root))
    };
    pids.filter(is_ours).collect()
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < GENEROUS, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn holding() -> MemoryS3 {
    MemoryS3::start(Faults {
        held: Some("/segments/"),
        ..Faults::default()
    })
}

/// Saves `tree`. None in a container, where nothing is copied later.
fn save(server: &MemoryS3, machine: &Sandbox, job: &Path) -> Option<Value> {
    let remote = server.remote("&push=background");
    let arguments = ["save", "--json", "--remote", &remote, "--key", "k", "tree"];
    let mut command = server.command(machine, job, &arguments);
    let ran = RunResult::of(command.env("RUNNER_TRACKING_ID", "github_1234"));
    let json = ran.succeeded().json();
    if json["remote"]["not-in-background"].is_string() {
        skip("a host", "a copy in the background");
        return None;
    }
    Some(json)
}

fn last_push(server: &MemoryS3, machine: &Sandbox, job: &Path) -> Value {
    let status = server.run(machine, job, &["remote", "status", "--json"]);
    status.succeeded().json()["background-push"].clone()
}

#[test]
fn a_save_ends_before_the_copy_and_nobody_sees_the_credentials() {
    let (server, machine) = (holding(), Sandbox::new());
    let job = machine.job("job");
    write_tree(&job);
    let Some(saved) = save(&server, &machine, &job) else {
        return;
    };
    assert_eq!(
        (&saved["saved"], &saved["remote"]["background-entries"]),
        (&true.into(), &1.into())
    );
    assert_eq!(saved["remote"]["requests"], 0);
    server.wait_until_held();
    assert!(server.names("/entries/").is_empty());
    let pids = pushers(machine.cache());
    let [pid] = pids[..] else { panic!("{pids:?}") };
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    for hidden in [KEY, SECRET, "RUNNER_TRACKING_ID"] {
        assert!(!environment.contains(hidden), "{environment}");
    }
    // A session of its own, without a terminal.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!((fields[3], fields[4]), (&*pid.to_string(), "0"), "{stat}");
    assert!(last_push(&server, &machine, &job)["ended"].is_null());
    walk(machine.cache(), &mut |path| {
        let contents = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&contents);
        assert!(!text.contains(SECRET), "{}", path.display());
    });
    server.release();
    wait_until("the process ends", || pushers(machine.cache()).is_empty());
    assert_eq!(server.names("/entries/").len(), 1);
    let last = last_push(&server, &machine, &job);
    assert_eq!(
        (&last["pushed-entries"], &last["failure"]),
        (&1.into(), &Value::Null)
    );
    let stats = machine.run(&job, &["stats", "--json"]).succeeded().json();
    let total = &stats["total"];
    assert_eq!(
        (&total["sent-bytes"], &total["remote-milliseconds"]),
        (&last["sent-bytes"], &0.into())
    );
    assert!(total["remote-background-milliseconds"].as_u64().unwrap() > 0);
    let restored = server.run(
        &Sandbox::new(),
        &job,
        &["restore", "--json", "--key", "k", "tree"],
    );
    assert!(restored.succeeded().is_hit());
}

#[test]
fn the_next_save_copies_what_a_killed_process_did_not() {
    let (server, machine) = (holding(), Sandbox::new());
    let job = machine.job("job");
    write_tree(&job);
    if save(&server, &machine, &job).is_none() {
        return;
    }
    server.wait_until_held();
    for pid in pushers(machine.cache()) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    wait_until("the process is gone", || {
        pushers(machine.cache()).is_empty()
    });
    server.release();
    assert!(server.names("/entries/").is_empty());
    assert_eq!(last_push(&server, &machine, &job)["ended"], Value::Null);
    let again = save(&server, &machine, &job).unwrap();
    assert_eq!(
        (&again["saved"], &again["remote"]["background-entries"]),
        (&false.into(), &1.into())
    );
    wait_until("the entry is there", || {
        !server.names("/entries/").is_empty()
    });
    wait_until("the process ends", || pushers(machine.cache()).is_empty());
    assert_eq!(last_push(&server, &machine, &job)["pushed-entries"], 1);
}

#[test]
fn a_copy_gives_way_to_a_garbage_collection_and_goes_on_afterwards() {
    let (server, machine) = (holding(), Sandbox::new());
    let job = machine.job("job");
    write_tree(&job);
    if save(&server, &machine, &job).is_none() {
        return;
    }
    server.wait_until_held();
    // It would give up after a few seconds.
    machine.run(&job, &["prune"]).succeeded();
    assert_eq!(pushers(machine.cache()).len(), 1);
    server.release();
    wait_until("the process ends", || pushers(machine.cache()).is_empty());
    assert_eq!(server.names("/entries/").len(), 1);
    let last = last_push(&server, &machine, &job);
    assert_eq!(
        (&last["pushed-entries"], &last["failure"]),
        (&1.into(), &Value::Null)
    );
}

#[test]
fn a_copy_that_failed_is_shown_until_one_succeeds() {
    let machine = Sandbox::new();
    let job = machine.job("job");
    write_tree(&job);
    let refusing = MemoryS3::start(Faults {
        refused: vec!["PUT"],
        ..Faults::default()
    });
    if save(&refusing, &machine, &job).is_none() {
        return;
    }
    let has_failed = |server: &MemoryS3| last_push(server, &machine, &job)["failure"].is_string();
    wait_until("the copy fails", || has_failed(&refusing));
    let server = MemoryS3::start(Faults::default());
    let status = server
        .run(&machine, &job, &["remote", "status"])
        .succeeded();
    let expected = "does not permit to write";
    assert!(
        status.stdout.contains(expected) && status.stdout.contains("in the background"),
        "{}",
        status.stdout
    );
    let problem = |server: &MemoryS3| {
        let json = server.run(&machine, &job, &["doctor", "--json"]).json();
        let all = json["checks"].as_array().unwrap();
        let of_remote = all
            .iter()
            .filter(|it| it["check"] == "remote" && it["status"] != "ok");
        let found: Vec<String> = of_remote.map(|it| it["found"].to_string()).collect();
        assert!(found.len() < 2, "{found:?}");
        found.concat()
    };
    assert!(problem(&server).contains("the last copy in the background"));
    // What refuses now is one cause.
    let now = problem(&refusing);
    assert!(
        now.contains(expected) && !now.contains("in the background"),
        "{now}"
    );
    save(&server, &machine, &job).unwrap();
    wait_until("the copy succeeds", || !has_failed(&server));
    wait_until("the process ends", || pushers(machine.cache()).is_empty());
    assert_eq!(problem(&server), "");
}

#[test]
fn in_a_container_the_save_waits_and_says_so() {
    let (server, machine) = (MemoryS3::start(Faults::default()), Sandbox::new());
    let job = machine.job("job");
    write_tree(&job);
    let remote = server.remote("&push=background");
    let run = |key: &str, arguments: &[&str]| {
        let arguments = [
            &["save", "--remote", &remote, "--key", key, "tree"],
            arguments,
        ]
        .concat();
        let mut command = server.command(&machine, &job, &arguments);
        // As in the containers of a cluster.
        RunResult::of(command.env("KUBERNETES_SERVICE_HOST", "10.0.0.1")).succeeded()
    };
    let saved = run("k", &["--json"]).json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let text = run("k2", &[]).stdout;
    let note =
        "push=background is like push=wait here: this container can end before the copy does";
    assert_eq!(text.matches(note).count(), 1, "{text}");
    assert_eq!(server.names("/entries/").len(), 2);
}
