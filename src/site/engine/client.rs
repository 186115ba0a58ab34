//! Calls to the engine: their version, their time limits and what their errors mean.

use hyper::Method;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http::{self, Call, CallError, Reply};
use super::replies::{Inspected, Listed};
use crate::site::facts::Container;
use crate::site::helper_limits::MIN_API_VERSION;
use crate::site::problem::Problem;

/// The newest version of the API that this client knows. Newer engines answer in this one.
const NEWEST_API: ApiVersion = ApiVersion(1, 52);

/// A version of the engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ApiVersion(u32, u32);

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// A client of the engine on one socket. Nothing is connected between calls.
#[derive(Debug, Clone)]
pub(super) struct Client {
    socket: PathBuf,
    /// The limit of a simple call.
    timeout: Duration,
    /// The version of the API in the paths of requests: the engine's, or the newest that this
    /// client knows.
    version: ApiVersion,
    /// The version that the engine prefers, as it writes it.
    pub(super) engine_version: String,
    /// Podman's imitation of the Docker Engine.
    pub(super) is_podman: bool,
}

impl Client {
    /// Asks the engine for its version. `timeout` limits each simple call.
    pub(super) async fn connect(socket: &Path, timeout: Duration) -> Result<Self, Problem> {
        const ACTION: &str = "tell its version";
        let mut client = Self {
            socket: socket.to_owned(),
            timeout,
            version: NEWEST_API,
            engine_version: String::new(),
            is_podman: false,
        };
        // The only path that every engine serves without a version.
        let ping = http::call(&client.socket, "", Call::new(Method::GET, "/_ping"));
        let reply = client.within(timeout, ACTION, ping).await?;
        let header = |name| {
            reply
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let found = header("Api-Version").unwrap_or_default();
        let Some(version) = ApiVersion::parse(found) else {
            return Err(Problem::EngineRefused {
                action: ACTION,
                message: "its answer to `/_ping` names no version of the API".to_owned(),
            });
        };
        client.is_podman = header("Libpod-API-Version").is_some();
        found.clone_into(&mut client.engine_version);
        client.version = version.min(NEWEST_API);
        Ok(client)
    }

    fn version_path(&self) -> String {
        let ApiVersion(major, minor) = self.version;
        format!("/v{major}.{minor}")
    }

    /// Makes a simple call.
    pub(super) async fn call(&self, action: &'static str, call: Call) -> Result<Reply, Problem> {
        self.call_within(self.timeout, action, call).await
    }

    /// Makes a call that may need more time than a simple one.
    pub(super) async fn call_within(
        &self,
        limit: Duration,
        action: &'static str,
        call: Call,
    ) -> Result<Reply, Problem> {
        let version = self.version_path();
        let call = http::call(&self.socket, &version, call);
        self.within(limit, action, call).await
    }

    /// Makes a simple call whose subject may be missing: `None` for an error status for which
    /// `is_missing` holds.
    pub(super) async fn call_optional(
        &self,
        action: &'static str,
        call: Call,
        is_missing: impl Fn(u16) -> bool,
    ) -> Result<Option<Reply>, Problem> {
        self.call_optional_within(self.timeout, action, call, is_missing)
            .await
    }

    pub(super) async fn call_optional_within(
        &self,
        limit: Duration,
        action: &'static str,
        call: Call,
        is_missing: impl Fn(u16) -> bool,
    ) -> Result<Option<Reply>, Problem> {
        let version = self.version_path();
        let call = async {
            match http::call(&self.socket, &version, call).await {
                Ok(reply) => Ok(Some(reply)),
                Err(CallError::Status(status, _)) if is_missing(status) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.within(limit, action, call).await
    }

    /// Makes a call without a time limit, for a caller that has its own.
    pub(super) async fn call_unlimited(&self, call: Call) -> Option<Reply> {
        http::call(&self.socket, &self.version_path(), call)
            .await
            .ok()
    }

    /// Makes a call whose connection then carries the streams of a container.
    pub(super) async fn attach_within(
        &self,
        limit: Duration,
        action: &'static str,
        call: Call,
    ) -> Result<TokioIo<hyper::upgrade::Upgraded>, Problem> {
        let version = self.version_path();
        let call = http::upgrade(&self.socket, &version, call);
        self.within(limit, action, call).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(|error| self.problem(error, action)),
            Err(_) => Err(Problem::EngineHangs {
                socket: self.socket.clone(),
                action,
                after: limit,
            }),
        }
    }

    /// The value in a reply.
    pub(super) fn parse<'de, T: serde::Deserialize<'de>>(
        &self,
        action: &'static str,
        reply: &'de Reply,
    ) -> Result<T, Problem> {
        reply.parse().map_err(|error| self.problem(error, action))
    }

    /// The container with this id or name; `None` if the engine does not know it.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Container>, Problem> {
        const ACTION: &str = "inspect a container";
        // The id becomes part of a request path, and some ids come from the workflow.
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if id.is_empty() || id.starts_with('.') || !id.bytes().all(is_allowed) {
            return Ok(None);
        }
        let call = Call::new(Method::GET, &format!("/containers/{id}/json"));
        let reply = self
            .call_optional(ACTION, call, |status| status == 404)
            .await?;
        reply
            .map(|reply| Ok(self.parse::<Inspected>(ACTION, &reply)?.into()))
            .transpose()
    }

    /// Containers, as `GET /containers/json` lists them with these parameters.
    pub(super) async fn list(&self, parameters: &[(&str, &str)]) -> Result<Vec<Listed>, Problem> {
        const ACTION: &str = "list containers";
        let call = parameters.iter().fold(
            Call::new(Method::GET, "/containers/json"),
            |call, (name, value)| call.query(name, value),
        );
        let reply = self.call(ACTION, call).await?;
        self.parse(ACTION, &reply)
    }

    /// Removes a container. An error is not reported: the container may be gone.
    pub(super) async fn remove(&self, name: &str, force: bool, limit: Duration) {
        let call = Call::new(Method::DELETE, &format!("/containers/{name}"))
            .query("force", if force { "true" } else { "false" })
            .query("v", "true");
        drop(self.call_within(limit, "remove a container", call).await);
    }

    fn problem(&self, error: CallError, action: &'static str) -> Problem {
        match error {
            CallError::Io(error) => io_problem(&error, &self.socket, action),
            CallError::Status(_, message) if message.contains("client version") => {
                version_problem(message)
            }
            CallError::Status(status, message) => Problem::EngineRefused {
                action,
                message: format!("{message} (status {status})"),
            },
            CallError::Protocol(message) => Problem::EngineRefused { action, message },
        }
    }
}

/// A `filters` parameter: names and values.
pub(super) fn filters(filters: &[(&str, &[&str])]) -> String {
    let map = filters
        .iter()
        .map(|(name, values)| ((*name).to_owned(), Value::from(values.to_vec())));
    Value::Object(map.collect()).to_string()
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

/// An engine that does not support the version in the path of a request. A proxy in front of the
/// engine may ask for another one, too.
fn version_problem(message: String) -> Problem {
    match message.split_once("Maximum supported API version is ") {
        Some((_, found)) => Problem::EngineTooOld {
            found: found.to_owned(),
            needed: MIN_API_VERSION,
        },
        None => Problem::EngineTooNew(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let parse = |text| ApiVersion::parse(text);
        assert_eq!(parse("1.41"), Some(ApiVersion(1, 41)));
        assert!(parse("1.9") < parse("1.38"));
        assert_eq!((parse(""), parse("1"), parse("v1.41")), (None, None, None));
    }

    #[test]
    fn filters_are_json() {
        let label = filters(&[("label", &["a"]), ("status", &["created"])]);
        assert_eq!(label, r#"{"label":["a"],"status":["created"]}"#);
    }
}
