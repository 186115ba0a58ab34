//! The helper: a sibling of this container that sees the host and has the rights of the runner's
//! user, no others.
//!
//! The order of calls is the fast one: the stream is attached and the wait for its end is sent
//! before the start, so nothing it says is missed and nothing is asked afterwards.
//! `NetworkDisabled` saves the engine two executions of itself (65 to 90 ms of 230 measured) and
//! `NetworkMode` none stands behind it in case an engine drops the first.
//!
//! Its standard input is ours: when this process dies, however, the engine closes it and the helper
//! ends.

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};

use super::link::{AttachedStream, Session, SessionResult, WorkerHandle};
use super::{Client, DockerError};
use crate::site::detect::HIDDEN_DIRS;
use crate::site::problem::Problem;
use crate::site::worker as far;
use crate::site::worker::Identity;

/// Where the helper sees the host's root.
pub(crate) const HOST_ROOT: &str = "/host";

/// What the engine hides in every container by itself; naming paths to hide replaces its list.
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

/// How long making and starting a container may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the exit code is waited for when there was no reply.
const EXIT_LIMIT: Duration = Duration::from_secs(3);
/// How long clearing up may take.
const REMOVE_LIMIT: Duration = Duration::from_secs(2);

/// What a helper is made from.
#[derive(Debug, Clone)]
pub(crate) struct HelperSpec {
    /// Its name: this container's, so that a person finds what belongs together.
    pub(crate) name: String,
    /// The id of this container's image.
    pub(crate) image: String,
    /// The program in that image.
    pub(crate) program: PathBuf,
    /// Who it works as.
    pub(crate) identity: Identity,
    /// This container's labels: the runner removes what is left with its own.
    pub(crate) labels: Vec<(String, String)>,
}

/// The body of the request that makes the helper.
fn container_body(spec: &HelperSpec) -> ContainerCreateBody {
    let masks = ENGINE_MASKS.iter().map(ToString::to_string);
    let hidden = HIDDEN_DIRS.iter().map(|path| format!("{HOST_ROOT}{path}"));
    let Identity {
        uid, gid, groups, ..
    } = &spec.identity;
    let host = HostConfig {
        // No propagation is asked for: a host whose / is private refuses it, and the engine picks
        // what works.
        binds: Some(vec![format!("/:{HOST_ROOT}")]),
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec![
            "no-new-privileges".to_owned(),
            "label=disable".to_owned(),
        ]),
        readonly_rootfs: Some(true),
        auto_remove: Some(true),
        userns_mode: Some("host".to_owned()),
        group_add: Some(groups.iter().map(ToString::to_string).collect()),
        pids_limit: Some(512),
        oom_score_adj: Some(500),
        masked_paths: Some(masks.chain(hidden).collect()),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        user: Some(format!("{uid}:{gid}")),
        entrypoint: Some(vec![spec.program.to_string_lossy().into_owned()]),
        cmd: Some(vec![far::ARGUMENT.to_owned()]),
        working_dir: Some("/".to_owned()),
        network_disabled: Some(true),
        labels: Some(spec.labels.iter().cloned().collect()),
        attach_stdin: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// Makes a helper, talks to it, and leaves nothing behind.
pub(super) async fn run(
    client: &Client,
    spec: &HelperSpec,
    mut talk: Session<'_>,
) -> Result<SessionResult, Problem> {
    let mut creation = tokio::spawn(create(
        client.clone(),
        spec.name.clone(),
        container_body(spec),
    ));
    let begun = match talk
        .or_cancelled(async { flatten_join((&mut creation).await) })
        .await
    {
        Ok(()) => talk.or_cancelled(start(client, &spec.name)).await,
        Err(problem) => Err(problem),
    };
    let (link, exit) = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            // The engine carries out a request although nobody waits for it any more, and can't
            // remove what it is making.
            if !creation.is_finished() {
                drop(tokio::time::timeout(REMOVE_LIMIT, creation).await);
            }
            // By name: it may exist although its creation was not confirmed.
            remove(client, &spec.name).await;
            return Err(problem);
        }
    };
    let mut heard = link
        .run_session(
            talk,
            WorkerHandle::Helper {
                client,
                name: &spec.name,
            },
        )
        .await;
    if heard.stuck {
        // At once: what is left of the runner's patience is little.
        remove(client, &spec.name).await;
    } else if heard.reply.is_none() {
        heard.exit_code = tokio::time::timeout(EXIT_LIMIT, exit)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
    }
    Ok(heard)
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

type HelperExit = JoinHandle<Option<i64>>;

/// Waits, attaches and starts, in this order.
async fn start(client: &Client, name: &str) -> Result<(AttachedStream, HelperExit), Problem> {
    let exit = tokio::spawn({
        let (client, name) = (client.clone(), name.to_owned());
        async move { exit_code(&client, &name).await }
    });
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true);
    let attached = client
        .call_within(
            START_LIMIT,
            "attach to the helper",
            client.docker.attach_container(name, Some(options.build())),
        )
        .await?;
    client
        .call_within(
            START_LIMIT,
            "start the helper",
            client.docker.start_container(name, None),
        )
        .await?;
    Ok((AttachedStream::new(attached.input, attached.output), exit))
}

async fn exit_code(client: &Client, name: &str) -> Option<i64> {
    let options = WaitContainerOptionsBuilder::default()
        .condition("next-exit")
        .build();
    match std::pin::pin!(client.docker.wait_container(name, Some(options)))
        .next()
        .await?
    {
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
    // Best effort: it may be gone already, and the engine removes it when it ends.
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
            "Image": "sha256:00", "User": "1001:118", "Entrypoint": ["/main"], "Cmd": ["far"],
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
