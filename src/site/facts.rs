//! What is known about the environment of this process. Types only: [`super::gather`] fills them
//! in and [`super::detect`] decides from them.

use std::path::PathBuf;
use std::time::Duration;

use super::paths::MountMap;
use super::preference::SitePreference;
use super::problem::Problem;
use super::proc::{MountInfo, UidMap};
use crate::env::Env;

/// What the caller knows and wants.
#[derive(Debug, Clone)]
pub struct SiteRequest {
    pub env: Env,
    pub preference: SitePreference,
    /// The cache root as the user wrote it.
    pub cache_root: PathBuf,
    /// The paths that the job will use, as far as they are known: absolute, or starting with `~`.
    /// An empty list stands for the home directory.
    pub paths: Vec<PathBuf>,
    /// The input `job-container`, if it is not empty.
    pub job_container: Option<String>,
    /// Whether this container is deleted after the phase: true in an action's own container, false
    /// on the command line.
    pub ephemeral: bool,
    /// Whether this process was started beside the steps of the job, not in a container of its own.
    pub beside_steps: bool,
    /// The time limit of each call to the engine before the decision.
    pub engine_timeout: Duration,
}

/// A container, as its engine describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    /// The id of its image. Unlike a name, it always denotes the same image.
    pub image: String,
    /// The name of its image, as it was given to the engine.
    pub image_name: String,
    pub labels: Vec<(String, String)>,
    pub mounts: MountMap,
    pub network_mode: String,
    pub running: bool,
    /// `Config.Env`, as `NAME=value`.
    pub env: Vec<String>,
    /// The writable layer, if the storage driver has one.
    pub upper_dir: Option<PathBuf>,
    /// Files and directories of the host in which the engine keeps this container.
    pub engine_files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineReport {
    pub api_version: Option<String>,
    /// The container this process runs in, if the engine knows it.
    pub own_container: Option<Container>,
    pub job_container: JobContainer,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JobContainer {
    /// The job does not run in a container.
    #[default]
    None,
    Found(Container),
    /// The job runs in the container with this id, but the engine does not know it.
    NotFound(String),
}

/// The workspace, and the runner's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceDir {
    /// Its path in this process.
    pub path: PathBuf,
    pub device: u64,
    pub inode: u64,
    /// The runner's user, as numbered in containers.
    pub uid: u32,
    pub gid: u32,
}

/// Whether the file exists through which the runner receives outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFile {
    /// `GITHUB_OUTPUT` is not set: this is not a workflow.
    #[default]
    Unset,
    Found,
    /// It does not exist under its own path, nor under a path of this container's mounts.
    Missing,
}

/// What is at the path of the engine's socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SocketFile {
    #[default]
    Missing,
    Socket {
        /// The group that may connect.
        gid: u32,
    },
    /// Not a socket. An engine creates a directory if there was nothing to mount.
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confinement {
    #[default]
    No,
    Container,
    /// A container in a Kubernetes pod.
    Pod,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunnerKind {
    #[default]
    SelfHosted,
    /// A machine of GitHub, which is deleted after the job.
    GithubHosted,
    /// The runner of Forgejo or Gitea.
    Forge,
}

/// Everything that the decision depends on.
#[derive(Debug, Clone, Default)]
pub struct SiteFacts {
    // The first five are those of the `SiteRequest`.
    pub preference: SitePreference,
    pub ephemeral: bool,
    pub beside_steps: bool,
    pub cache_root: PathBuf,
    pub paths: Vec<PathBuf>,
    /// HOME of this process, unless the runner replaced it by `/github/home`.
    pub home: Option<PathBuf>,
    pub confinement: Confinement,
    pub runner: RunnerKind,
    /// Whether `SELinux` confines this process.
    pub selinux: bool,
    /// The effective user of this process.
    pub uid: u32,
    /// The runner's user, as far as this process sees it without the engine.
    pub runner_uid: Option<u32>,
    pub uid_map: UidMap,
    /// The mounts that this process sees.
    pub mounts: Vec<MountInfo>,
    /// `None` if the workspace was not looked for.
    pub workspace: Option<Result<WorkspaceDir, Problem>>,
    /// Where the engine's socket is or should be.
    pub socket: PathBuf,
    pub socket_file: SocketFile,
    /// `DOCKER_HOST`, if it is an engine on another machine.
    pub remote_engine: Option<String>,
    pub output_file: OutputFile,
    /// Directories of the runner in which a file may be created for a short time.
    pub scratch_dirs: Vec<PathBuf>,
    /// The file of this program.
    pub program: PathBuf,
    /// `None` if the engine was not asked.
    pub engine: Option<Result<EngineReport, Problem>>,
}

impl SiteFacts {
    pub(super) fn in_container(&self) -> bool {
        self.confinement != Confinement::No
    }
}
