//! The far side: reads the request, does the work, replies, and ends when it should.
//!
//! It never outlives its parent: standard input stays open as long as the parent lives, and its
//! end, like a signal or a word on it, calls the work off; work that has not stopped after the
//! grace time is left behind and the process ends. See `supervise` for why that needs no call to
//! `exit`.

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
use crate::site::worker::identity;
use crate::site::worker::identity::{HostCheck, HostVerdict, Identity};
use crate::site::worker::protocol as wire;
use crate::site::worker::protocol::{Hello, MAX_REQUEST_BYTES, WorkerReply};
use crate::site::worker::{
    EXIT_ABANDONED, EXIT_NO_REQUEST, EXIT_REPLY_LOST, UNPACKED_PREFIX, host,
};
use crate::site::{signals, users};

/// Serves one request with `work` and gives the exit code to return from `main`:
/// [`crate::site::worker::EXIT_SERVED`] when a reply was written. `env` is the process's
/// environment; in a job's container that is the one the steps have.
///
/// Must be called before anything is written to standard output. Log lines belong on standard
/// error.
pub fn serve<Q, R, W>(env: Env, work: W) -> ExitCode
where
    Q: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    remove_if_unpacked();
    // From here on a signal is not lost, even if it comes before the work begins.
    drop(signals::install());
    let Ok(replies) = private_stdout() else {
        return ExitCode::from(EXIT_REPLY_LOST);
    };
    let mut stdin = BufReader::new(io::stdin());
    let Some(hello) = read_hello::<Q>(&mut stdin) else {
        return ExitCode::from(EXIT_NO_REQUEST);
    };
    match hello {
        Ok(hello) => serve_request(hello, env, stdin, replies, work),
        Err((mark, error)) => send_reply::<()>(
            replies,
            &mark,
            &WorkerReply::Failed(format!("the request can't be read: {error}")),
        ),
    }
}

/// Removes this program's file where it was unpacked for this request alone. Only root may; a job's
/// container goes away with what is left.
fn remove_if_unpacked() {
    let Ok(program) = std::fs::read_link("/proc/self/exe") else {
        return;
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if program.parent() == Some(Path::new("/")) && name.starts_with(UNPACKED_PREFIX) {
        drop(std::fs::remove_file(program));
    }
}

/// Takes standard output for the reply alone: whatever else is written there from now on goes to
/// standard error.
fn private_stdout() -> io::Result<File> {
    let own = io::stdout().as_fd().try_clone_to_owned()?;
    unistd::dup2_stdout(io::stderr())?;
    Ok(File::from(own))
}

type Unreadable = (String, serde_json::Error);

/// The first line, or nothing when standard input ends before that line does. The mark is read by
/// itself when the rest can't be, so that the complaint arrives as a reply.
fn read_hello<Q: DeserializeOwned>(
    stdin: &mut BufReader<Stdin>,
) -> Option<Result<Hello<Q>, Unreadable>> {
    let mut line = Vec::new();
    stdin
        .by_ref()
        .take(MAX_REQUEST_BYTES)
        .read_until(b'\n', &mut line)
        .ok()?;
    if line.last() != Some(&b'\n') {
        return None;
    }
    match serde_json::from_slice(&line) {
        Ok(hello) => Some(Ok(hello)),
        Err(error) => {
            let value: serde_json::Value = serde_json::from_slice(&line).ok()?;
            Some(Err((value.get("marker")?.as_str()?.to_owned(), error)))
        }
    }
}

/// What the far side found out before the work.
struct WorkerSetup {
    context: WorkerContext,
    identity: Option<Identity>,
    notices: Vec<SiteNotice>,
}

fn serve_request<Q, R, W>(
    hello: Hello<Q>,
    env: Env,
    stdin: BufReader<Stdin>,
    replies: File,
    work: W,
) -> ExitCode
where
    Q: Send + 'static,
    R: Serialize + Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    let Hello {
        marker: mark,
        host,
        timeout,
        grace,
        request,
    } = hello;
    let cancel = Arc::new(AtomicBool::new(false));
    let WorkerSetup {
        context,
        identity,
        notices,
    } = match set_up(host.as_ref(), env, &cancel) {
        Ok(place) => place,
        Err(instead) => return send_reply(replies, &mark, &*instead),
    };
    let ended = supervise(
        TimeLimits { timeout, grace },
        &cancel,
        |stopper| stop_on_events(stopper, stdin),
        move || work(request, &context),
    );
    let notices = notices.iter().map(ToString::to_string).collect();
    match ended {
        WorkOutcome::Done(reply, why) => {
            let timed_out = why == Some(StopReason::Timeout);
            send_reply(
                replies,
                &mark,
                &WorkerReply::Done {
                    reply,
                    timed_out,
                    identity,
                    notices,
                },
            )
        }
        WorkOutcome::Panicked => send_reply::<()>(
            replies,
            &mark,
            &WorkerReply::Failed("the work panicked".to_owned()),
        ),
        WorkOutcome::Abandoned(StopReason::Signal(number)) => {
            ExitCode::from(128_u8.saturating_add(u8::try_from(number).unwrap_or(0)))
        }
        WorkOutcome::Abandoned(_) => ExitCode::from(EXIT_ABANDONED),
    }
}

/// Calls the work off at a signal, at anything more on standard input, which stands for a signal
/// where none can be sent, and at its end.
fn stop_on_events<R: Send + 'static>(
    stopper: Stopper<R>,
    mut stdin: BufReader<Stdin>,
) -> Option<signals::Listener> {
    let stopper = Arc::new(stopper);
    let on_signal = Arc::clone(&stopper);
    let listener = signals::install()
        .ok()
        .map(|signals| signals.listen(move |it| on_signal.stop(StopReason::Signal(it))));
    let watcher = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            // The end and an error mean the same.
            if stdin.fill_buf().is_ok_and(|more| !more.is_empty()) {
                stopper.stop(StopReason::Signal(SIGTERM));
            }
            drop(io::copy(&mut stdin, &mut io::sink()));
            stopper.stop(StopReason::ParentGone);
        });
    drop(watcher);
    listener
}

/// The place to work at, or what to reply instead.
fn set_up(
    host: Option<&HostCheck>,
    env: Env,
    cancel: &Arc<AtomicBool>,
) -> Result<WorkerSetup, Box<WorkerReply<()>>> {
    let Some(check) = host else {
        let home = local_home(&env);
        let context = WorkerContext::new(Arc::new(Local::new(home)), env, Arc::clone(cancel));
        return Ok(WorkerSetup {
            context,
            identity: None,
            notices: Vec::new(),
        });
    };
    match identity::verify_host(check, &host::probe_host(check)) {
        HostVerdict::Accepted {
            home,
            identity,
            notices,
        } => {
            let namespace = Rooted::new(check.root.clone(), check.hidden.clone(), home);
            let context =
                WorkerContext::new(Arc::new(namespace), Env::default(), Arc::clone(cancel));
            Ok(WorkerSetup {
                context,
                identity: Some(identity),
                notices,
            })
        }
        HostVerdict::NeedsGroups(identity) => Err(Box::new(WorkerReply::NeedsGroups(identity))),
        HostVerdict::WrongHost(why) => Err(Box::new(WorkerReply::WrongHost(why))),
    }
}

/// What `~` is for a process of this environment: HOME, as every shell and cargo have it, else the
/// home in passwd.
///
/// In a job's container the runner sets HOME to `/github/home` for every step, so that is where the
/// steps' programs look; the user's home in the image is not.
pub fn local_home(env: &Env) -> Option<PathBuf> {
    let home = env
        .get(std::ffi::OsStr::new("HOME"))
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    home.or_else(|| {
        let passwd = std::fs::read(Path::new("/etc/passwd")).ok()?;
        users::find_user(&passwd, unistd::geteuid().as_raw())?.home
    })
}

fn send_reply<R: Serialize>(mut replies: File, mark: &str, reply: &WorkerReply<R>) -> ExitCode {
    let frame = wire::encode_reply(mark, reply).or_else(|error| {
        wire::encode_reply(
            mark,
            &WorkerReply::<()>::Failed(format!("the reply can't be written as JSON: {error}")),
        )
    });
    let sent = frame.map(|frame| replies.write_all(&frame));
    // What is still buffered for standard output has become part of the log.
    drop(io::stdout().flush());
    // Without it the near side waits for the streams to end.
    drop(io::stderr().write_all(format!("\n{}\n", wire::end_marker(mark)).as_bytes()));
    match sent {
        Ok(Ok(())) => ExitCode::from(crate::site::worker::EXIT_SERVED),
        _ => ExitCode::from(EXIT_REPLY_LOST),
    }
}
