//! The worker: reads a request, runs the job, replies, and ends when it should.
//!
//! A worker never outlives its parent. Its standard input stays open as long as the parent lives.
//! The end of that input stops the job, as a signal or a line on it does. A job that has not
//! stopped after the grace time is abandoned and the process ends. `supervise` explains why that
//! needs no call to `exit`.
//!
//! The exception is a request that says so: for it, the worker replies as soon as it knows that it may
//! work here, and neither the end of its input nor that of its output means anything afterwards.

use nix::libc::SIGTERM;
use nix::unistd;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Stdin, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::env::Env;
use crate::fs::{Local, Rooted};
use crate::site::problem::SiteNotice;
use crate::site::supervise::{StopReason, Stopper, TimeLimits, WorkOutcome, supervise};
use crate::site::worker::context::WorkerContext;
use crate::site::worker::host_probe::probe_host;
use crate::site::worker::identity::{HostCheck, HostVerdict, Identity, verify_host};
use crate::site::worker::process::{
    EXIT_ABANDONED, EXIT_NO_REQUEST, EXIT_REPLY_LOST, EXIT_SERVED, UNPACKED_PREFIX,
};
use crate::site::worker::protocol::{
    Hello, MAX_REQUEST_BYTES, WorkerReply, encode_reply, end_marker,
};
use crate::site::{signals, users};

/// Serves one request with `work`. Returns the exit code for `main`: `EXIT_SERVED` if a reply was
/// written. `env` is the environment of this process, which in a job's container is that of the
/// steps.
///
/// Must be called before anything is written to standard output. The log goes to standard error.
pub fn serve<Q, R, W>(env: Env, work: W) -> ExitCode
where
    Q: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    remove_if_unpacked();
    // From here on no signal is lost, even if it arrives before the job starts.
    drop(signals::install());
    let Ok(stdout) = private_stdout() else {
        return ExitCode::from(EXIT_REPLY_LOST);
    };
    let mut stdin = BufReader::new(io::stdin());
    match read_hello::<Q>(&mut stdin) {
        None => ExitCode::from(EXIT_NO_REQUEST),
        Some(Ok(hello)) => {
            let replies = ReplyWriter {
                stdout,
                marker: hello.marker.clone(),
            };
            serve_request(hello, env, stdin, replies, work)
        }
        Some(Err((marker, error))) => {
            let replies = ReplyWriter { stdout, marker };
            replies.send_failure(format!("the request cannot be read: {error}"))
        }
    }
}

/// Removes the file of this program if it was unpacked for this request only. Only root may remove
/// it; otherwise it is removed with the job's container.
fn remove_if_unpacked() {
    let Ok(program) = std::fs::read_link("/proc/self/exe") else {
        return;
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if program.parent() == Some(Path::new("/")) && name.starts_with(UNPACKED_PREFIX) {
        drop(std::fs::remove_file(program));
    }
}

/// Reserves standard output for the reply. Other code that writes to standard output from now on
/// writes to standard error.
fn private_stdout() -> io::Result<File> {
    let own = io::stdout().as_fd().try_clone_to_owned()?;
    unistd::dup2_stdout(io::stderr())?;
    Ok(File::from(own))
}

/// The marker of a request that could not be read, and why.
type BadHello = (String, serde_json::Error);

/// The first line of the input. `None` if the input ends before that line, or if it has no marker
/// under which the error could be reported.
fn read_hello<Q: DeserializeOwned>(
    stdin: &mut BufReader<Stdin>,
) -> Option<Result<Hello<Q>, BadHello>> {
    let mut line = Vec::new();
    stdin
        .by_ref()
        .take(MAX_REQUEST_BYTES)
        .read_until(b'\n', &mut line)
        .ok()?;
    // A line without an end is a part of a request, whose sender may be gone.
    if line.last() != Some(&b'\n') {
        return None;
    }
    match serde_json::from_slice(&line) {
        Ok(hello) => Some(Ok(hello)),
        Err(error) => {
            // The marker alone may still be readable, and then the error can be reported under it.
            let value: serde_json::Value = serde_json::from_slice(&line).ok()?;
            Some(Err((value.get("marker")?.as_str()?.to_owned(), error)))
        }
    }
}

fn serve_request<Q, R, W>(
    hello: Hello<Q>,
    env: Env,
    stdin: BufReader<Stdin>,
    replies: ReplyWriter,
    work: W,
) -> ExitCode
where
    Q: Send + 'static,
    R: Serialize + Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    let cancel = Arc::new(AtomicBool::new(false));
    let setup = match set_up(hello.host.as_ref(), env, &cancel) {
        Ok(setup) => setup,
        Err(reply) => return replies.send(&*reply),
    };
    if hello.outlives_parent {
        let code = replies.send::<()>(&WorkerReply::Started);
        drop(work(hello.request, &setup.context));
        return code;
    }
    let limits = TimeLimits {
        timeout: hello.timeout,
        grace: hello.grace,
    };
    let (request, context) = (hello.request, setup.context);
    let outcome = supervise(
        limits,
        &cancel,
        // The reader of the request, because its buffer may hold what followed the request.
        |stopper| stop_on_events(stopper, stdin),
        move || work(request, &context),
    );
    replies.send_outcome(outcome, setup.identity, &setup.notices)
}

/// Stops the job on a signal, on another line of standard input, which stands for a signal if none
/// can be sent, and at the end of that input.
fn stop_on_events<R: Send + 'static>(
    stopper: Stopper<R>,
    mut stdin: BufReader<Stdin>,
) -> Option<signals::Listener> {
    let stopper = Arc::new(stopper);
    let on_signal = Arc::clone(&stopper);
    let listener = signals::install()
        .ok()
        .map(|signals| signals.listen(move |number| on_signal.stop(StopReason::Signal(number))));
    let watcher = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            // A read error counts as the end of the input.
            if stdin.fill_buf().is_ok_and(|more| !more.is_empty()) {
                stopper.stop(StopReason::Signal(SIGTERM));
            }
            drop(io::copy(&mut stdin, &mut io::sink()));
            stopper.stop(StopReason::ParentGone);
        });
    // Not joined: it waits for input until the process ends.
    drop(watcher);
    listener
}

/// What a worker knows before it starts the job.
struct WorkerSetup {
    context: WorkerContext,
    identity: Option<Identity>,
    notices: Vec<SiteNotice>,
}

/// Checks the host in a helper. Errors: the reply if the job must not run.
fn set_up(
    host: Option<&HostCheck>,
    env: Env,
    cancel: &Arc<AtomicBool>,
) -> Result<WorkerSetup, Box<WorkerReply<()>>> {
    let Some(check) = host else {
        return Ok(set_up_locally(env, cancel));
    };
    let probe = probe_host(check);
    match verify_host(check, &probe) {
        HostVerdict::Accepted {
            home,
            identity,
            notices,
        } => {
            let namespace = Rooted::new(check.root.clone(), check.hidden.clone(), home);
            Ok(WorkerSetup {
                // A helper's own environment comes from its image and says nothing of the host.
                context: WorkerContext::new(
                    Arc::new(namespace),
                    probe.runner_env,
                    Arc::clone(cancel),
                ),
                identity: Some(identity),
                notices,
            })
        }
        HostVerdict::NeedsGroups(identity) => Err(Box::new(WorkerReply::NeedsGroups(identity))),
        HostVerdict::WrongHost(reason) => Err(Box::new(WorkerReply::WrongHost(reason))),
        HostVerdict::WrongUser(reason) => Err(Box::new(WorkerReply::WrongUser(reason))),
        HostVerdict::Unconfined(reason) => Err(Box::new(WorkerReply::Unconfined(reason))),
    }
}

fn set_up_locally(env: Env, cancel: &Arc<AtomicBool>) -> WorkerSetup {
    let namespace = Local::new(local_home(&env));
    WorkerSetup {
        context: WorkerContext::new(Arc::new(namespace), env, Arc::clone(cancel)),
        identity: None,
        notices: Vec::new(),
    }
}

/// What `~` is in a process with this environment: HOME, which shells and cargo use too, otherwise
/// the home in passwd.
///
/// In a job's container the runner sets HOME to `/github/home` for every step, so the programs of
/// the steps look there and not in the home of the image's user.
pub(crate) fn local_home(env: &Env) -> Option<PathBuf> {
    let home = env.get("HOME").map(Path::new);
    if let Some(home) = home.filter(|home| home.is_absolute()) {
        return Some(home.to_owned());
    }
    let passwd = std::fs::read("/etc/passwd").ok()?;
    users::find_user(&passwd, unistd::geteuid().as_raw())?.home
}

/// Writes the reply of a worker. There is at most one.
struct ReplyWriter {
    stdout: File,
    marker: String,
}

impl ReplyWriter {
    /// An abandoned job has no reply: it still runs, and the process ends without it.
    fn send_outcome<R: Serialize>(
        self,
        outcome: WorkOutcome<R>,
        identity: Option<Identity>,
        notices: &[SiteNotice],
    ) -> ExitCode {
        match outcome {
            WorkOutcome::Done(reply, stop_reason) => self.send(&WorkerReply::Done {
                reply,
                timed_out: stop_reason == Some(StopReason::Timeout),
                identity,
                notices: notices.iter().map(ToString::to_string).collect(),
            }),
            WorkOutcome::Panicked => self.send_failure("the work panicked".to_owned()),
            WorkOutcome::Abandoned(StopReason::Signal(number)) => {
                ExitCode::from(128_u8.saturating_add(u8::try_from(number).unwrap_or(0)))
            }
            WorkOutcome::Abandoned(_) => ExitCode::from(EXIT_ABANDONED),
        }
    }

    fn send_failure(self, reason: String) -> ExitCode {
        self.send::<()>(&WorkerReply::Failed(reason))
    }

    fn send<R: Serialize>(mut self, reply: &WorkerReply<R>) -> ExitCode {
        let line = encode_reply(&self.marker, reply).or_else(|error| {
            let reason = format!("the reply cannot be written as JSON: {error}");
            encode_reply(&self.marker, &WorkerReply::<()>::Failed(reason))
        });
        let sent = line.map(|line| self.stdout.write_all(&line));
        // What other code buffered for standard output belongs to the log, before its end.
        drop(io::stdout().flush());
        // Without this line the entrypoint waits until the streams end.
        let end = format!("\n{}\n", end_marker(&self.marker));
        drop(io::stderr().write_all(end.as_bytes()));
        match sent {
            Ok(Ok(())) => ExitCode::from(EXIT_SERVED),
            _ => ExitCode::from(EXIT_REPLY_LOST),
        }
    }
}
