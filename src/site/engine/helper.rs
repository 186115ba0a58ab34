//! The helper: a sibling of this container that sees the host and has the rights of the runner's
//! user and no others.
//!
//! The calls are in the fastest order: the stream is attached, and the wait for the exit code is
//! sent, before the container starts. So no output is lost and no call is needed afterwards.
//! `NetworkDisabled` saves the engine from executing itself twice (65 to 90 ms of 230 measured).
//! `NetworkMode` `none` is there for engines that ignore the first. A helper that needs the remote
//! shares the network of this container: it reaches what the action's own process reaches.
//!
//! This process holds the other end of the helper's standard input: however this process dies, the
//! engine closes that input and the helper ends. Only a helper that copies entries after the job goes
//! on. It has no label of the runner, which removes the containers with its label at the end of the
//! job, and a network of its own.

use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};

use super::attached_stream::{AttachedStream, WorkerHandle};
use super::client::Client;
use super::http::Call;
use super::replies::Waited;
use super::session::{Session, SessionResult};
use super::stale_helpers::{self, PARENT_LABEL};
use crate::site::helper_limits::HOST_ROOT;
use crate::site::problem::Problem;
use crate::site::worker::identity::Identity;
use crate::site::worker::process::ARGUMENT;

/// The paths that the engine masks in every container. Setting `MaskedPaths` replaces its list, so
/// they are repeated.
const ENGINE_MASKS: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// The limit of each call that creates or starts a container, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The limit for the exit code when there was no reply.
const EXIT_LIMIT: Duration = Duration::from_secs(3);
const REMOVE_LIMIT: Duration = Duration::from_secs(2);

/// What a helper is created from.
#[derive(Debug, Clone)]
pub(crate) struct HelperSpec {
    /// Contains this container's id, so that a person sees which containers belong together.
    pub(crate) name: String,
    /// The id of this container.
    pub(crate) parent: String,
    /// The id of this container's image.
    pub(crate) image: String,
    /// The name of that image, for an engine that does not find it by its id.
    pub(crate) image_name: String,
    /// The program in that image.
    pub(crate) program: PathBuf,
    /// The user that the helper runs as.
    pub(crate) identity: Identity,
    pub(crate) network: HelperNetwork,
    /// Directories and files of the host that the helper must not see.
    pub(crate) hidden: Vec<PathBuf>,
    /// This container's labels: the runner removes what is left over with its labels. None for a helper
    /// that goes on after the job.
    pub(crate) labels: Vec<(String, String)>,
}

/// Which network a helper has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HelperNetwork {
    None,
    /// That of this container.
    OfParent,
    /// The engine's default one, which is there when this container is gone.
    Default,
}

/// The body of the request that creates the helper.
fn container_body(spec: &HelperSpec, image: &str, is_podman: bool) -> Value {
    let Identity { uid, gid, .. } = spec.identity;
    let mut labels: BTreeMap<&str, &str> = spec
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    labels.insert(PARENT_LABEL, &spec.parent);
    json!({
        "Image": image,
        "User": format!("{uid}:{gid}"),
        "Entrypoint": [spec.program.to_string_lossy()],
        "Cmd": [ARGUMENT],
        "WorkingDir": "/",
        "NetworkDisabled": spec.network == HelperNetwork::None,
        "Labels": labels,
        "AttachStdin": true,
        "OpenStdin": true,
        // Closes the input when the connection of this process ends.
        "StdinOnce": true,
        "AttachStdout": true,
        "AttachStderr": true,
        "HostConfig": host_config(spec, is_podman),
    })
}

fn host_config(spec: &HelperSpec, is_podman: bool) -> Value {
    let groups = spec.identity.groups.iter().map(ToString::to_string);
    let hidden: Vec<String> = spec
        .hidden
        .iter()
        .map(|path| format!("{HOST_ROOT}{}", path.display()))
        .collect();
    let engine_masks = ENGINE_MASKS.iter().map(ToString::to_string);
    let mut security_options = vec![
        "no-new-privileges".to_owned(),
        // SELinux labels would keep the helper from the host's files.
        "label=disable".to_owned(),
    ];
    if is_podman {
        // Podman ignores `MaskedPaths`, and Docker refuses this option.
        security_options.push(format!("mask={}", hidden.join(":")));
    }
    let network = match spec.network {
        HelperNetwork::None => "none".to_owned(),
        HelperNetwork::OfParent => format!("container:{}", spec.parent),
        HelperNetwork::Default => "bridge".to_owned(),
    };
    json!({
        // No mount propagation is set: a host whose / is private refuses it, and the engine selects
        // a mode that works.
        "Binds": [format!("/:{HOST_ROOT}")],
        "NetworkMode": network,
        "CapDrop": ["ALL"],
        "SecurityOpt": security_options,
        "ReadonlyRootfs": true,
        "AutoRemove": true,
        // With remapped users, the uids of the runner's files would differ in the helper.
        "UsernsMode": "host",
        "GroupAdd": groups.collect::<Vec<_>>(),
        "PidsLimit": 512,
        // When memory runs out, the kernel kills the helper rather than the runner.
        "OomScoreAdj": 500,
        "MaskedPaths": engine_masks.chain(hidden.iter().cloned()).collect::<Vec<_>>(),
    })
}

/// Creates a helper, runs it until it ends, and leaves nothing behind.
pub(super) async fn run(
    client: &Client,
    spec: &HelperSpec,
    mut session: Session<'_>,
) -> Result<SessionResult, Problem> {
    // Beside the other calls: it costs no time of its own.
    let removal = tokio::spawn(stale_helpers::remove(client.clone(), spec.parent.clone()));
    let (stream, exit) = create_and_start(client, spec, &mut session).await?;
    let worker = WorkerHandle::Helper {
        client,
        name: &spec.name,
    };
    let mut result = stream.run_session(session, worker).await;
    if result.stuck {
        // Without another wait: the runner kills this container soon after it asked it to stop.
        client.remove(&spec.name, true, REMOVE_LIMIT).await;
    } else if result.reply.is_none() {
        result.exit_code = tokio::time::timeout(EXIT_LIMIT, exit)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
    }
    if !result.stuck {
        drop(tokio::time::timeout(REMOVE_LIMIT, removal).await);
    }
    Ok(result)
}

/// Creates a helper that goes on when this process ends, and waits for its reply. One that does not
/// reply is removed.
pub(super) async fn start_detached(
    client: &Client,
    spec: &HelperSpec,
    mut session: Session<'_>,
) -> Result<SessionResult, Problem> {
    let (stream, _) = create_and_start(client, spec, &mut session).await?;
    let worker = WorkerHandle::Helper {
        client,
        name: &spec.name,
    };
    let result = stream.run_session(session, worker).await;
    if result.reply.is_none() {
        client.remove(&spec.name, true, REMOVE_LIMIT).await;
    }
    Ok(result)
}

type ExitCode = JoinHandle<Option<i64>>;

async fn create_and_start(
    client: &Client,
    spec: &HelperSpec,
    session: &mut Session<'_>,
) -> Result<(AttachedStream, ExitCode), Problem> {
    let mut creation = tokio::spawn(create(client.clone(), spec.clone()));
    let created = session
        .or_cancelled(async { flatten_join((&mut creation).await) })
        .await;
    let started = match created {
        Ok(()) => session.or_cancelled(start(client, &spec.name)).await,
        Err(problem) => Err(problem),
    };
    if started.is_err() {
        // The engine completes a request even if nobody waits for it any more, and it can't remove
        // a container that it is still creating.
        if !creation.is_finished() {
            drop(tokio::time::timeout(REMOVE_LIMIT, creation).await);
        }
        // By name: the container may exist although its creation was not confirmed.
        client.remove(&spec.name, true, REMOVE_LIMIT).await;
    }
    started
}

/// Creates the container from its image's id; if the engine does not know that id, from its name.
async fn create(client: Client, spec: HelperSpec) -> Result<(), Problem> {
    const ACTION: &str = "create the helper";
    let by_id = create_call(&client, &spec, &spec.image);
    let is_missing = |status| status == 404 && !spec.image_name.is_empty();
    let created = client
        .call_optional_within(START_LIMIT, ACTION, by_id, is_missing)
        .await?;
    if created.is_none() {
        let by_name = create_call(&client, &spec, &spec.image_name);
        client.call_within(START_LIMIT, ACTION, by_name).await?;
    }
    Ok(())
}

fn create_call(client: &Client, spec: &HelperSpec, image: &str) -> Call {
    Call::new(Method::POST, "/containers/create")
        .query("name", &spec.name)
        .json(&container_body(spec, image, client.is_podman))
}

fn flatten_join(result: Result<Result<(), Problem>, JoinError>) -> Result<(), Problem> {
    result.unwrap_or_else(|error| {
        Err(Problem::EngineRefused {
            action: "create the helper",
            message: error.to_string(),
        })
    })
}

/// Waits for the exit code, attaches the streams and starts the container, in this order.
async fn start(client: &Client, name: &str) -> Result<(AttachedStream, ExitCode), Problem> {
    let exit = tokio::spawn({
        let (client, name) = (client.clone(), name.to_owned());
        async move { exit_code(&client, &name).await }
    });
    let attach = ["stream", "stdin", "stdout", "stderr"].into_iter().fold(
        Call::new(Method::POST, &format!("/containers/{name}/attach")),
        |call, stream| call.query(stream, "true"),
    );
    let streams = client
        .attach_within(START_LIMIT, "attach to the helper", attach)
        .await?;
    let start = Call::new(Method::POST, &format!("/containers/{name}/start"));
    client
        .call_within(START_LIMIT, "start the helper", start)
        .await?;
    Ok((AttachedStream::new(streams), exit))
}

async fn exit_code(client: &Client, name: &str) -> Option<i64> {
    let wait = Call::new(Method::POST, &format!("/containers/{name}/wait"))
        // The default, `not-running`, holds for a container that has not started yet.
        .query("condition", "next-exit");
    let reply = client.call_unlimited(wait).await?;
    reply.parse::<Waited>().ok()?.status_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_made_with_exactly_these_rights() {
        let spec = HelperSpec {
            name: "x".to_owned(),
            parent: "ab".to_owned(),
            image: "sha256:00".to_owned(),
            image_name: "image".to_owned(),
            program: PathBuf::from("/main"),
            identity: Identity {
                uid: 1001,
                gid: 118,
                groups: vec![4, 27],
                settled: true,
            },
            network: HelperNetwork::None,
            hidden: vec![PathBuf::from("/proc"), PathBuf::from("/var/lib/docker")],
            labels: vec![("abcdef".to_owned(), String::new())],
        };
        let mut expected = serde_json::json!({
            "Image": "sha256:00", "User": "1001:118", "Entrypoint": ["/main"], "Cmd": ["worker"],
            "WorkingDir": "/", "NetworkDisabled": true, "Labels": {"abcdef": "", "local-cache.parent": "ab"},
            "AttachStdin": true, "OpenStdin": true, "StdinOnce": true, "AttachStdout": true, "AttachStderr": true,
            "HostConfig": {
                "Binds": ["/:/host"], "NetworkMode": "none", "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges", "label=disable"], "ReadonlyRootfs": true, "AutoRemove": true,
                "UsernsMode": "host", "GroupAdd": ["4", "27"], "PidsLimit": 512, "OomScoreAdj": 500,
                "MaskedPaths": [
                    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                    "/host/proc", "/host/var/lib/docker",
                ],
            },
        });
        assert_eq!(container_body(&spec, "sha256:00", false), expected);
        // Podman hides paths by an option that Docker refuses.
        expected["HostConfig"]["SecurityOpt"] = serde_json::json!([
            "no-new-privileges",
            "label=disable",
            "mask=/host/proc:/host/var/lib/docker"
        ]);
        assert_eq!(container_body(&spec, "sha256:00", true), expected);
        // For the remote it gets a network, and nothing else.
        expected["NetworkDisabled"] = false.into();
        expected["HostConfig"]["NetworkMode"] = "container:ab".into();
        let spec = HelperSpec {
            network: HelperNetwork::OfParent,
            ..spec
        };
        assert_eq!(container_body(&spec, "sha256:00", true), expected);
        // What outlives its parent cannot use the parent's network.
        expected["HostConfig"]["NetworkMode"] = "bridge".into();
        let spec = HelperSpec {
            network: HelperNetwork::Default,
            ..spec
        };
        assert_eq!(container_body(&spec, "sha256:00", true), expected);
    }
}
