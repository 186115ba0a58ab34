//! A real S3 server: the one that `bash .ci/radosgw up DIR` started, where `LOCAL_CACHE_TESTS_S3` is
//! that directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::repository::root;
use super::tools::skip;
use super::{RunResult, Sandbox};

/// Tests that stop the server must not run beside others that need it.
static SERVER: Mutex<()> = Mutex::new(());
static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) const KEY: &str = "AKTEST";
pub(crate) const SECRET: &str = "SKTEST";

/// The server, for one test.
pub(crate) struct S3Server {
    dir: PathBuf,
    /// Where this test keeps its objects.
    prefix: String,
    _turn: MutexGuard<'static, ()>,
}

impl S3Server {
    /// Waits for its turn. None if there is no server, which is reported.
    #[track_caller]
    pub(crate) fn take(what: &str) -> Option<Self> {
        let Some(dir) = std::env::var_os("LOCAL_CACHE_TESTS_S3") else {
            skip("radosgw", what);
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let server = Self {
            dir: dir.into(),
            prefix: format!("test-{}-{number}", std::process::id()),
            _turn: SERVER.lock().unwrap_or_else(PoisonError::into_inner),
        };
        Some(server)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The gateway for roles and their credentials.
    pub(crate) fn endpoint_for_roles(&self) -> String {
        format!("http://127.0.0.1:{}", self.port() + 1)
    }

    fn port(&self) -> u16 {
        let port = std::fs::read_to_string(self.dir.join("port")).unwrap();
        port.trim().parse().unwrap()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The remote of this test.
    pub(crate) fn remote(&self) -> String {
        self.remote_in("cache")
    }

    /// The same in another bucket.
    pub(crate) fn remote_in(&self, bucket: &str) -> String {
        format!("s3://{bucket}/{}?endpoint={}", self.prefix, self.endpoint())
    }

    /// Runs the program in `job` with the remote of this test and its credentials.
    pub(crate) fn run(&self, machine: &Sandbox, job: &Path, arguments: &[&str]) -> RunResult {
        RunResult::of(&mut self.command(machine, job, arguments))
    }

    pub(crate) fn command(&self, machine: &Sandbox, job: &Path, arguments: &[&str]) -> Command {
        let mut command = machine.command(job, arguments);
        command
            .env("LOCAL_CACHE_REMOTE", self.remote())
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    /// Changes users or roles by `radosgw-admin`.
    pub(crate) fn admin(&self, arguments: &[&str]) {
        let done = Command::new("radosgw-admin")
            .args(arguments)
            .env("CEPH_CONF", self.dir.join("ceph.conf"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }

    /// Sends a signal to one of the server's processes: `rgw` or `osd`.
    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        let pids = std::fs::read_to_string(self.dir.join("pids")).unwrap();
        let of_name = |line: &str| {
            let (found, pid) = line.split_once(' ')?;
            (found == name).then(|| pid.parse::<i32>().unwrap())
        };
        let pid = pids.lines().filter_map(of_name).next_back().unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Starts what was killed.
    pub(crate) fn start(&self) {
        let script = root().join(".ci/radosgw");
        let started = Command::new("bash")
            .arg(script)
            .arg("up")
            .arg(&self.dir)
            .output()
            .unwrap();
        assert!(started.status.success(), "{started:?}");
    }
}
