//! The helper: a sibling of this container that sees the host and has the rights of the runner's
//! user and no others.
//!
//! The calls are in the fastest order: the stream is attached, and the wait for the exit code is
//! sent, before the container starts. So no output is lost and no call is needed afterwards.
//! `NetworkDisabled` saves the engine from executing itself twice (65 to 90 ms of 230 measured).
//! `NetworkMode` `none` is there for engines that ignore the first.
//!
//! This process holds the other end of the helper's standard input: however this process dies, the
//! engine closes that input and the helper ends.

use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};

use super::attached_stream::{AttachedStream, WorkerHandle};
use super::client::Client;
use super::session::{Session, SessionResult};
use crate::site::helper_limits::{HIDDEN_DIRS, HOST_ROOT};
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
    /// The id of this container's image.
    pub(crate) image: String,
    /// The program in that image.
    pub(crate) program: PathBuf,
    /// The user that the helper runs as.
    pub(crate) identity: Identity,
    /// This container's labels: the runner removes what is left over with its labels.
    pub(crate) labels: Vec<(String, String)>,
}

/// The body of the request that creates the helper.
fn container_body(spec: &HelperSpec) -> ContainerCreateBody {
    let Identity { uid, gid, .. } = spec.identity;
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        user: Some(format!("{uid}:{gid}")),
        entrypoint: Some(vec![spec.program.to_string_lossy().into_owned()]),
        cmd: Some(vec![ARGUMENT.to_owned()]),
        working_dir: Some("/".to_owned()),
        network_disabled: Some(true),
        labels: Some(spec.labels.iter().cloned().collect()),
        attach_stdin: Some(true),
        open_stdin: Some(true),
        // Closes the input when the connection of this process ends.
        stdin_once: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host_config(&spec.identity.groups)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(groups: &[u32]) -> HostConfig {
    let engine_masks = ENGINE_MASKS.iter().map(ToString::to_string);
    let hidden = HIDDEN_DIRS.iter().map(|dir| format!("{HOST_ROOT}{dir}"));
    HostConfig {
        // No mount propagation is set: a host whose / is private refuses it, and the engine selects
        // a mode that works.
        binds: Some(vec![format!("/:{HOST_ROOT}")]),
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec![
            "no-new-privileges".to_owned(),
            // SELinux labels would keep the helper from the host's files.
            "label=disable".to_owned(),
        ]),
        readonly_rootfs: Some(true),
        auto_remove: Some(true),
        // With remapped users, the uids of the runner's files would differ in the helper.
        userns_mode: Some("host".to_owned()),
        group_add: Some(groups.iter().map(ToString::to_string).collect()),
        pids_limit: Some(512),
        // When memory runs out, the kernel kills the helper rather than the runner.
        oom_score_adj: Some(500),
        masked_paths: Some(engine_masks.chain(hidden).collect()),
        ..HostConfig::default()
    }
}

/// Creates a helper, runs it until it ends, and leaves nothing behind.
pub(super) async fn run(
    client: &Client,
    spec: &HelperSpec,
    mut session: Session<'_>,
) -> Result<SessionResult, Problem> {
    let (stream, exit) = create_and_start(client, spec, &mut session).await?;
    let worker = WorkerHandle::Helper {
        client,
        name: &spec.name,
    };
    let mut result = stream.run_session(session, worker).await;
    if result.stuck {
        // Without another wait: the runner kills this container soon after it asked it to stop.
        remove(client, &spec.name).await;
    } else if result.reply.is_none() {
        result.exit_code = tokio::time::timeout(EXIT_LIMIT, exit)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
    }
    Ok(result)
}

type ExitCode = JoinHandle<Option<i64>>;

async fn create_and_start(
    client: &Client,
    spec: &HelperSpec,
    session: &mut Session<'_>,
) -> Result<(AttachedStream, ExitCode), Problem> {
    let mut creation = tokio::spawn(create(
        client.clone(),
        spec.name.clone(),
        container_body(spec),
    ));
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
        remove(client, &spec.name).await;
    }
    started
}

async fn create(client: Client, name: String, body: ContainerCreateBody) -> Result<(), Problem> {
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let creation = client.docker.create_container(Some(options), body);
    client
        .call_within(START_LIMIT, "create the helper", creation)
        .await
        .map(drop)
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
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attach = client.docker.attach_container(name, Some(options));
    let attached = client
        .call_within(START_LIMIT, "attach to the helper", attach)
        .await?;
    let start = client.docker.start_container(name, None);
    client
        .call_within(START_LIMIT, "start the helper", start)
        .await?;
    Ok((AttachedStream::new(attached.input, attached.output), exit))
}

async fn exit_code(client: &Client, name: &str) -> Option<i64> {
    let options = WaitContainerOptionsBuilder::default()
        // The default, `not-running`, holds for a container that has not started yet.
        .condition("next-exit")
        .build();
    let mut wait = std::pin::pin!(client.docker.wait_container(name, Some(options)));
    match wait.next().await? {
        Ok(answer) => Some(answer.status_code),
        Err(DockerError::DockerContainerWaitError { code, .. }) => Some(code),
        Err(_) => None,
    }
}

async fn remove(client: &Client, name: &str) {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    let removal = client.docker.remove_container(name, Some(options));
    // Best effort: the container may be gone, and the engine removes it when it ends.
    drop(tokio::time::timeout(REMOVE_LIMIT, removal).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_made_with_exactly_these_rights() {
        let spec = HelperSpec {
            name: "x".to_owned(),
            image: "sha256:00".to_owned(),
            program: PathBuf::from("/main"),
            identity: Identity {
                uid: 1001,
                gid: 118,
                groups: vec![4, 27],
                settled: true,
            },
            labels: vec![("abcdef".to_owned(), String::new())],
        };
        let expected = serde_json::json!({
            "Image": "sha256:00", "User": "1001:118", "Entrypoint": ["/main"], "Cmd": ["worker"],
            "WorkingDir": "/", "NetworkDisabled": true, "Labels": {"abcdef": ""},
            "AttachStdin": true, "OpenStdin": true, "StdinOnce": true, "AttachStdout": true, "AttachStderr": true,
            "HostConfig": {
                "Binds": ["/:/host"], "NetworkMode": "none", "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges", "label=disable"], "ReadonlyRootfs": true, "AutoRemove": true,
                "UsernsMode": "host", "GroupAdd": ["4", "27"], "PidsLimit": 512, "OomScoreAdj": 500,
                "MaskedPaths": [
                    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                    "/host/proc", "/host/sys", "/host/dev", "/host/run", "/host/var/lib/docker",
                ],
            },
        });
        assert_eq!(
            serde_json::to_value(container_body(&spec)).unwrap(),
            expected
        );
    }
}
