//! Doing the work at the site that was decided on, and bringing back its reply.
//!
//! Whatever happens, this returns within the time limit and the grace time, or within the grace
//! time after a signal: the runner gives a container seven and a half seconds between SIGINT and
//! SIGTERM (actions/runner, `ProcessInvoker`). Every problem comes back as a value; the caller
//! treats it as a miss.
//!
//! Signals count from [`signals::install`] on, which this calls too. A program that is process 1 of
//! a container calls it first of all: until then the kernel drops them, afterwards one that comes
//! early waits for the work to begin.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::detect::{HIDDEN_DIRS, SiteDecision};
use super::engine::{Engine, HOST_ROOT, HelperSpec, JobSpec, Session, SessionResult};
use super::facts::{Container, EngineReport, JobContainer, SiteFacts, SocketFile, WorkspaceDir};
use super::problem::{Problem, signal_name};
use super::supervise::{StopReason, Stopper, TimeLimits, WorkOutcome, supervise};
use super::{Site, SitePreference, signals};
use crate::env::Env;
use crate::fs::Local;
use crate::site::worker as far;
use crate::site::worker::identity::{HostCheck, WorkspaceId};
use crate::site::worker::protocol as wire;
use crate::site::worker::protocol::{Hello, WorkerReply};
use crate::site::worker::{Identity, WorkerContext};

/// How the work is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// After this it is asked to stop.
    pub timeout: Option<Duration>,
    /// What it has from being asked until it is given up. Below seven seconds, so that a cancelled
    /// step ends by itself.
    pub grace: Duration,
    /// How long the engine has for a simple question.
    pub engine_timeout: Duration,
    /// Who the runner's user is, if an earlier phase found out. Saves a second helper where there
    /// are groups to add.
    pub identity: Option<Identity>,
    /// The environment, for work that is done here.
    pub env: Env,
}

impl RunOptions {
    /// The grace time that suits the runner.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
    /// The patience with an engine.
    pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

    /// The usual limits.
    pub fn new(env: Env) -> Self {
        Self {
            timeout: None,
            grace: Self::DEFAULT_GRACE,
            engine_timeout: Self::ENGINE_TIMEOUT,
            identity: None,
            env,
        }
    }

    /// Limits by which all is over after some time: the work is asked to stop early enough, at half
    /// of a short time.
    #[must_use]
    pub fn with_limit(self, limit: Option<Duration>) -> Self {
        let grace = limit.map_or(self.grace, |limit| self.grace.min(limit / 2));
        Self {
            timeout: limit.map(|limit| limit.saturating_sub(grace)),
            grace,
            ..self
        }
    }

    /// When all is over; none where there is no such limit.
    pub fn total_limit(&self) -> Option<Duration> {
        self.timeout
            .map(|timeout| timeout.saturating_add(self.grace))
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome<R> {
    /// What the work returned.
    pub reply: R,
    /// Why it was asked to stop, if it was.
    pub stop_reason: Option<StopReason>,
    /// Who the runner's user is, if a helper found out.
    pub identity: Option<Identity>,
    /// Lines for people.
    pub notices: Vec<String>,
}

/// Does the work and hands over its log lines as they come.
///
/// `work` is what the far side does as well, by [`far::serve`]; it is called in this process only
/// if the decision says so, on a thread of its own. Its log lines then go wherever it logs, not to
/// `log`.
///
/// Errors: every reason for which there is no reply. The work may have been done in part.
pub fn run<Q, R, W>(
    facts: &SiteFacts,
    decision: &SiteDecision,
    request: Q,
    options: &RunOptions,
    log: &mut dyn FnMut(&str),
    work: W,
) -> Result<RunOutcome<R>, Problem>
where
    Q: Serialize + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    match decision.site {
        Site::None => {
            let unsaid = || Problem::NoSocket(facts.socket.clone());
            Err(decision.problem().cloned().unwrap_or_else(unsaid))
        }
        Site::Here => run_here(request, options, work),
        Site::Host => with_signals(|signals| run_on_host(signals, facts, &request, options, log)),
        Site::JobContainer => with_signals(|signals| {
            run_in_job_container(signals, facts, decision, &request, options, log)
        }),
    }
}

fn run_here<Q, R, W>(request: Q, options: &RunOptions, work: W) -> Result<RunOutcome<R>, Problem>
where
    Q: Send + 'static,
    R: Send + 'static,
    W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
{
    let signals = signals::install()
        .map_err(|error| Problem::io("catch signals in", "/proc/self", &error))?;
    let cancel = Arc::new(AtomicBool::new(false));
    let home = far::local_home(&options.env);
    let context = WorkerContext::new(
        Arc::new(Local::new(home)),
        options.env.clone(),
        Arc::clone(&cancel),
    );
    let listen = |stopper: Stopper<R>| {
        signals.listen(move |signal| stopper.stop(StopReason::Signal(signal)))
    };
    let limits = TimeLimits {
        timeout: options.timeout,
        grace: options.grace,
    };
    match supervise(limits, &cancel, listen, move || work(request, &context)) {
        WorkOutcome::Done(reply, called_off) => Ok(RunOutcome {
            reply,
            stop_reason: called_off,
            identity: None,
            notices: Vec::new(),
        }),
        WorkOutcome::Abandoned(why) => Err(stop_problem(why, options)),
        WorkOutcome::Panicked => Err(Problem::NoReply {
            ended: "panic".to_owned(),
            last: "no message".to_owned(),
        }),
    }
}

/// Hears signals during a conversation with a far side.
fn with_signals<T>(
    conversation: impl FnOnce(&mut UnboundedReceiver<i32>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let signals = signals::install()
        .map_err(|error| Problem::io("catch signals in", "/proc/self", &error))?;
    let (sender, mut receiver) = unbounded_channel();
    let _listener = signals.listen(move |signal| {
        // The receiver lives as long as this listener.
        let _ = sender.send(signal);
    });
    conversation(&mut receiver)
}

fn run_on_host<Q: Serialize, R: DeserializeOwned>(
    signals: &mut UnboundedReceiver<i32>,
    facts: &SiteFacts,
    request: &Q,
    options: &RunOptions,
    log: &mut dyn FnMut(&str),
) -> Result<RunOutcome<R>, Problem> {
    let (
        Some(Ok(EngineReport {
            own_container: Some(own),
            ..
        })),
        Some(Ok(workspace)),
    ) = (&facts.engine, &facts.workspace)
    else {
        return Err(Problem::OwnContainerUnknown(facts.socket.clone()));
    };
    let engine = Engine::connect(&facts.socket, options.engine_timeout)?;
    let mut identity = initial_identity(options, workspace);
    // Once more at most: who was told the groups does not ask for them again.
    loop {
        let check = host_check(facts, own, workspace, &identity)?;
        let (hello, mark) = encode_hello(request, Some(check), options)?;
        let spec = helper_spec(facts, own, &identity)?;
        let talk = Session {
            hello,
            marker: mark,
            timeout: options.timeout,
            grace: options.grace,
            signals: &mut *signals,
            log: &mut *log,
        };
        let heard = engine.run_helper(&spec, talk)?;
        match parse_reply(heard, options)? {
            ParsedReply::Done(outcome) => return Ok(outcome),
            ParsedReply::NeedsGroups(better) if !identity.settled => {
                identity = Identity {
                    settled: true,
                    ..better
                }
            }
            ParsedReply::NeedsGroups(_) => {
                return Err(Problem::BadReply("asked for groups twice".to_owned()));
            }
        }
    }
}

/// Who the helper is at first: what an earlier phase found, if it is about the same user, else the
/// workspace's owner.
fn initial_identity(options: &RunOptions, workspace: &WorkspaceDir) -> Identity {
    let known = options
        .identity
        .clone()
        .filter(|known| known.uid == workspace.uid);
    known.unwrap_or(Identity {
        uid: workspace.uid,
        gid: workspace.gid,
        groups: Vec::new(),
        settled: false,
    })
}

fn host_check(
    facts: &SiteFacts,
    own: &Container,
    workspace: &WorkspaceDir,
    identity: &Identity,
) -> Result<HostCheck, Problem> {
    let path = own
        .mounts
        .to_host(&workspace.path)
        .ok_or_else(|| Problem::NoWorkspace {
            path: workspace.path.clone(),
            reason: "it is not mounted in this container".to_owned(),
        })?;
    let withheld = match facts.socket_file {
        SocketFile::Socket { gid } => vec![gid],
        _ => Vec::new(),
    };
    Ok(HostCheck {
        root: HOST_ROOT.into(),
        hidden: HIDDEN_DIRS.iter().map(Into::into).collect(),
        workspace: WorkspaceId {
            path,
            device: workspace.device,
            inode: workspace.inode,
        },
        label: runner_label(&own.labels),
        trusted: facts.preference == SitePreference::Host,
        identity: identity.clone(),
        withheld_groups: withheld,
    })
}

/// The label by which a runner marks its containers: six hexadecimal digits and no value.
fn runner_label(labels: &[(String, String)]) -> Option<String> {
    let is_label = |name: &str| {
        name.len() == 6
            && name
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    labels
        .iter()
        .find(|(name, value)| value.is_empty() && is_label(name))
        .map(|(name, _)| name.clone())
}

fn helper_spec(
    facts: &SiteFacts,
    own: &Container,
    identity: &Identity,
) -> Result<HelperSpec, Problem> {
    let unique = wire::random_hex().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
    let (parent, unique) = (own.id.get(..12).unwrap_or(&own.id), &unique[..8]);
    Ok(HelperSpec {
        name: format!("local-cache-helper-{parent}-{unique}"),
        image: own.image.clone(),
        program: facts.program.clone(),
        identity: identity.clone(),
        labels: own.labels.clone(),
    })
}

fn run_in_job_container<Q: Serialize, R: DeserializeOwned>(
    signals: &mut UnboundedReceiver<i32>,
    facts: &SiteFacts,
    decision: &SiteDecision,
    request: &Q,
    options: &RunOptions,
    log: &mut dyn FnMut(&str),
) -> Result<RunOutcome<R>, Problem> {
    let (
        Some(Ok(EngineReport {
            job_container: JobContainer::Found(job),
            ..
        })),
        super::paths::Translation::Job { own, .. },
    ) = (&facts.engine, &decision.translation)
    else {
        return Err(Problem::NoJobContainer);
    };
    let owner = match &facts.workspace {
        Some(Ok(workspace)) => Some((workspace.uid, workspace.gid)),
        _ => None,
    };
    let spec = JobSpec {
        id: job.id.clone(),
        program: facts.program.clone(),
        scratch_dirs: facts.scratch_dirs.clone(),
        own_mounts: own.clone(),
        job_mounts: job.mounts.clone(),
        owner,
    };
    let (hello, mark) = encode_hello(request, None, options)?;
    let talk = Session {
        hello,
        marker: mark,
        timeout: options.timeout,
        grace: options.grace,
        signals,
        log,
    };
    let heard = Engine::connect(&facts.socket, options.engine_timeout)?.run_in_job(&spec, talk)?;
    match parse_reply(heard, options)? {
        ParsedReply::Done(outcome) => Ok(outcome),
        ParsedReply::NeedsGroups(_) => Err(Problem::BadReply(
            "asked for groups in the job's container".to_owned(),
        )),
    }
}

/// The line of a hello, with its end, and the mark in it.
fn encode_hello<Q: Serialize>(
    request: &Q,
    host: Option<HostCheck>,
    options: &RunOptions,
) -> Result<(Vec<u8>, String), Problem> {
    let mark = wire::new_marker().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
    let (timeout, grace) = (options.timeout, options.grace);
    let hello = Hello {
        marker: mark.clone(),
        host,
        timeout,
        grace,
        request,
    };
    Ok((
        wire::encode_hello(&hello).map_err(|error| Problem::BadRequest(error.to_string()))?,
        mark,
    ))
}

enum ParsedReply<R> {
    Done(RunOutcome<R>),
    NeedsGroups(Identity),
}

fn parse_reply<R: DeserializeOwned>(
    heard: SessionResult,
    options: &RunOptions,
) -> Result<ParsedReply<R>, Problem> {
    let Some(json) = &heard.reply else {
        return Err(missing_reply(heard, options));
    };
    match serde_json::from_slice::<WorkerReply<R>>(json) {
        Ok(WorkerReply::Done {
            reply,
            timed_out,
            identity,
            notices,
        }) => {
            let called_off = heard
                .stop_reason
                .or(timed_out.then_some(StopReason::Timeout));
            Ok(ParsedReply::Done(RunOutcome {
                reply,
                stop_reason: called_off,
                identity,
                notices,
            }))
        }
        Ok(WorkerReply::NeedsGroups(identity)) => Ok(ParsedReply::NeedsGroups(identity)),
        Ok(WorkerReply::WrongHost(why)) => Err(Problem::EngineElsewhere(why)),
        Ok(WorkerReply::Failed(why)) => Err(Problem::NoReply {
            ended: why,
            last: heard
                .last_line
                .unwrap_or_else(|| "it said nothing".to_owned()),
        }),
        Err(error) => Err(Problem::BadReply(error.to_string())),
    }
}

fn missing_reply(heard: SessionResult, options: &RunOptions) -> Problem {
    if let Some(why) = heard.stop_reason {
        return stop_problem(why, options);
    }
    let ended = match heard.exit_code {
        Some(code) if code == i64::from(far::EXIT_ABANDONED) => {
            return stop_problem(StopReason::Timeout, options);
        }
        Some(code @ 129..=159) => signal_name(i32::try_from(code - 128).unwrap_or_default()),
        Some(code) => format!("exit code {code}"),
        None => "exit code unknown".to_owned(),
    };
    Problem::NoReply {
        ended,
        last: heard
            .last_line
            .unwrap_or_else(|| "it said nothing".to_owned()),
    }
}

fn stop_problem(why: StopReason, options: &RunOptions) -> Problem {
    match why {
        StopReason::Signal(number) => Problem::Cancelled(number),
        StopReason::Timeout | StopReason::ParentGone => {
            Problem::TimedOut(options.total_limit().unwrap_or(options.grace))
        }
    }
}
