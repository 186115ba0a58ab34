//! What can stand between the work and the place where it should happen.
//!
//! One table for all of it: every variant is one line that says what is wrong, on which path, and
//! what to do next. Callers decide by variant or by [`Problem::code`], never by text.

use std::path::PathBuf;
use std::time::Duration;

/// Why a site can't be used, or why the work done there brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    // ---- here
    /// The cache root is not on a mount of this container.
    #[error("the cache root {path} is not mounted in this container; mount it with `-v {path}:{path}`, or leave `site` on `auto`", path = .0.display())]
    RootNotMounted(PathBuf),
    /// A path of the request is not on a mount of this container.
    #[error("{path} is not mounted in this container; mount it with `-v {path}:{path}`, or leave `site` on `auto`", path = .0.display())]
    PathNotMounted(PathBuf),

    /// Files made in this container would not be the runner's user's.
    #[error(
        "this container runs as uid {uid}, so what it writes would not belong to uid {owner} who owns the workspace; run it with `--user {owner}`, or leave `site` on `auto`"
    )]
    OtherUser {
        /// Who this process runs as.
        uid: u32,
        /// Who owns the workspace.
        owner: u32,
    },

    // ---- the engine's socket
    /// No socket where one is expected.
    #[error("no Docker Engine answers: {path} does not exist; install Docker on the runner, or run local-cache in a `run:` step", path = .0.display())]
    NoSocket(PathBuf),
    /// A container action without a socket in a Kubernetes pod.
    #[error("this runner works in a Kubernetes pod without {path}, so the node's disk is out of reach; mount a volume at the cache root and run local-cache in a `run:` step", path = .0.display())]
    Kubernetes(PathBuf),
    /// EACCES in a container whose root is another user outside.
    #[error("no permission on {path}: the engine runs with userns-remap, so a container action is not root outside; take `userns-remap` out of the engine's daemon.json, or run local-cache in a `run:` step", path = .0.display())]
    UsernsRemap(PathBuf),
    /// EACCES for root in a container that `SELinux` confines.
    #[error("no permission on {path}: SELinux keeps containers away from the engine's socket; allow it on the runner (a policy with `container_t docker_sock`), or run local-cache in a `run:` step", path = .0.display())]
    Selinux(PathBuf),
    /// EACCES for any other reason.
    #[error(
        "no permission on {} as uid {uid}; run this container as root, or give it the group that owns the socket with `--group-add`",
        .socket.display()
    )]
    SocketDenied {
        /// The engine's socket.
        socket: PathBuf,
        /// Who asked.
        uid: u32,
    },
    /// The socket is there and nobody listens.
    #[error("the Docker Engine does not listen on {path}; start it on the runner (`systemctl start docker`)", path = .0.display())]
    NotListening(PathBuf),
    /// The engine took the connection and gave no answer.
    #[error(
        "the Docker Engine gave no answer on {} to `{action}` within {} s; look at its log on the runner (`journalctl -u docker`)",
        .socket.display(), .after.as_secs()
    )]
    EngineHangs {
        /// The engine's socket.
        socket: PathBuf,
        /// What was asked of it.
        action: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// `DOCKER_HOST` names something that is not a socket on this machine.
    #[error(
        "DOCKER_HOST is {0}: an engine on another machine can't reach this runner's disk; unset DOCKER_HOST for this job"
    )]
    RemoteEngine(String),
    /// The engine is on another machine, or in a container of its own.
    #[error(
        "the Docker Engine does not run on the runner's own machine ({0}); run local-cache in a `run:` step, or give the runner its host's socket"
    )]
    EngineElsewhere(String),
    /// The engine's API is older than what the helper needs.
    #[error(
        "the Docker Engine is too old: its API is {found}, {needed} is needed; update Docker on the runner to 18.09 or later"
    )]
    EngineTooOld {
        /// The API version the engine speaks.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The engine refuses clients of this age.
    #[error(
        "the Docker Engine is too new for this local-cache ({0}); use a newer version of the action"
    )]
    EngineTooNew(String),
    /// The engine refused a request.
    #[error(
        "the Docker Engine refused to {action}: {message}; the engine's log on the runner may say more"
    )]
    EngineRefused {
        /// What was asked of it.
        action: &'static str,
        /// Its answer.
        message: String,
    },

    // ---- this container, the job's container
    /// The engine does not know the container this process runs in.
    #[error("the Docker Engine on {path} does not know the container that this runs in; it is probably another engine's: check DOCKER_HOST, or set `site: here` and mount what is needed", path = .0.display())]
    OwnContainerUnknown(PathBuf),
    /// `site: job-container` without a job container.
    #[error(
        "`site` is `job-container`, but the job does not run in a container; add `container:` to the job, or leave `site` on `auto`"
    )]
    NoJobContainer,
    /// The job's container is known by name and is not running.
    #[error("the job's container {0} is not running; look for what stopped it in the job's log")]
    JobContainerGone(String),
    /// The job's container does not see the cache root.
    #[error("the job's container can't see the cache root {path}; add this line to the job below `container: volumes:` `- {path}:{path}`", path = .0.display())]
    RootNotInJobContainer(PathBuf),
    /// The job's container sees the cache root and may not write there.
    #[error("the cache root {path} is read-only in the job's container; take `:ro` off its line below `container: volumes:`", path = .0.display())]
    RootReadOnlyInJobContainer(PathBuf),
    /// The binary can't be put into the job's container.
    #[error(
        "can't put the program into the job's container: {0}; mount a writable directory of the runner there below `container: volumes:`"
    )]
    Injection(String),

    // ---- the host as the helper sees it
    /// The cache root or a path lies where the helper deliberately sees nothing.
    #[error("{} lies below {}, which is hidden from the cache; choose another directory", .path.display(), .hidden.display())]
    Hidden {
        /// The path asked for, in the host's form.
        path: PathBuf,
        /// What is hidden.
        hidden: PathBuf,
    },
    /// Nothing tells who the runner's user is.
    #[error("can't tell the runner's user: {} can't be read: {reason}; does the workspace exist?", .path.display())]
    NoWorkspace {
        /// The directory whose owner would have told.
        path: PathBuf,
        /// Why it did not.
        reason: String,
    },

    // ---- the work
    /// The far side ended without an answer.
    #[error(
        "the cache's own process ended early ({ended}): {last}; the log lines before this one say more"
    )]
    NoReply {
        /// How it ended: exit code or signal.
        ended: String,
        /// The last line it said, or a stand-in.
        last: String,
    },
    /// The far side answered something that is not an answer.
    #[error(
        "the cache's own process gave an answer that can't be read: {0}; this is a defect of local-cache"
    )]
    BadReply(String),
    /// The request can't be sent.
    #[error("the request can't be written as JSON: {0}; this is a defect of local-cache")]
    BadRequest(String),
    /// The time limit passed and the work had not stopped a little later.
    #[error("gave up after {} s; raise `timeout` if the work needs longer", .0.as_secs())]
    TimedOut(Duration),
    /// A signal came and the work had not stopped a little later.
    #[error("called off by {}; nothing is left to do", signal_name(*.0))]
    Cancelled(i32),
    /// A call to this machine failed.
    #[error("can't {action} {}: {reason}; check its owner and its modes", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        reason: String,
    },
}

impl Problem {
    /// A short name that stays the same when the wording changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootNotMounted(_) => "root-not-mounted",
            Self::PathNotMounted(_) => "path-not-mounted",
            Self::OtherUser { .. } => "other-user",
            Self::NoSocket(_) => "no-socket",
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
            Self::NoReply { .. } => "no-reply",
            Self::BadReply(_) => "bad-reply",
            Self::BadRequest(_) => "bad-request",
            Self::TimedOut(_) => "timed-out",
            Self::Cancelled(_) => "called-off",
            Self::Io { .. } => "io",
        }
    }

    /// A [`Problem::Io`].
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

/// The name of the signals that a runner or a person sends.
pub(crate) fn signal_name(number: i32) -> String {
    match number {
        2 => "SIGINT".to_owned(),
        9 => "SIGKILL".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Something worth a line although the work goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteNotice {
    /// A machine that is thrown away after the job.
    #[error(
        "this is a GitHub-hosted runner: its disk is gone after the job, so nothing stays cached; use `actions/cache` there"
    )]
    GithubHosted,
    /// The cache root lives in a container that is thrown away.
    #[error("the cache root {path} lies inside this container and is gone with it; mount it with `-v {path}:{path}`", path = .0.display())]
    RootInsideContainer(PathBuf),
    /// A user namespace between this container and the runner.
    #[error("the engine is rootless: uid {inside} in containers is uid {outside} on the runner")]
    Rootless {
        /// The user as containers see it.
        inside: u32,
        /// The user as the runner sees it.
        outside: u32,
    },
    /// `~` had to be guessed.
    #[error("`~` is taken to be {}, because {why}", .home.display())]
    HomeAssumed {
        /// What `~` stands for now.
        home: PathBuf,
        /// Why the host's passwd did not tell.
        why: String,
    },
    /// The proof that the engine's host is the runner's rests on the user alone.
    #[error(
        "the runner's own settings are not readable, so its host is recognised by the user with uid {0} only"
    )]
    ProvedByUser(u32),
}
