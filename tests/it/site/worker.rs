//! The worker as a plain process: its replies, its exit codes, and when it ends. No engine is
//! needed.

use local_cache::site::supervise::ORPHAN_GRACE;
use local_cache::site::worker::protocol::{Hello, STOP_LINE, encode_hello, end_marker};
use local_cache::site::worker::{EXIT_ABANDONED, EXIT_NO_REQUEST, EXIT_REPLY_LOST, EXIT_SERVED};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

const MARK: &str = "mark-of-this-test ";

/// The probe that cargo built with this test.
fn probe() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("is known");
        let profile = test.ancestors().nth(2).expect("stands in deps");
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(["build", "--quiet", "--locked", "--example", "site-probe"]);
        build.env(
            "CARGO_TARGET_DIR",
            profile.parent().expect("stands in the target directory"),
        );
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().expect("cargo runs").success(),
            "the probe does not build"
        );
        profile.join("examples/site-probe")
    })
}

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
}

impl Worker {
    fn start(input: &[u8]) -> Self {
        let mut command = Command::new(probe());
        command
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut stdin = child.stdin.take().expect("is piped");
        stdin.write_all(input).expect("is read");
        Self {
            child,
            input: Some(stdin),
        }
    }

    fn close(mut self) -> Output {
        self.input = None;
        self.finish()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("fits"));
        kill(pid, signal).expect("is still there");
    }

    /// Waits for the end with standard input still open.
    fn finish(self) -> Output {
        let output = self.child.wait_with_output().expect("ends");
        drop(self.input);
        output
    }
}

fn hello(request: Value, timeout: Option<Duration>) -> Vec<u8> {
    let grace = Duration::from_millis(300);
    encode_hello(&Hello {
        marker: MARK.to_owned(),
        host: None,
        outlives_parent: false,
        timeout,
        grace,
        request,
    })
    .expect("is JSON")
}

fn reply(output: &Output) -> Option<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| serde_json::from_str(line.strip_prefix(MARK)?).ok())
}

fn code(output: &Output) -> Option<u8> {
    output
        .status
        .code()
        .and_then(|code| u8::try_from(code).ok())
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the work does not begin"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_is_served_while_the_input_is_open() {
    let output = Worker::start(&hello(json!([{"Say": [1, 0]}, {"Print": "stray"}]), None)).finish();
    assert_eq!(code(&output), Some(EXIT_SERVED));
    let expected = json!({"Done": {"reply": [null, {"ok": null}], "timed_out": false, "identity": null, "notices": []}});
    assert_eq!(reply(&output), Some(expected));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["line 0", "stray", end_marker(MARK).as_str()]);
}

#[test]
fn without_a_whole_request_nothing_is_done() {
    for input in [
        &b""[..],
        b"{\"marker\"",
        &hello(json!(["Nothing"]), None)[..20],
    ] {
        let output = Worker::start(input).close();
        assert_eq!(
            (code(&output), reply(&output)),
            (Some(EXIT_NO_REQUEST), None)
        );
    }
}

#[test]
fn a_request_that_can_t_be_read_is_answered_with_the_reason() {
    let output = Worker::start(&hello(json!(["Unheard of"]), None)).close();
    assert_eq!(code(&output), Some(EXIT_SERVED));
    let said = reply(&output).unwrap();
    assert!(
        said["Failed"].as_str().unwrap().contains("Unheard of"),
        "{said}"
    );
}

#[test]
fn the_end_of_the_input_cancels_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("working");
    let stopped = Worker::start(&hello(json!([{ "UntilCancelled": file }]), None));
    wait_for(&file);
    let output = stopped.close();
    assert_eq!(code(&output), Some(EXIT_SERVED));
    assert!(!file.exists());

    let stubborn = Worker::start(&hello(json!([{ "Stubborn": file }]), None));
    wait_for(&file);
    let start = Instant::now();
    let output = stubborn.close();
    assert_eq!(
        (code(&output), reply(&output)),
        (Some(EXIT_ABANDONED), None)
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn signals_cancel_the_job_and_kill_it_after_the_grace_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("working");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let stopped = Worker::start(&hello(json!([{ "UntilCancelled": file }]), None));
        wait_for(&file);
        stopped.signal(signal);
        let output = stopped.finish();
        assert_eq!(code(&output), Some(EXIT_SERVED), "{signal}");
        assert!(reply(&output).is_some(), "{signal}");

        let stubborn = Worker::start(&hello(json!([{ "Stubborn": file }]), None));
        wait_for(&file);
        stubborn.signal(signal);
        let expected = 128 + u8::try_from(signal as i32).unwrap();
        assert_eq!(code(&stubborn.finish()), Some(expected), "{signal}");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_stop_line_gives_the_whole_grace_time_and_the_end_of_input_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("working");
    let request = json!([{ "Stubborn": file }]);
    let grace = Duration::from_secs(2);
    let hello = encode_hello(&Hello {
        marker: MARK.to_owned(),
        host: None,
        outlives_parent: false,
        timeout: None,
        grace,
        request,
    })
    .unwrap();
    for (input, min, max) in [(STOP_LINE, 2_000, 20_000), (b"", 250, 1_900)] {
        let mut worker = Worker::start(&hello);
        wait_for(&file);
        let start = Instant::now();
        worker.input.as_mut().unwrap().write_all(input).unwrap();
        worker.close();
        let elapsed = start.elapsed().as_millis();
        assert!((min..max).contains(&elapsed), "{input:?}: {elapsed} ms");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn the_time_limit_holds_in_the_worker_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("working");
    let limit = Some(Duration::from_millis(100));
    let output = Worker::start(&hello(json!([{ "UntilCancelled": file }]), limit)).finish();
    assert_eq!(reply(&output).unwrap()["Done"]["timed_out"], json!(true));
    let output = Worker::start(&hello(json!([{ "Stubborn": file }]), limit)).finish();
    assert_eq!(code(&output), Some(EXIT_ABANDONED));
}

#[test]
fn a_worker_that_outlives_its_parent_replies_first_and_ends_by_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("working");
    let hello = encode_hello(&Hello {
        marker: MARK.to_owned(),
        host: None,
        outlives_parent: true,
        timeout: None,
        grace: Duration::from_millis(300),
        request: json!([{ "Stubborn": file }]),
    })
    .unwrap();
    let mut worker = Worker::start(&hello);
    wait_for(&file);
    // Its input ends, and nobody reads its output any more.
    worker.input = None;
    let mut output = BufReader::new(worker.child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(MARK) {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "no reply");
    }
    assert_eq!(line.trim_end(), format!("{MARK}\"Started\""));
    drop(output);
    drop(worker.child.stderr.take());
    // Longer than a worker lives whose parent is gone.
    thread::sleep(2 * ORPHAN_GRACE);
    assert!(worker.child.try_wait().unwrap().is_none());
    worker.signal(Signal::SIGKILL);
    worker.child.wait().unwrap();
}

#[test]
fn an_unread_reply_does_not_count_as_served() {
    let mut worker = Worker::start(&hello(json!([{"Say": [1, 200]}]), None));
    drop(worker.child.stdout.take());
    assert_eq!(code(&worker.finish()), Some(EXIT_REPLY_LOST));
}
