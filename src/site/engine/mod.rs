//! The Docker Engine: the only place that knows it, and the only one with an asynchronous runtime.
//!
//! The client sends requests without a version in their paths, so each engine answers in the
//! version it prefers: Docker 29 refuses clients below 1.44 and Docker 20.10 those above 1.41, and
//! there is no number that suits both. A test with an engine of its own watches the paths, because
//! the client's documentation does not promise this.
//!
//! Every call has a time limit, and so has reading its answer: a socket that takes connections and
//! says nothing must not hold up a job.

mod helper;
mod job;
mod link;
mod own;

pub(crate) use helper::{HOST_ROOT, HelperSpec};
pub(crate) use job::JobSpec;
pub(crate) use link::{Session, SessionResult};

use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerInspectResponse, MountPoint};
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

use super::detect::MIN_API_VERSION;
use super::facts::{Container, EngineReport};
use super::paths::{Mount, MountMap};
use super::problem::Problem;

/// What this process knows about the container it runs in.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContainerHints {
    /// Ids that the kernel's files name, most likely first.
    pub(crate) candidates: Vec<String>,
    /// The writable layer of the root.
    pub(crate) upper_dir: Option<PathBuf>,
    /// `NAME=value` of the files that the runner made for this very stage.
    pub(crate) stage_files: Vec<String>,
}

/// What is asked of the engine before the decision.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineQuery {
    /// To find this process's container; nothing outside of containers.
    pub(crate) hints: Option<ContainerHints>,
    /// The job container's id, if the workflow told it.
    pub(crate) job_container: Option<String>,
    /// The runner's work directory on the host, by which a job's container is recognised.
    pub(crate) work_directory: Option<PathBuf>,
}

/// A connection to the engine on one socket.
pub(crate) struct Engine {
    runtime: Runtime,
    client: Client,
}

/// The client and the limits of its calls.
#[derive(Clone)]
struct Client {
    docker: Docker,
    socket: PathBuf,
    timeout: Duration,
}

impl Engine {
    /// Prepares to talk to the engine on `socket`. Nothing is sent yet; `patience` is the limit of
    /// a simple question.
    pub(crate) fn connect(socket: &Path, patience: Duration) -> Result<Self, Problem> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Problem::io("start the runtime for", socket, &error))?;
        // The client's own limit, in whole seconds, is only a backstop behind `Client::call`.
        let backstop = patience.as_secs().saturating_add(60);
        let name = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&name, backstop, bollard::API_DEFAULT_VERSION)
            .map_err(|error| to_problem(error, socket, "connect"))?;
        Ok(Self {
            runtime,
            client: Client {
                docker,
                socket: socket.to_owned(),
                timeout: patience,
            },
        })
    }

    /// Answers the questions on which the decision depends.
    pub(crate) fn query(&self, question: &EngineQuery) -> Result<EngineReport, Problem> {
        self.runtime.block_on(async {
            let client = &self.client;
            let version = client.call("tell its version", client.docker.version());
            let own = async {
                match &question.hints {
                    Some(clues) => own::identify(client, clues).await,
                    None => Ok(None),
                }
            };
            let (version, own) = tokio::try_join!(version, own)?;
            let job = job::find(client, own.as_ref(), question).await?;
            Ok(EngineReport {
                api_version: version.api_version,
                own_container: own,
                job_container: job,
            })
        })
    }

    /// Runs a helper on the host and talks to it until it ends.
    pub(crate) fn run_helper(
        &self,
        spec: &HelperSpec,
        talk: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.runtime.block_on(helper::run(&self.client, spec, talk))
    }

    /// Runs the program in the job's container and talks to it until it ends.
    pub(crate) fn run_in_job(
        &self,
        spec: &JobSpec,
        talk: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.runtime.block_on(job::run(&self.client, spec, talk))
    }
}

impl Client {
    /// One call, with the limit for simple questions.
    async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Problem> {
        self.call_within(self.timeout, action, call).await
    }

    /// One call, with a limit of its own.
    async fn call_within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(|error| to_problem(error, &self.socket, action)),
            Err(_) => Err(Problem::EngineHangs {
                socket: self.socket.clone(),
                action,
                after: limit,
            }),
        }
    }

    /// The container with this id or name; nothing when the engine does not know it.
    async fn inspect(&self, id: &str) -> Result<Option<Container>, Problem> {
        // The id becomes part of a path, and some come from the workflow.
        if id.is_empty()
            || !id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        {
            return Ok(None);
        }
        let answer =
            tokio::time::timeout(self.timeout, self.docker.inspect_container(id, None)).await;
        match answer {
            Ok(Ok(found)) => Ok(Some(to_container(found))),
            Ok(Err(DockerError::DockerResponseServerError {
                status_code: 404, ..
            })) => Ok(None),
            Ok(Err(error)) => Err(to_problem(error, &self.socket, "inspect a container")),
            Err(_) => {
                let action = "inspect a container";
                Err(Problem::EngineHangs {
                    socket: self.socket.clone(),
                    action,
                    after: self.timeout,
                })
            }
        }
    }
}

/// What an error of the client means.
fn to_problem(error: DockerError, socket: &Path, action: &'static str) -> Problem {
    let socket = socket.to_owned();
    if let Some(cause) = io_cause(&error) {
        return match cause.kind() {
            io::ErrorKind::NotFound => Problem::NoSocket(socket),
            io::ErrorKind::PermissionDenied => Problem::SocketDenied {
                socket,
                uid: nix::unistd::geteuid().as_raw(),
            },
            io::ErrorKind::ConnectionRefused => Problem::NotListening(socket),
            _ => Problem::EngineRefused {
                action,
                message: cause.to_string(),
            },
        };
    }
    match error {
        DockerError::SocketNotFoundError(_) => Problem::NoSocket(socket),
        DockerError::RequestTimeoutError => Problem::EngineHangs {
            socket,
            action,
            after: Duration::from_secs(60),
        },
        DockerError::DockerResponseServerError { message, .. }
            if message.contains("client version") =>
        {
            version_problem(&message)
        }
        DockerError::DockerResponseServerError {
            status_code,
            message,
        } => Problem::EngineRefused {
            action,
            message: format!("{} (status {status_code})", one_line(&message)),
        },
        other => Problem::EngineRefused {
            action,
            message: one_line(&other.to_string()),
        },
    }
}

/// What an engine means that finds this client's version unsuitable. It is not sent any; a proxy
/// before it may add one.
fn version_problem(message: &str) -> Problem {
    match message.split_once("Maximum supported API version is ") {
        Some((_, found)) => Problem::EngineTooOld {
            found: one_line(found),
            needed: MIN_API_VERSION,
        },
        None => Problem::EngineTooNew(one_line(message)),
    }
}

/// The failed system call at the bottom of an error, if there is one.
fn io_cause(error: &DockerError) -> Option<&io::Error> {
    let mut cause = error.source();
    if let DockerError::IOError { err } = error {
        return Some(err);
    }
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn to_container(found: ContainerInspectResponse) -> Container {
    let config = found.config.unwrap_or_default();
    let upper = found
        .graph_driver
        .and_then(|mut driver| driver.data.remove("UpperDir"));
    let mut labels: Vec<(String, String)> = config.labels.unwrap_or_default().into_iter().collect();
    labels.sort();
    Container {
        id: found.id.unwrap_or_default(),
        image: found.image.unwrap_or_default(),
        labels,
        mounts: MountMap::new(
            found
                .mounts
                .unwrap_or_default()
                .into_iter()
                .filter_map(to_mount),
        ),
        network_mode: found
            .host_config
            .and_then(|host| host.network_mode)
            .unwrap_or_default(),
        running: found
            .state
            .and_then(|state| state.running)
            .unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        upper_dir: upper.map(PathBuf::from),
    }
}

fn to_mount(found: MountPoint) -> Option<Mount> {
    Some(Mount {
        source: PathBuf::from(found.source?),
        destination: PathBuf::from(found.destination?),
        writable: found.rw.unwrap_or(true),
    })
}
