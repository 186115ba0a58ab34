//! The command `docker`, which the runner uses to start the container of an action.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::env::Env;

/// The limit of a command, on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The longest output that is read, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum DockerFailure {
    NotInstalled,
    /// The command could not run, or failed: the last line that it printed.
    Failed(String),
    /// The command took longer than [`LIMIT`], and was killed.
    TimedOut,
}

/// Runs `docker` with these arguments. Returns its standard output.
pub(super) fn docker(
    env: &Env,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String, DockerFailure> {
    let start = Instant::now();
    let mut child = Command::new("docker")
        .args(arguments)
        .env_clear()
        .envs(env.iter())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DockerFailure::NotInstalled,
            _ => DockerFailure::Failed(error.to_string()),
        })?;
    let output = start_to_read(child.stdout.take());
    let errors = start_to_read(child.stderr.take());
    let text = |reader: JoinHandle<String>| reader.join().unwrap_or_default();
    if wait(&mut child, start)? {
        return Ok(text(output));
    }
    Err(DockerFailure::Failed(reason(&text(errors)).to_owned()))
}

/// The last line of an error, without the hint at the help that follows it.
fn reason(errors: &str) -> &str {
    let is_hint = |line: &str| line.starts_with("See 'docker") || line.starts_with("Run 'docker");
    let mut lines = errors.lines().rev().map(str::trim);
    lines
        .find(|line| !line.is_empty() && !is_hint(line))
        .unwrap_or_default()
}

/// Waits for the end of the command. Returns whether it succeeded.
fn wait(child: &mut Child, start: Instant) -> Result<bool, DockerFailure> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() < LIMIT => thread::sleep(POLL_INTERVAL),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(DockerFailure::TimedOut);
            }
            Err(error) => return Err(DockerFailure::Failed(error.to_string())),
        }
    }
}

/// Reads a stream in a thread of its own, so that a full pipe does not block the command.
fn start_to_read(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is as much as can be shown.
            drop(stream.take(MAX_OUTPUT).read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_is_not_the_hint_below_it() {
        let errors = "Unable to find image\ndocker: Error response from daemon: pull access denied.\n\n\
            Run 'docker run --help' for more information\n";
        let expected = "docker: Error response from daemon: pull access denied.";
        assert_eq!(reason(errors), expected);
        assert_eq!(reason("\n"), "");
    }
}
