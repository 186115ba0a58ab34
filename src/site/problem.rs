//! Why a job can't run at a site.
//!
//! Each variant is one line: what is wrong, on which path, and what to do next. Callers compare
//! variants or [`Problem::code`], never texts.

use std::path::PathBuf;
use std::time::Duration;

/// Why a site can't be used, or why there is no reply from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    // ---- in this process
    #[error("the cache root {path} is not mounted in this container; mount it with `-v {path}:{path}`, or leave `site` on `auto`", path = .0.display())]
    RootNotMounted(PathBuf),
    #[error("{path} is not mounted in this container; mount it with `-v {path}:{path}`, or leave `site` on `auto`", path = .0.display())]
    PathNotMounted(PathBuf),

    /// Files created in this container would not belong to the runner's user.
    #[error(
        "this container runs as uid {uid}, so what it writes would not belong to uid {owner} who owns the workspace; run it with `--user {owner}`, or leave `site` on `auto`"
    )]
    OtherUser { uid: u32, owner: u32 },

    // ---- the engine's socket
    #[error("no Docker Engine answers: {path} does not exist; install Docker on the runner, or run local-cache in a `run:` step", path = .0.display())]
    NoSocket(PathBuf),
    /// Runners of Forgejo and Gitea mount no socket unless they are configured to.
    #[error("the runner mounts no socket of a Docker Engine: {path} does not exist; set `container.docker_host: automount` in the runner's configuration, or use the native action", path = .0.display())]
    NoSocketOfForge(PathBuf),
    /// There is no socket, and this is a Kubernetes pod.
    #[error("this runner works in a Kubernetes pod without {path}, so the node's disk is out of reach; mount a volume at the cache root and run local-cache in a `run:` step", path = .0.display())]
    Kubernetes(PathBuf),
    /// EACCES in a container whose root is not root outside.
    #[error("no permission on {path}: the engine runs with userns-remap, so a container action is not root outside; remove `userns-remap` from the engine's daemon.json, or run local-cache in a `run:` step", path = .0.display())]
    UsernsRemap(PathBuf),
    /// EACCES in a container that `SELinux` confines.
    #[error("no permission on {path}: SELinux keeps containers away from the engine's socket; allow it on the runner (a policy with `container_t docker_sock`), or run local-cache in a `run:` step", path = .0.display())]
    Selinux(PathBuf),
    /// EACCES for any other reason.
    #[error(
        "no permission on {} as uid {uid}; run this container as root, or give it the group that owns the socket with `--group-add`",
        .socket.display()
    )]
    SocketDenied { socket: PathBuf, uid: u32 },
    #[error("the Docker Engine does not listen on {path}; start it on the runner (`systemctl start docker`)", path = .0.display())]
    NotListening(PathBuf),
    #[error(
        "the Docker Engine on {} did not answer to `{action}` within {} s; look at its log on the runner (`journalctl -u docker`)",
        .socket.display(), .after.as_secs()
    )]
    EngineHangs {
        socket: PathBuf,
        /// What the engine was asked to do.
        action: &'static str,
        after: Duration,
    },
    /// `DOCKER_HOST` is not a socket on this machine.
    #[error(
        "DOCKER_HOST is {0}: an engine on another machine cannot reach this runner's disk; unset DOCKER_HOST for this job"
    )]
    RemoteEngine(String),
    /// The engine is on another machine, or in a container of its own.
    #[error(
        "the Docker Engine does not run on the runner's own machine ({0}); run local-cache in a `run:` step, or give the runner its host's socket"
    )]
    EngineElsewhere(String),
    #[error(
        "the Docker Engine is too old: its API is {found}, {needed} is needed; update Docker on the runner to 18.09 or later"
    )]
    EngineTooOld { found: String, needed: &'static str },
    /// The engine does not support this client any more.
    #[error(
        "the Docker Engine is too new for this local-cache ({0}); use a newer version of the action"
    )]
    EngineTooNew(String),
    #[error(
        "the Docker Engine refused to {action}: {message}; the engine's log on the runner may say more"
    )]
    EngineRefused {
        /// What the engine was asked to do.
        action: &'static str,
        message: String,
    },

    // ---- this container, the job's container
    #[error("the Docker Engine on {path} does not know the container that this runs in; it is probably another engine's: check DOCKER_HOST, or set `site: here` and mount what is needed", path = .0.display())]
    OwnContainerUnknown(PathBuf),
    #[error(
        "`site` is `job-container`, but the job does not run in a container; add `container:` to the job, or leave `site` on `auto`"
    )]
    NoJobContainer,
    #[error("the job's container {0} is not running; look for what stopped it in the job's log")]
    JobContainerGone(String),
    #[error("the job's container cannot see the cache root {path}; add this line to the job below `container: volumes:` `- {path}:{path}`", path = .0.display())]
    RootNotInJobContainer(PathBuf),
    /// Runners of Forgejo and Gitea mount only what their configuration lists.
    #[error("the cache root {path} is not mounted in the job's container; add this line to the job below `container: volumes:` `- {path}:{path}`, and list {path} in `container.valid_volumes` of the runner's configuration", path = .0.display())]
    RootNotInForgeContainer(PathBuf),
    #[error("the cache root {path} is read-only in the job's container; remove `:ro` from its line below `container: volumes:`", path = .0.display())]
    RootReadOnlyInJobContainer(PathBuf),
    #[error(
        "cannot put the program into the job's container: {0}; mount a writable directory of the runner there below `container: volumes:`"
    )]
    Injection(String),

    // ---- the host, seen from a helper
    /// The cache root or a path is below a directory that helpers can't see.
    #[error("{} lies below {}, which is hidden from the cache; choose another directory", .path.display(), .hidden.display())]
    Hidden {
        /// The path on the host.
        path: PathBuf,
        hidden: PathBuf,
    },
    /// The runner's user, who owns the workspace, is not known.
    #[error("cannot determine the runner's user: {} cannot be read: {reason}; check that the workspace exists", .path.display())]
    NoWorkspace { path: PathBuf, reason: String },
    /// The helper's user may not be the runner's.
    #[error("cannot determine the runner's user: {0}; remove what a step put there")]
    WrongUser(String),
    /// The engine gave the helper more rights than it was asked for.
    #[error(
        "the engine does not confine the cache's helper: {0}; update the engine, or run local-cache in a `run:` step"
    )]
    Unconfined(String),

    // ---- the worker
    #[error(
        "the cache's worker ended early ({cause}): {last_line}; the log lines before this one say more"
    )]
    NoReply {
        /// The exit code or the signal.
        cause: String,
        /// The last line of its log.
        last_line: String,
    },
    #[error("the reply of the cache's worker cannot be read: {0}; this is a defect of local-cache")]
    BadReply(String),
    #[error("the request cannot be written as JSON: {0}; this is a defect of local-cache")]
    BadRequest(String),
    /// The job did not stop after the time limit.
    #[error("gave up after {} s; raise `timeout` if the work needs longer", .0.as_secs())]
    TimedOut(Duration),
    /// The job did not stop after a signal.
    #[error("cancelled by {}; nothing is left to do", signal_name(*.0))]
    Cancelled(i32),
    #[error("cannot {action} {}: {reason}; check its owner and its modes", .path.display())]
    Io {
        /// What failed, as a verb.
        action: &'static str,
        path: PathBuf,
        reason: String,
    },
}

impl Problem {
    /// A short name that stays the same if the message changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootNotMounted(_) => "root-not-mounted",
            Self::PathNotMounted(_) => "path-not-mounted",
            Self::OtherUser { .. } => "other-user",
            Self::NoSocket(_) => "no-socket",
            Self::NoSocketOfForge(_) => "no-socket-of-forge",
            Self::RootNotInForgeContainer(_) => "root-not-in-forge-container",
            Self::Kubernetes(_) => "kubernetes",
            Self::UsernsRemap(_) => "userns-remap",
            Self::Selinux(_) => "selinux",
            Self::SocketDenied { .. } => "socket-denied",
            Self::NotListening(_) => "engine-not-listening",
            Self::EngineHangs { .. } => "engine-hangs",
            Self::RemoteEngine(_) => "remote-engine",
            Self::EngineElsewhere(_) => "engine-elsewhere",
            Self::EngineTooOld { .. } => "engine-too-old",
            Self::EngineTooNew(_) => "engine-too-new",
            Self::EngineRefused { .. } => "engine-refused",
            Self::OwnContainerUnknown(_) => "own-container-unknown",
            Self::NoJobContainer => "no-job-container",
            Self::JobContainerGone(_) => "job-container-gone",
            Self::RootNotInJobContainer(_) => "root-not-in-job-container",
            Self::RootReadOnlyInJobContainer(_) => "root-read-only",
            Self::Injection(_) => "injection",
            Self::Hidden { .. } => "hidden",
            Self::NoWorkspace { .. } => "no-workspace",
            Self::WrongUser(_) => "wrong-user",
            Self::Unconfined(_) => "unconfined",
            Self::NoReply { .. } => "no-reply",
            Self::BadReply(_) => "bad-reply",
            Self::BadRequest(_) => "bad-request",
            Self::TimedOut(_) => "timed-out",
            Self::Cancelled(_) => "cancelled",
            Self::Io { .. } => "io",
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        error: &std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            reason: error.to_string(),
        }
    }
}

/// The name of a signal; the number for signals that runners and users don't send.
pub(crate) fn signal_name(number: i32) -> String {
    match number {
        2 => "SIGINT".to_owned(),
        9 => "SIGKILL".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

fn list_paths(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" and ")
}

/// A warning about a site that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteNotice {
    /// This machine is deleted after the job.
    #[error(
        "this is a GitHub-hosted runner: its disk is gone after the job, so nothing stays cached; use `actions/cache` there"
    )]
    GithubHosted,
    /// The cache root is in a container that is deleted.
    #[error("the cache root {path} lies inside this container and is gone with it; mount it with `-v {path}:{path}`", path = .0.display())]
    RootInsideContainer(PathBuf),
    /// Some paths are in a container that is deleted.
    #[error("{} is not mounted in this container, so what is restored there is lost and nothing is saved from the runner's own; mount it", list_paths(.0))]
    PathsInsideContainer(Vec<PathBuf>),
    /// There is a user namespace between this container and the runner.
    #[error("the engine is rootless: uid {inside} in containers is uid {outside} on the runner")]
    Rootless { inside: u32, outside: u32 },
    #[error("`~` is taken to be {}, because {why}", .home.display())]
    HomeAssumed { home: PathBuf, why: String },
    /// Only the user's entry in passwd proves that the engine's host is the runner's.
    #[error(
        "the runner's own settings are not readable, so its host is recognised by the user with uid {0} only"
    )]
    ProvedByUser(u32),
}
