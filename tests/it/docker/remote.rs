//! The action in a container with a remote: the helper on the host gets the network of the action's
//! container, and the credentials only on its standard input.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::action::{Step, lines};
use super::runner::Runner;
use super::support::{self, docker, docker_or_error};
use crate::support::s3::{KEY, S3Server, SECRET};

/// Passes connections to the gateway of Docker's network on to a server that only listens on the
/// loopback interface. Ends with the test.
pub(super) fn forward(endpoint: &str) -> String {
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    let gateway = docker(&["network", "inspect", "bridge", "--format", format]);
    let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = endpoint.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || {
                    drop(io::copy(&mut from, &mut to));
                    drop(to.shutdown(std::net::Shutdown::Write));
                });
            }
        }
    });
    format!("http://{address}")
}

/// A step with a remote and its credentials.
fn step<'a>(
    runner: &'a Runner,
    endpoint: &str,
    server: &S3Server,
    with: &[(&str, &str)],
) -> Step<'a> {
    let remote = format!("s3://cache/{}?endpoint={endpoint}", server.prefix());
    let common = [("remote", remote.as_str()), ("log-level", "trace")];
    Step::new(runner, &[&common, with].concat()).changed(|stage| {
        stage
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    })
}

/// Runs `job` and collects what the engine shows of helpers meanwhile.
fn watch_helpers<T>(job: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut shown = BTreeSet::new();
            while !is_done.load(Ordering::Relaxed) {
                let filter = "name=local-cache-helper-";
                let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", filter]);
                for id in ids.lines() {
                    // It may be gone.
                    shown.extend(docker_or_error(&["inspect", id]));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            shown
        });
        let result = job();
        is_done.store(true, Ordering::Relaxed);
        (result, watcher.join().unwrap())
    })
}

#[test]
fn a_helper_reaches_the_remote_and_nobody_sees_the_credentials() {
    if !support::can_run("docker") {
        return;
    }
    let Some(server) = S3Server::take("a helper with a remote") else {
        return;
    };
    let _lock = support::lock_shared();
    let endpoint = forward(&server.endpoint());
    let with = [("path", "target"), ("key", "linux-1")];
    let first = Runner::strict();
    let ((before, after), shown) = watch_helpers(|| {
        let mut step = step(&first, &endpoint, &server, &with);
        let before = step.begin();
        first.user.tree(&first.workspace.join("target"), 40, 60);
        (before, step.end("success"))
    });
    assert!(after.contains("1 entry pushed"), "{after}");
    let second = Runner::strict();
    let mut found = step(&second, &endpoint, &server, &with);
    let restored = found.begin();
    assert!(restored.contains("1 entry pulled"), "{restored}");
    assert_eq!(found.output("cache-hit"), Some("true"));
    let logs = [before, after, restored].concat();
    assert!(!logs.contains(SECRET) && !logs.contains(KEY), "{logs}");
    let shared: Vec<Value> = shown
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .filter(|it: &Value| it[0]["HostConfig"]["NetworkMode"] != "none")
        .collect();
    assert!(!shared.is_empty(), "{shown:?}");
    for helper in &shared {
        let network = helper[0]["HostConfig"]["NetworkMode"].as_str().unwrap();
        assert!(network.starts_with("container:"), "{network}");
        let text = helper.to_string();
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    }
}

#[test]
fn the_remote_of_the_host_gives_a_helper_a_network_and_others_have_none() {
    if !support::can_run("docker") {
        return;
    }
    let Some(server) = S3Server::take("a helper with the remote of its host") else {
        return;
    };
    // The helpers of other tests may have a network.
    let _lock = support::lock_exclusive();
    let endpoint = forward(&server.endpoint());
    let runner = Runner::strict();
    let path = lines([runner.workspace.join("target").as_os_str()]);
    let with = [("remote", ""), ("path", path.as_str()), ("key", "k")];
    let run = |with: &[(&str, &str)]| {
        watch_helpers(|| {
            let mut step = step(&runner, &endpoint, &server, with);
            let before = step.begin();
            runner.user.tree(&runner.workspace.join("target"), 10, 20);
            before + &step.end("success")
        })
    };
    let (log, shown) = run(&with);
    assert!(!log.contains("entry pushed"), "{log}");
    let has_network = |text: &String| text.contains("\"NetworkMode\": \"container:");
    assert!(!shown.is_empty() && !shown.iter().any(has_network));
    let config = runner.user.home.join(".config/local-cache/config.toml");
    let remote = format!("s3://cache/{}?endpoint={endpoint}", server.prefix());
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    runner.user.file(&config, &format!("remote = \"{remote}\""));
    let (log, shown) = run(&[with[0], with[1], ("key", "k2")]);
    assert!(log.contains("1 entry pushed"), "{log}");
    assert!(shown.iter().any(has_network));
    drop(fs::remove_dir_all(runner.user.home.join(".config")));
}
