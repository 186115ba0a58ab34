//! Calls to the engine: their time limits and what their errors mean.

use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerInspectResponse, MountPoint};
use bollard::query_parameters::ListContainersOptions;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::site::facts::Container;
use crate::site::helper_limits::MIN_API_VERSION;
use crate::site::paths::{Mount, MountMap};
use crate::site::problem::Problem;

/// A client with the time limit of its calls.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) docker: Docker,
    pub(super) socket: PathBuf,
    /// The limit of a simple call.
    pub(super) timeout: Duration,
}

impl Client {
    /// Waits for a simple call.
    pub(super) async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Problem> {
        self.call_within(self.timeout, action, call).await
    }

    /// Waits for a call that may need more time than a simple one.
    pub(super) async fn call_within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(|error| to_problem(error, &self.socket, action)),
            Err(_) => Err(self.hangs(limit, action)),
        }
    }

    /// Waits for a simple call whose subject may be missing: `None` for an error status for which
    /// `is_missing` holds.
    pub(super) async fn call_optional<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
        is_missing: impl Fn(u16) -> bool,
    ) -> Result<Option<T>, Problem> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(DockerError::DockerResponseServerError { status_code, .. }))
                if is_missing(status_code) =>
            {
                Ok(None)
            }
            Ok(Err(error)) => Err(to_problem(error, &self.socket, action)),
            Err(_) => Err(self.hangs(self.timeout, action)),
        }
    }

    fn hangs(&self, after: Duration, action: &'static str) -> Problem {
        Problem::EngineHangs {
            socket: self.socket.clone(),
            action,
            after,
        }
    }

    /// The container with this id or name; `None` if the engine does not know it.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Container>, Problem> {
        // The id becomes part of a request path, and some ids come from the workflow.
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if id.is_empty() || !id.bytes().all(is_allowed) {
            return Ok(None);
        }
        let found = self
            .call_optional(
                "inspect a container",
                self.docker.inspect_container(id, None),
                |status| status == 404,
            )
            .await?;
        Ok(found.map(to_container))
    }

    /// The ids of the containers that match the options.
    pub(super) async fn list_ids(
        &self,
        options: ListContainersOptions,
    ) -> Result<Vec<String>, Problem> {
        let listed = self.docker.list_containers(Some(options));
        let containers = self.call("list containers", listed).await?;
        Ok(containers
            .into_iter()
            .filter_map(|summary| summary.id)
            .collect())
    }
}

/// Translates an error of the client.
pub(super) fn to_problem(error: DockerError, socket: &Path, action: &'static str) -> Problem {
    // First, because the errors of a failed connection wrap the system call in several layers.
    if let Some(cause) = io_cause(&error) {
        return io_problem(cause, socket, action);
    }
    match error {
        DockerError::SocketNotFoundError(_) => Problem::NoSocket(socket.to_owned()),
        DockerError::RequestTimeoutError => Problem::EngineHangs {
            socket: socket.to_owned(),
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
            message: format!("{} (status {status_code})", collapse_white_space(&message)),
        },
        other => Problem::EngineRefused {
            action,
            message: collapse_white_space(&other.to_string()),
        },
    }
}

fn io_problem(error: &io::Error, socket: &Path, action: &'static str) -> Problem {
    let socket = socket.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Problem::NoSocket(socket),
        io::ErrorKind::PermissionDenied => Problem::SocketDenied {
            socket,
            uid: nix::unistd::geteuid().as_raw(),
        },
        io::ErrorKind::ConnectionRefused => Problem::NotListening(socket),
        _ => Problem::EngineRefused {
            action,
            message: error.to_string(),
        },
    }
}

/// An engine that does not support the client's version. Requests carry no version, but a proxy in
/// front of the engine may add one.
fn version_problem(message: &str) -> Problem {
    match message.split_once("Maximum supported API version is ") {
        Some((_, found)) => Problem::EngineTooOld {
            found: collapse_white_space(found),
            needed: MIN_API_VERSION,
        },
        None => Problem::EngineTooNew(collapse_white_space(message)),
    }
}

/// The failed system call behind an error.
fn io_cause(error: &DockerError) -> Option<&io::Error> {
    if let DockerError::IOError { err } = error {
        return Some(err);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn collapse_white_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn to_container(found: ContainerInspectResponse) -> Container {
    let config = found.config.unwrap_or_default();
    let upper_dir = found
        .graph_driver
        .and_then(|mut driver| driver.data.remove("UpperDir"));
    let mut labels: Vec<(String, String)> = config.labels.unwrap_or_default().into_iter().collect();
    // A map without an order; sorted, the same container gives the same labels each time.
    labels.sort();
    let mounts = found.mounts.unwrap_or_default();
    Container {
        id: found.id.unwrap_or_default(),
        image: found.image.unwrap_or_default(),
        labels,
        mounts: MountMap::new(mounts.into_iter().filter_map(to_mount)),
        network_mode: found
            .host_config
            .and_then(|host| host.network_mode)
            .unwrap_or_default(),
        running: found
            .state
            .and_then(|state| state.running)
            .unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        upper_dir: upper_dir.map(PathBuf::from),
    }
}

fn to_mount(found: MountPoint) -> Option<Mount> {
    Some(Mount {
        source: PathBuf::from(found.source?),
        destination: PathBuf::from(found.destination?),
        writable: found.rw.unwrap_or(true),
    })
}
