//! Running cargo.
//!
//! Cargo leads a process group of its own. A signal from the terminal reaches only this process,
//! which then kills the whole group: cargo, the compilers and the build scripts. When
//! [`CargoCommandLine::run`] returns because of an interrupt, no process of the group is left that
//! could write into the temporary directory while it is removed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::Error;
use crate::monitor::Monitor;

/// How many lines of cargo's output are shown when it fails.
const LAST_LINES: usize = 20;
/// How often to check for an interrupt while cargo prints nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for killed processes to disappear.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cargo exited with an error.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` failed ({status}); {advice}")]
pub struct CargoFailed {
    command: String,
    status: ExitStatus,
    advice: &'static str,
    /// The last lines that cargo printed, without their line ends.
    pub last_lines: Vec<String>,
}

/// Where and with which environment cargo runs.
#[derive(Debug)]
pub(super) struct CargoCommandLine {
    /// The whole environment; nothing is inherited.
    pub(super) variables: BTreeMap<OsString, OsString>,
    pub(super) directory: PathBuf,
}

/// A successful run of cargo.
#[derive(Debug)]
pub(super) struct CargoOutput {
    pub(super) elapsed: Duration,
    /// The lines of both streams, in the order of arrival.
    pub(super) lines: Vec<String>,
}

impl CargoCommandLine {
    /// Runs cargo until it exits. `advice` says what to do if it fails with [`CargoFailed`].
    pub(super) fn run(
        &self,
        arguments: &[&str],
        advice: &'static str,
        monitor: &dyn Monitor,
    ) -> Result<CargoOutput> {
        let start = Instant::now();
        let (status, mut lines) = self.spawn(arguments)?.wait(monitor)?;
        let elapsed = start.elapsed();
        if status.success() {
            return Ok(CargoOutput { elapsed, lines });
        }
        let last_lines = lines.split_off(lines.len().saturating_sub(LAST_LINES));
        let command = format!("cargo {}", arguments.join(" "));
        Err(CargoFailed {
            command,
            status,
            advice,
            last_lines,
        }
        .into())
    }

    fn spawn(&self, arguments: &[&str]) -> Result<ProcessGroup> {
        let child = Command::new("cargo")
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => anyhow!(
                    "cargo is not in PATH; install Rust, or add the directory of cargo to PATH"
                ),
                _ => cannot_run(&error),
            })?;
        Ok(ProcessGroup {
            child,
            has_exited: false,
        })
    }
}

fn cannot_run(error: &io::Error) -> anyhow::Error {
    anyhow!("cannot run cargo: {error}; try `cargo --version`")
}

/// Cargo and every process that it started. Dropping it before cargo has exited kills all of them.
struct ProcessGroup {
    child: Child,
    has_exited: bool,
}

impl ProcessGroup {
    /// Waits until cargo exits, and returns the lines that the group printed.
    fn wait(mut self, monitor: &dyn Monitor) -> Result<(ExitStatus, Vec<String>)> {
        let receiver = self.read_output();
        let mut lines = Vec::new();
        loop {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            match receiver.recv_timeout(POLL_INTERVAL) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().map_err(|error| cannot_run(&error))?;
        self.has_exited = true;
        Ok((status, lines))
    }

    /// Starts a thread per stream, so that neither pipe fills up and blocks cargo.
    ///
    /// Nobody joins the threads: a stream ends when the last process closes it, and that may be a
    /// daemon that outlives cargo.
    fn read_output(&mut self) -> Receiver<String> {
        let (sender, receiver) = mpsc::channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            self.child.stdout.take().map(|stream| Box::new(stream) as _),
            self.child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || send_lines(stream, &sender));
        }
        receiver
    }
}

fn send_lines(stream: impl Read, sender: &Sender<String>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if sender.send(line).is_err() {
            break;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let (false, Ok(id)) = (self.has_exited, i32::try_from(self.child.id())) else {
            return;
        };
        let group = Pid::from_raw(id);
        // Cargo was not waited for yet, so its process ID can't belong to another process. An error
        // means that the whole group is gone.
        let _ = killpg(group, Signal::SIGKILL);
        drop(self.child.wait());
        // Init is now the parent of the other processes. An init that does not wait for them, as in
        // many containers, leaves zombies, which still count as members of the group: hence the
        // timeout.
        let start = Instant::now();
        while killpg(group, None).is_ok() && start.elapsed() < KILL_TIMEOUT {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::monitor::Silent;

    /// Makes a program `cargo` from a shell script.
    fn cargo(directory: &Path, script: &str) -> CargoCommandLine {
        let program = directory.join("cargo");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.display());
        let variables = [
            ("PATH".into(), path.into()),
            ("HOME".into(), directory.into()),
        ]
        .into();
        CargoCommandLine {
            variables,
            directory: directory.to_owned(),
        }
    }

    #[test]
    fn a_run_returns_the_lines_of_both_streams_and_inherits_no_variables() {
        let directory = tempfile::tempdir().unwrap();
        let cargo = cargo(
            directory.path(),
            "echo $1; echo error >&2; env | grep -c CARGO_MANIFEST_DIR; true",
        );
        let mut lines = cargo.run(&["argument"], "", &Silent).unwrap().lines;
        lines.sort_unstable();
        assert_eq!(lines, ["0", "argument", "error"]);
    }

    #[test]
    fn a_failure_has_the_last_lines_and_advice() {
        let directory = tempfile::tempdir().unwrap();
        let cargo = cargo(
            directory.path(),
            "for n in $(seq 30); do echo line $n; done; exit 7",
        );
        let error = cargo.run(&["build"], "fix it", &Silent).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`cargo build` failed (exit status: 7); fix it"
        );
        let last_lines = &error.downcast_ref::<CargoFailed>().unwrap().last_lines;
        assert_eq!(last_lines.len(), LAST_LINES);
        assert_eq!(last_lines[LAST_LINES - 1], "line 30");
    }

    #[test]
    fn a_missing_cargo_has_its_own_message() {
        let variables = [("PATH".into(), "/nonexistent".into())].into();
        let cargo = CargoCommandLine {
            variables,
            directory: "/".into(),
        };
        let error = cargo.run(&["build"], "", &Silent).unwrap_err();
        assert!(
            error.to_string().starts_with("cargo is not in PATH"),
            "{error}"
        );
    }

    struct InterruptFlag(AtomicBool);

    impl Monitor for InterruptFlag {
        fn is_interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn an_interrupt_kills_all_processes() {
        let directory = tempfile::tempdir().unwrap();
        let alive = directory.path().join("alive");
        let script = "(while sleep 0.02; do echo x >> alive; done) & wait";
        let cargo = cargo(directory.path(), script);
        let flag = InterruptFlag(AtomicBool::new(false));
        let error = thread::scope(|scope| {
            let run = scope.spawn(|| cargo.run(&[], "", &flag).unwrap_err());
            while !alive.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            flag.0.store(true, Ordering::Relaxed);
            run.join().unwrap()
        });
        assert!(matches!(error.downcast_ref(), Some(Error::Interrupted)));
        let length = fs::metadata(&alive).unwrap().len();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(fs::metadata(&alive).unwrap().len(), length);
    }
}
