//! Runs a job in a worker: a helper on the host, or a process in the job's container.

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::mpsc::UnboundedReceiver;

use super::options::{RunOptions, RunOutcome};
use crate::site::engine::{Engine, HelperNetwork, HelperSpec, JobSpec, Session, SessionResult};
use crate::site::facts::{
    Container, EngineReport, JobContainer, SiteFacts, SocketFile, WorkspaceDir,
};
use crate::site::helper_limits::{HOST_ROOT, hidden_paths};
use crate::site::paths::Translation;
use crate::site::preference::SitePreference;
use crate::site::problem::{Problem, signal_name};
use crate::site::supervise::StopReason;
use crate::site::worker::EXIT_ABANDONED;
use crate::site::worker::identity::{HostCheck, Identity, WorkspaceId};
use crate::site::worker::protocol::{self, Hello, WorkerReply, new_marker, random_hex};

/// One run of a worker.
pub(super) struct WorkerRun<'a> {
    pub(super) facts: &'a SiteFacts,
    pub(super) options: &'a RunOptions,
    /// The signals that this process receives.
    pub(super) signals: &'a mut UnboundedReceiver<i32>,
    pub(super) log: &'a mut dyn FnMut(&str),
}

/// What the engine does with a helper.
type RunHelper = fn(&Engine, &HelperSpec, Session<'_>) -> Result<SessionResult, Problem>;

enum ParsedReply<R> {
    Done(RunOutcome<R>),
    Started,
    NeedsGroups(Identity),
}

impl WorkerRun<'_> {
    /// Runs the job in a helper. If the helper lacks groups of the runner's user, it does nothing,
    /// and a second helper is started with these groups.
    pub(super) fn on_host<Q: Serialize, R: DeserializeOwned>(
        mut self,
        request: &Q,
    ) -> Result<RunOutcome<R>, Problem> {
        let network = if self.options.network {
            HelperNetwork::OfParent
        } else {
            HelperNetwork::None
        };
        match self.helper(request, network, Engine::run_helper)? {
            Some(outcome) => Ok(outcome),
            None => Err(Problem::BadReply("began and does not end".to_owned())),
        }
    }

    /// Starts a helper that does the job although this process ends, as [`Self::on_host`].
    pub(super) fn after_this_one<Q: Serialize>(mut self, request: &Q) -> Result<(), Problem> {
        match self.helper(request, HelperNetwork::Default, Engine::start_detached)? {
            None => Ok(()),
            Some(RunOutcome::<IgnoredAny> { .. }) => {
                Err(Problem::BadReply("did not go on".to_owned()))
            }
        }
    }

    /// The outcome of a helper; none if it has started.
    fn helper<Q: Serialize, R: DeserializeOwned>(
        &mut self,
        request: &Q,
        network: HelperNetwork,
        run: RunHelper,
    ) -> Result<Option<RunOutcome<R>>, Problem> {
        let facts = self.facts;
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
        let engine = Engine::new(&facts.socket, self.options.engine_timeout)?;
        let mut identity = initial_identity(self.options, workspace);
        // Ends after the second helper: its identity is settled, so it must not ask again.
        loop {
            let has_network = network != HelperNetwork::None;
            let check = host_check(facts, own, workspace, &identity, has_network)?;
            let spec = helper_spec(facts, own, &identity, network)?;
            let outlives = network == HelperNetwork::Default;
            let session = self.session(request, Some(check), outlives)?;
            let result = run(&engine, &spec, session)?;
            match parse_reply(result, self.options)? {
                ParsedReply::Done(outcome) => return Ok(Some(outcome)),
                ParsedReply::Started => return Ok(None),
                ParsedReply::NeedsGroups(found) if !identity.settled => {
                    identity = Identity {
                        settled: true,
                        ..found
                    }
                }
                ParsedReply::NeedsGroups(_) => {
                    return Err(Problem::BadReply("asked for groups twice".to_owned()));
                }
            }
        }
    }

    pub(super) fn in_job_container<Q: Serialize, R: DeserializeOwned>(
        mut self,
        translation: &Translation,
        request: &Q,
    ) -> Result<RunOutcome<R>, Problem> {
        let spec = job_spec(self.facts, translation)?;
        let engine = Engine::new(&self.facts.socket, self.options.engine_timeout)?;
        let session = self.session(request, None, false)?;
        let result = engine.run_in_job_container(&spec, session)?;
        match parse_reply(result, self.options)? {
            ParsedReply::Done(outcome) => Ok(outcome),
            ParsedReply::Started | ParsedReply::NeedsGroups(_) => Err(Problem::BadReply(
                "asked for groups in the job's container".to_owned(),
            )),
        }
    }

    /// Prepares the exchange of a request. A helper gets a `host` to check.
    fn session<Q: Serialize>(
        &mut self,
        request: &Q,
        host: Option<HostCheck>,
        outlives_parent: bool,
    ) -> Result<Session<'_>, Problem> {
        let (timeout, grace) = (self.options.timeout, self.options.grace);
        let marker = new_marker().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
        let hello = protocol::encode_hello(&Hello {
            marker: marker.clone(),
            host,
            outlives_parent,
            timeout,
            grace,
            request,
        });
        Ok(Session {
            hello: hello.map_err(|error| Problem::BadRequest(error.to_string()))?,
            marker,
            timeout,
            grace,
            signals: self.signals,
            log: self.log,
        })
    }
}

/// The identity that an earlier phase found, whatever the workspace is now: the job's steps ran
/// since. Otherwise the runner's user as this phase sees it, without groups.
fn initial_identity(options: &RunOptions, workspace: &WorkspaceDir) -> Identity {
    options.identity.clone().unwrap_or(Identity {
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
    network: bool,
) -> Result<HostCheck, Problem> {
    let path = own
        .mounts
        .to_host(&workspace.path)
        .ok_or_else(|| Problem::NoWorkspace {
            path: workspace.path.clone(),
            reason: "it is not mounted in this container".to_owned(),
        })?;
    let withheld_groups = match facts.socket_file {
        SocketFile::Socket { gid } => vec![gid],
        _ => Vec::new(),
    };
    Ok(HostCheck {
        root: HOST_ROOT.into(),
        hidden: hidden_paths(own, &facts.mounts),
        workspace: WorkspaceId {
            path,
            device: workspace.device,
            inode: workspace.inode,
        },
        label: find_runner_label(&own.labels),
        trusted: facts.preference == SitePreference::Host,
        identity: identity.clone(),
        withheld_groups,
        network,
    })
}

/// The label with which a runner marks its containers: six hexadecimal digits without a value.
fn find_runner_label(labels: &[(String, String)]) -> Option<String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    labels
        .iter()
        .find(|(name, value)| value.is_empty() && name.len() == 6 && name.bytes().all(is_digit))
        .map(|(name, _)| name.clone())
}

fn helper_spec(
    facts: &SiteFacts,
    own: &Container,
    identity: &Identity,
    network: HelperNetwork,
) -> Result<HelperSpec, Problem> {
    let random = random_hex().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
    let (parent, unique) = (own.id.get(..12).unwrap_or(&own.id), &random[..8]);
    // The runner must not take a helper that goes on after the job for one of the job.
    let (kind, labels) = match network {
        HelperNetwork::Default => ("copy", Vec::new()),
        HelperNetwork::None | HelperNetwork::OfParent => ("helper", own.labels.clone()),
    };
    Ok(HelperSpec {
        name: format!("local-cache-{kind}-{parent}-{unique}"),
        parent: own.id.clone(),
        image: own.image.clone(),
        image_name: own.image_name.clone(),
        program: facts.program.clone(),
        identity: identity.clone(),
        network,
        hidden: hidden_paths(own, &facts.mounts),
        labels,
    })
}

fn job_spec(facts: &SiteFacts, translation: &Translation) -> Result<JobSpec, Problem> {
    let (
        Some(Ok(EngineReport {
            job_container: JobContainer::Found(job),
            ..
        })),
        Translation::Job { own, .. },
    ) = (&facts.engine, translation)
    else {
        return Err(Problem::NoJobContainer);
    };
    let owner = match &facts.workspace {
        Some(Ok(workspace)) => Some((workspace.uid, workspace.gid)),
        _ => None,
    };
    Ok(JobSpec {
        id: job.id.clone(),
        program: facts.program.clone(),
        scratch_dirs: facts.scratch_dirs.clone(),
        own_mounts: own.clone(),
        job_mounts: job.mounts.clone(),
        owner,
    })
}

fn parse_reply<R: DeserializeOwned>(
    result: SessionResult,
    options: &RunOptions,
) -> Result<ParsedReply<R>, Problem> {
    let Some(json) = &result.reply else {
        return Err(missing_reply(result, options));
    };
    match serde_json::from_slice::<WorkerReply<R>>(json) {
        Ok(WorkerReply::Done {
            reply,
            timed_out,
            identity,
            notices,
        }) => Ok(ParsedReply::Done(RunOutcome {
            reply,
            stop_reason: result
                .stop_reason
                .or(timed_out.then_some(StopReason::Timeout)),
            identity,
            notices,
        })),
        Ok(WorkerReply::Started) => Ok(ParsedReply::Started),
        Ok(WorkerReply::NeedsGroups(identity)) => Ok(ParsedReply::NeedsGroups(identity)),
        Ok(WorkerReply::WrongHost(reason)) => Err(Problem::EngineElsewhere(reason)),
        Ok(WorkerReply::WrongUser(reason)) => Err(Problem::WrongUser(reason)),
        Ok(WorkerReply::Unconfined(reason)) => Err(Problem::Unconfined(reason)),
        Ok(WorkerReply::Failed(cause)) => Err(no_reply(cause, result.last_line)),
        Err(error) => Err(Problem::BadReply(error.to_string())),
    }
}

fn missing_reply(result: SessionResult, options: &RunOptions) -> Problem {
    if let Some(reason) = result.stop_reason {
        return options.abandoned(reason);
    }
    let cause = match result.exit_code {
        Some(code) if code == i64::from(EXIT_ABANDONED) => {
            return options.abandoned(StopReason::Timeout);
        }
        // A process that a signal ended has the exit code 128 plus the signal's number.
        Some(code @ 129..=159) => signal_name(i32::try_from(code - 128).unwrap_or_default()),
        Some(code) => format!("exit code {code}"),
        None => "exit code unknown".to_owned(),
    };
    no_reply(cause, result.last_line)
}

fn no_reply(cause: String, last_line: Option<String>) -> Problem {
    Problem::NoReply {
        cause,
        last_line: last_line.unwrap_or_else(|| "its log is empty".to_owned()),
    }
}
