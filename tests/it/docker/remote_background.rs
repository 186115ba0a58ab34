//! `push=background` of the action in a container: another container copies entries after the job.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::Value;

use super::action::Step;
use super::remote::forward;
use super::runner::Runner;
use super::support::{self, docker, docker_or_error};
use crate::remote::background::wait_until;
use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::s3::{KEY, SECRET};

fn holding() -> MemoryS3 {
    MemoryS3::start(Faults {
        held: Some("/segments/"),
        ..Faults::default()
    })
}

fn step<'a>(runner: &'a Runner, endpoint: &str) -> Step<'a> {
    let remote = format!("s3://cache/ci?endpoint={endpoint}&push=background");
    let with = [
        ("remote", remote.as_str()),
        ("path", "target"),
        ("key", "linux-1"),
        ("log-level", "trace"),
    ];
    Step::new(runner, &with).changed(|stage| {
        stage
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    })
}

/// The ids of the containers that copy entries of this runner's jobs.
fn copies(runner: &Runner) -> Vec<String> {
    let filter = "name=local-cache-copy-";
    let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", filter]);
    let user = format!("{}:", runner.user.uid);
    let is_ours = |id: &&str| {
        let shown = docker_or_error(&["inspect", "--format", "{{.Config.User}}", id]);
        shown.is_ok_and(|shown| shown.starts_with(&user))
    };
    ids.lines().filter(is_ours).map(str::to_owned).collect()
}

fn last_copy(runner: &Runner) -> Value {
    let path = runner
        .cache_root
        .join("local-cache-v1/background-push.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_container_of_its_own_copies_after_the_job_and_nobody_sees_the_credentials() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let server = holding();
    let runner = Runner::strict();
    let mut step = step(&runner, &forward(&server.endpoint()));
    step.begin();
    runner.user.tree(&runner.workspace.join("target"), 40, 60);
    // Ends although the server holds the copy.
    let log = step.end("success");
    assert!(log.contains("1 entry copied in the background"), "{log}");
    assert!(!log.contains("push=background is like"), "{log}");
    server.wait_until_held();
    let ids = copies(&runner);
    let [id] = &ids[..] else {
        panic!("{ids:?}: {log}")
    };
    // The runner removes what has its label at the end of the job.
    assert_eq!(runner.containers(), Vec::<String>::new());
    let text = docker(&["inspect", id]) + &docker(&["logs", id]) + &log;
    assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    let shown: Value = serde_json::from_str(&docker(&["inspect", id])).unwrap();
    let (host, config) = (&shown[0]["HostConfig"], &shown[0]["Config"]);
    assert_eq!(host["NetworkMode"], "bridge");
    assert_eq!(
        (&host["AutoRemove"], &host["ReadonlyRootfs"]),
        (&true.into(), &true.into())
    );
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    let labels: Vec<&String> = config["Labels"].as_object().unwrap().keys().collect();
    assert!(
        !labels.iter().any(|name| **name == runner.label),
        "{labels:?}"
    );
    assert!(
        labels.iter().any(|name| name.starts_with("local-cache.")),
        "{labels:?}"
    );
    assert!(last_copy(&runner)["ended"].is_null());
    assert!(server.names("/entries/").is_empty());
    server.release();
    wait_until("the container is gone", || copies(&runner).is_empty());
    assert_eq!(server.names("/entries/").len(), 1);
    let last = last_copy(&runner);
    assert_eq!(
        (&last["pushed-entries"], &last["failure"]),
        (&1.into(), &Value::Null)
    );
}

#[test]
fn a_copy_in_a_container_gives_way_to_a_garbage_collection() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let server = holding();
    let runner = Runner::strict();
    let mut first = step(&runner, &forward(&server.endpoint()));
    first.begin();
    runner.user.tree(&runner.workspace.join("target"), 10, 20);
    first.end("success");
    server.wait_until_held();
    let store = local_cache::Store::open(&runner.cache_root)
        .unwrap()
        .unwrap();
    let policy = local_cache::RetentionPolicy::default();
    let pruned =
        local_cache::ops::prune::prune(&store, &policy, false, &local_cache::monitor::Silent);
    assert!(pruned.is_ok(), "{:?}", pruned.err());
    assert_eq!(copies(&runner).len(), 1);
    server.release();
    wait_until("the container is gone", || copies(&runner).is_empty());
    assert_eq!(server.names("/entries/").len(), 1);
}

/// An engine that creates no container that copies. Ends with the test.
fn without_copies(directory: &Path) -> std::path::PathBuf {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let socket = directory.join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass_on(client));
        }
    });
    socket
}

fn pass_on(mut client: UnixStream) {
    let mut head = vec![0; 64 << 10];
    let length = client.read(&mut head).unwrap_or(0);
    let text = String::from_utf8_lossy(&head[..length]);
    let line = text.lines().next().unwrap_or_default();
    if line.contains("/create") && line.contains("local-cache-copy-") {
        let body = "{\"message\":\"no more containers\"}";
        let answer = format!(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        drop(client.write_all(answer.as_bytes()));
        return;
    }
    let mut engine = UnixStream::connect("/var/run/docker.sock").unwrap();
    drop(engine.write_all(&head[..length]));
    let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    std::thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
    drop(io::copy(&mut engine, &mut client));
    drop(client.shutdown(Shutdown::Both));
}

#[test]
fn without_such_a_container_the_job_waits_for_the_copy_and_says_so() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let server = MemoryS3::start(Faults::default());
    let runner = Runner::strict();
    let directory = tempfile::tempdir().unwrap();
    let socket = without_copies(directory.path());
    let mut step = step(&runner, &forward(&server.endpoint()));
    step.begin();
    runner.user.tree(&runner.workspace.join("target"), 10, 20);
    let mut step = step.changed(move |stage| {
        stage
            .engine(&socket)
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    });
    let log = step.end("success");
    let note = "push=background is like push=wait here: ";
    assert_eq!(log.matches(note).count(), 1, "{log}");
    assert!(log.contains("no more containers"), "{log}");
    assert!(
        log.contains("1 entry pushed") && !log.contains("in the background, "),
        "{log}"
    );
    assert_eq!(server.names("/entries/").len(), 1);
    assert_eq!(copies(&runner), Vec::<String>::new());
}
