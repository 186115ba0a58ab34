//! A process of this program that goes on when this one ends, and the job with it.
//!
//! It has a session of its own, so that neither the end of a terminal nor a signal to the job's
//! process group reaches it. GitHub's runner ends the processes of a job that carry its
//! `RUNNER_TRACKING_ID` in their environment (actions/runner, `JobExtension.FinalizeJob`): the
//! process gets none of the environment but what [`INHERITED`] lists.
//!
//! Its request is on its standard input. It confirms it on its standard output, so that the starting
//! process knows that it has nothing more to do.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::unistd;

use crate::env::Env;
use crate::site::gather;

/// What the process may need of the environment: the network, certificates, temporary files.
const INHERITED: [&str; 13] = [
    "HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RAYON_NUM_THREADS",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];
const CONFIRMATION: &str = "taken over";
/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(10);
/// The longest request that is read, in bytes.
const MAX_REQUEST: u64 = 4 << 20;

/// Whether a process that this one starts can outlive the job: not in a container, which can end
/// with the job.
pub(crate) fn is_possible(env: &Env) -> bool {
    !gather::is_in_container(env)
}

/// Starts this program with an argument and waits until it has taken over the request.
pub(crate) fn start(argument: &str, env: &Env, request: Vec<u8>) -> io::Result<()> {
    let is_inherited = |name: &OsStr| INHERITED.iter().any(|inherited| *inherited == name);
    let mut child = Command::new("/proc/self/exe")
        .arg0("local-cache")
        .arg(argument)
        .env_clear()
        .envs(env.iter().filter(|(name, _)| is_inherited(name)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    match hand_over(&mut child, request) {
        Ok(()) => Ok(()),
        Err(error) => {
            drop(child.kill());
            child.wait()?;
            Err(error)
        }
    }
}

/// On a thread of its own, because a process that does not read would block it.
fn hand_over(child: &mut Child, request: Vec<u8>) -> io::Result<()> {
    let missing = || io::Error::other("a pipe is missing");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("hand over".to_owned())
        .spawn(move || {
            let exchange = || {
                input.write_all(&request)?;
                drop(input);
                let mut line = String::new();
                BufReader::new(output.take(64)).read_line(&mut line)?;
                Ok(line)
            };
            // Fails if nobody waits any more.
            drop(sender.send(exchange()));
        })?;
    let line: io::Result<String> = receiver
        .recv_timeout(START_LIMIT)
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    if line?.trim_end() == CONFIRMATION {
        Ok(())
    } else {
        Err(io::Error::other("it ended at once"))
    }
}

/// The other end of [`start`]: leaves the session of the job and returns the request.
pub(crate) fn accept() -> io::Result<Vec<u8>> {
    // Fails for the leader of a process group, which somebody else has made it then.
    let _ = unistd::setsid();
    let mut request = Vec::new();
    io::stdin().take(MAX_REQUEST).read_to_end(&mut request)?;
    Ok(request)
}

/// Tells the starting process that the request is taken over. Nothing is written to the standard
/// output from then on.
pub(crate) fn confirm() -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{CONFIRMATION}")?;
    stdout.flush()?;
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(unistd::dup2_stdout(nowhere)?)
}
