//! An action's container that is killed between any two requests to the engine leaves nothing that
//! the next phase does not remove.

use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::runner::Runner;
use super::support::{self, docker_or_error, unique};

const ENGINE: &str = "/var/run/docker.sock";

/// Before the engine gets a request, or after the engine answered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// Stands between a stage and the engine. Kills the stage at one of its requests, and lets the
/// engine carry out the request all the same.
struct Proxy {
    directory: tempfile::TempDir,
    /// The stage to kill; none once it was killed.
    victim: Arc<Mutex<Option<String>>>,
}

impl Proxy {
    fn new(request: &'static str, moment: Moment) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let victim = Arc::new(Mutex::new(None));
        let name = Arc::clone(&victim);
        // Ends with the process.
        thread::spawn(move || {
            for stage in listener.incoming().map_while(Result::ok) {
                let name = Arc::clone(&name);
                thread::spawn(move || forward(stage, request, moment, &name));
            }
        });
        Self { directory, victim }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }
}

fn forward(stage: UnixStream, request: &str, moment: Moment, victim: &Mutex<Option<String>>) {
    let engine = UnixStream::connect(ENGINE).unwrap();
    let (mut from_stage, mut to_engine) = (stage.try_clone().unwrap(), engine.try_clone().unwrap());
    let mut head = vec![0; 64 << 10];
    let length = from_stage.read(&mut head).unwrap_or(0);
    let line = String::from_utf8_lossy(&head[..length]).into_owned();
    // Each request has a connection of its own.
    let is_meant = line
        .lines()
        .next()
        .is_some_and(|line| line.contains(request));
    let kill = |now: Moment| {
        if is_meant
            && now == moment
            && let Some(name) = victim.lock().unwrap().take()
        {
            // The program can send its first request before the engine knows that it runs.
            let start = Instant::now();
            while let Err(error) = docker_or_error(&["kill", &name]) {
                assert!(start.elapsed() < Duration::from_secs(60), "{error}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    };
    kill(Moment::Before);
    drop(to_engine.write_all(&head[..length]));
    thread::spawn(move || {
        drop(std::io::copy(&mut from_stage, &mut to_engine));
        drop(to_engine.shutdown(Shutdown::Write));
    });
    let (mut from_engine, mut to_stage) = (engine, stage);
    let length = from_engine.read(&mut head).unwrap_or(0);
    kill(Moment::After);
    drop(to_stage.write_all(&head[..length]));
    drop(std::io::copy(&mut from_engine, &mut to_stage));
    drop(to_stage.shutdown(Shutdown::Both));
}

#[test]
fn a_parent_that_is_killed_at_any_request_leaves_no_helper() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let work = json!(["Nothing"]);
    let mut orphans = 0;
    for request in [
        "/json HTTP",
        "/containers/create",
        "/attach",
        "/wait",
        "/start",
    ] {
        for moment in [Moment::Before, Moment::After] {
            let proxy = Proxy::new(request, moment);
            let name = unique("victim");
            *proxy.victim.lock().unwrap() = Some(name.clone());
            let stage = runner
                .stage(&work)
                .without("socket")
                .option(format!("--volume={}:{ENGINE}", proxy.socket().display()));
            let answer = stage.start_as(&name).finish();
            assert!(!answer.status.success(), "{request}, {moment:?}");
            assert!(
                proxy.victim.lock().unwrap().is_none(),
                "{request}, {moment:?}"
            );
            // What the engine still does for a parent that is gone.
            thread::sleep(Duration::from_millis(500));
            orphans += runner.containers().len();

            let next = runner.stage(&work).run();
            assert_eq!(next.reply(), &json!([null]), "{request}, {moment:?}");
            runner.wait_until_clear(Duration::from_secs(5));
        }
    }
    // Otherwise nothing was tested.
    assert!(orphans > 0);
}
