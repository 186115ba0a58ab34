//! Running cargo.
//!
//! Cargo leads a process group of its own, so that a signal for this process reaches only this
//! process, which then ends the whole group: cargo, the compilers and build scripts below it.
//! Nothing of what they wrote is needed, so they are killed. When [`CargoCommandLine::run`] returns
//! because it was called off, no process of the group is left that could write into the temporary
//! directory while it is removed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::DemoError;
use crate::monitor::Monitor;

/// How many lines of cargo's output are shown when it fails.
const LAST_LINES: usize = 20;
/// How often it is looked whether the work was called off.
const TICK: Duration = Duration::from_millis(50);
/// How long killed processes may take to be gone.
const DYING: Duration = Duration::from_secs(5);

/// How cargo is run.
#[derive(Debug)]
pub(super) struct CargoCommandLine {
    /// All variables of its environment.
    pub(super) variables: BTreeMap<OsString, OsString>,
    /// Where it is run.
    pub(super) directory: PathBuf,
}

/// What a run of cargo gave.
#[derive(Debug)]
pub(super) struct Ran {
    /// How long it took.
    pub(super) took: Duration,
    /// What it wrote.
    pub(super) lines: Vec<String>,
}

impl CargoCommandLine {
    /// Runs cargo to its end. `advice` says what to do when it fails.
    pub(super) fn run(
        &self,
        arguments: &[&str],
        advice: &'static str,
        monitor: &dyn Monitor,
    ) -> Result<Ran, DemoError> {
        let begun = Instant::now();
        let (status, mut lines) = self.group(arguments)?.listen(monitor)?;
        let took = begun.elapsed();
        if status.success() {
            return Ok(Ran { took, lines });
        }
        let last_lines = lines.split_off(lines.len().saturating_sub(LAST_LINES));
        let command = format!("cargo {}", arguments.join(" "));
        Err(DemoError::Cargo {
            command,
            status,
            advice,
            last_lines,
        })
    }

    fn group(&self, arguments: &[&str]) -> Result<ProcessGroup, DemoError> {
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
                io::ErrorKind::NotFound => DemoError::NoCargo,
                _ => DemoError::CannotRun(error),
            })?;
        Ok(ProcessGroup {
            child,
            has_ended: false,
        })
    }
}

/// Cargo and everything it started. It is killed when this is dropped before it has ended.
struct ProcessGroup {
    child: Child,
    has_ended: bool,
}

impl ProcessGroup {
    /// Takes down what is written until cargo ends.
    fn listen(mut self, monitor: &dyn Monitor) -> Result<(ExitStatus, Vec<String>), DemoError> {
        let (sender, receiver) = mpsc::channel();
        // They end with the last process that holds the pipe, so nobody waits for them: it may be a
        // daemon.
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            self.child.stdout.take().map(|stream| Box::new(stream) as _),
            self.child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    if sender
                        .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                        .is_err()
                    {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut lines = Vec::new();
        loop {
            if monitor.is_interrupted() {
                return Err(DemoError::Interrupted);
            }
            match receiver.recv_timeout(TICK) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().map_err(DemoError::CannotRun)?;
        self.has_ended = true;
        Ok((status, lines))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let (false, Ok(id)) = (self.has_ended, i32::try_from(self.child.id())) else {
            return;
        };
        let group = Pid::from_raw(id);
        // Cargo was not waited for, so the number still stands for it. Failures mean that all are
        // gone.
        let _ = killpg(group, Signal::SIGKILL);
        drop(self.child.wait());
        // The rest has init for a parent now, and an init that does not wait leaves them as
        // zombies: hence the limit.
        let begun = Instant::now();
        while killpg(group, None).is_ok() && begun.elapsed() < DYING {
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

    /// A directory with a program `cargo` in it.
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
    fn a_run_gives_what_was_written_to_both_streams_and_sees_only_its_own_variables() {
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
    fn a_failure_shows_the_last_lines_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let cargo = cargo(
            directory.path(),
            "for n in $(seq 30); do echo line $n; done; exit 7",
        );
        let error = cargo.run(&["build"], "mend it", &Silent).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`cargo build` failed (exit status: 7); mend it"
        );
        assert_eq!(error.last_lines().len(), LAST_LINES);
        assert_eq!(error.last_lines()[LAST_LINES - 1], "line 30");
    }

    #[test]
    fn a_missing_cargo_is_told_apart() {
        let variables = [("PATH".into(), "/nonexistent".into())].into();
        let cargo = CargoCommandLine {
            variables,
            directory: "/".into(),
        };
        assert!(matches!(
            cargo.run(&["build"], "", &Silent),
            Err(DemoError::NoCargo)
        ));
    }

    struct AlwaysInterrupted(AtomicBool);

    impl Monitor for AlwaysInterrupted {
        fn is_interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn when_it_is_called_off_all_processes_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let alive = directory.path().join("alive");
        let script = "(while sleep 0.02; do echo x >> alive; done) & wait";
        let cargo = cargo(directory.path(), script);
        let off = AlwaysInterrupted(AtomicBool::new(false));
        let error = thread::scope(|scope| {
            let run = scope.spawn(|| cargo.run(&[], "", &off).unwrap_err());
            while !alive.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            off.0.store(true, Ordering::Relaxed);
            run.join().unwrap()
        });
        assert!(matches!(error, DemoError::Interrupted));
        let length = fs::metadata(&alive).unwrap().len();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(fs::metadata(&alive).unwrap().len(), length);
    }
}
