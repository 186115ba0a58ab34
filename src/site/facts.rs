//! What there is to know about the place this process runs in. Looking only; `detect` decides.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::engine::{ContainerHints, Engine, EngineQuery};
use super::paths::MountMap;
use super::problem::Problem;
use super::proc::{self, MountInfo, UidMap};
use super::{SitePreference, detect};
use crate::env::Env;

/// Where the runner mounts the engine's socket, and where the engine makes it.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What the caller knows and wants.
#[derive(Debug, Clone)]
pub struct SiteRequest {
    /// The process's environment.
    pub env: Env,
    /// The input `site`.
    pub preference: SitePreference,
    /// Where the store is, as the user wrote it.
    pub cache_root: PathBuf,
    /// What the work touches, as far as it is known: absolute or beginning with `~`. Nothing stands
    /// for the home.
    pub paths: Vec<PathBuf>,
    /// The input `job-container`, when it is not empty.
    pub job_container: Option<String>,
    /// Whether this container is thrown away after the phase: true in an action's own container,
    /// false on the command line.
    pub ephemeral: bool,
    /// How long the engine has for each of the questions that decide.
    pub engine_timeout: Duration,
}

/// A container, as its engine describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// The id of its image; names of images may move.
    pub image: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its mounts.
    pub mounts: MountMap,
    /// `HostConfig.NetworkMode`.
    pub network_mode: String,
    /// Whether it runs now.
    pub running: bool,
    /// `Config.Env`.
    pub env: Vec<String>,
    /// The writable layer, where the storage driver has one.
    pub upper_dir: Option<PathBuf>,
}

/// What the engine answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineReport {
    /// The version of its API.
    pub api_version: Option<String>,
    /// The container this process runs in, if the engine knows it.
    pub own_container: Option<Container>,
    /// The job's container, by id or by network.
    pub job_container: JobContainer,
}

/// The job's container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JobContainer {
    /// The job does not run in one.
    #[default]
    None,
    /// This one.
    Found(Container),
    /// One of this name was announced, but the engine does not have it.
    NotFound(String),
}

/// The workspace and its owner, who is the runner's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceDir {
    /// As this process calls it.
    pub path: PathBuf,
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// The runner's user as containers number it.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Whether the files through which the runner takes outputs are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFile {
    /// None was named: not in a workflow.
    #[default]
    Unset,
    /// It is there.
    Found,
    /// It was named and is not there, under any of its names.
    Missing,
}

/// What stands at the socket's path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SocketFile {
    /// Nothing.
    #[default]
    Missing,
    /// A socket, owned by this group.
    Socket {
        /// The group that may talk to the engine.
        gid: u32,
    },
    /// Something else: a directory, where an engine had nothing to mount.
    Other,
}

/// What a process is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confinement {
    /// Nothing: a plain process.
    #[default]
    No,
    /// A container.
    Container,
    /// A container of a Kubernetes pod.
    Pod,
}

/// Everything that decides.
#[derive(Debug, Clone, Default)]
pub struct SiteFacts {
    /// The input `site`.
    pub preference: SitePreference,
    /// See [`SiteRequest::throwaway`].
    pub ephemeral: bool,
    /// See [`SiteRequest::cache_root`].
    pub cache_root: PathBuf,
    /// See [`SiteRequest::paths`].
    pub paths: Vec<PathBuf>,
    /// HOME of this process, unless it is the runner's stand-in.
    pub home: Option<PathBuf>,
    /// Whether this process is in a container.
    pub confinement: Confinement,
    /// Whether the machine is thrown away after the job.
    pub github_hosted: bool,
    /// Whether `SELinux` confines this process.
    pub selinux: bool,
    /// Who this process runs as.
    pub uid: u32,
    /// Who owns the workspace, where this process sees it under the name it was given.
    pub workspace_owner: Option<u32>,
    /// Who users are outside.
    pub uid_map: UidMap,
    /// This process's mounts.
    pub mounts: Vec<MountInfo>,
    /// The workspace, or why it is not known.
    pub workspace: Option<Result<WorkspaceDir, Problem>>,
    /// Where the engine's socket is or should be.
    pub socket: PathBuf,
    /// What is there.
    pub socket_file: SocketFile,
    /// `DOCKER_HOST`, when it names another machine.
    pub remote_engine: Option<String>,
    /// Whether outputs can be written.
    pub output_file: OutputFile,
    /// Directories of the runner's own, in which a file may be put for a moment.
    pub scratch_dirs: Vec<PathBuf>,
    /// This program.
    pub program: PathBuf,
    /// What the engine said; nothing when it was not asked.
    pub engine: Option<Result<EngineReport, Problem>>,
}

impl SiteFacts {
    /// Whether this process is in a container of any kind.
    pub fn in_container(&self) -> bool {
        self.confinement != Confinement::No
    }
}

/// Looks at this process's surroundings, and asks the engine where that can change the decision.
pub fn gather(asked: &SiteRequest) -> SiteFacts {
    let mut facts = local_facts(asked);
    if detect::needs_engine(&facts) {
        facts.engine = Some(query_engine(asked, &facts));
        facts.workspace = Some(workspace(asked, &facts));
        facts.output_file = output_file(asked, &facts);
        facts.scratch_dirs = scratch_dirs(asked, &facts);
    }
    facts
}

/// The facts that need no engine.
fn local_facts(asked: &SiteRequest) -> SiteFacts {
    let variable = |name: &str| {
        asked
            .env
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
    };
    let cgroup = fs::read("/proc/self/cgroup").unwrap_or_default();
    let mounts = proc::parse_mountinfo(&fs::read("/proc/self/mountinfo").unwrap_or_default());
    let marker = ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|file| Path::new(file).exists());
    let confined = if variable("KUBERNETES_SERVICE_HOST").is_some() {
        Confinement::Pod
    } else if proc::is_container(&cgroup, &mounts, marker) {
        Confinement::Container
    } else {
        Confinement::No
    };
    let (socket, remote_engine) = engine_address(variable("DOCKER_HOST"));
    SiteFacts {
        preference: asked.preference,
        ephemeral: asked.ephemeral,
        cache_root: asked.cache_root.clone(),
        paths: asked.paths.clone(),
        home: variable("HOME")
            .map(PathBuf::from)
            .filter(|home| home != Path::new("/github/home")),
        confinement: confined,
        github_hosted: variable("RUNNER_ENVIRONMENT").is_some_and(|value| value == "github-hosted"),
        selinux: proc::is_selinux_label(&fs::read("/proc/self/attr/current").unwrap_or_default()),
        uid: nix::unistd::geteuid().as_raw(),
        workspace_owner: variable("GITHUB_WORKSPACE")
            .and_then(|path| Some(fs::metadata(path).ok()?.uid())),
        uid_map: UidMap::parse(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default()),
        mounts,
        socket_file: socket_file(&socket),
        socket,
        remote_engine,
        program: fs::read_link("/proc/self/exe").unwrap_or_default(),
        ..SiteFacts::default()
    }
}

/// The socket to use, and the value of `DOCKER_HOST` when it names none. A socket that is mounted
/// where the runner mounts it is the engine that started this container, whatever the variable
/// says.
fn engine_address(docker_host: Option<&OsStr>) -> (PathBuf, Option<String>) {
    let default = PathBuf::from(DEFAULT_SOCKET);
    let Some(host) = docker_host else {
        return (default, None);
    };
    match host.as_bytes().strip_prefix(b"unix://") {
        Some(path) if Path::new(OsStr::from_bytes(path)).exists() => {
            (PathBuf::from(OsStr::from_bytes(path)), None)
        }
        Some(_) => (default, None),
        None if default.exists() => (default, None),
        None => (default, Some(host.to_string_lossy().into_owned())),
    }
}

fn socket_file(path: &Path) -> SocketFile {
    match fs::metadata(path) {
        Ok(about) if about.file_type().is_socket() => SocketFile::Socket { gid: about.gid() },
        Ok(_) => SocketFile::Other,
        Err(_) => SocketFile::Missing,
    }
}

fn query_engine(asked: &SiteRequest, facts: &SiteFacts) -> Result<EngineReport, Problem> {
    let value = |name: &str| {
        asked
            .env
            .get(OsStr::new(name))
            .map(|value| value.to_string_lossy().into_owned())
    };
    let stage_files = ["GITHUB_STATE", "GITHUB_OUTPUT"]
        .map(|name| value(name).map(|value| format!("{name}={value}")));
    let clues = ContainerHints {
        candidates: proc::container_ids(
            &fs::read("/proc/self/cgroup").unwrap_or_default(),
            &facts.mounts,
            &fs::read("/etc/hostname").unwrap_or_default(),
        ),
        upper_dir: proc::upper_dir(&facts.mounts),
        stage_files: stage_files.into_iter().flatten().collect(),
    };
    let question = EngineQuery {
        hints: facts.in_container().then_some(clues),
        job_container: asked.job_container.clone(),
        // The job's container has the runner's work directory at /__w.
        work_directory: value("RUNNER_WORKSPACE")
            .and_then(|path| Path::new(&path).parent().map(Path::to_owned)),
    };
    Engine::connect(&facts.socket, asked.engine_timeout)?.query(&question)
}

/// This process's name for a path that may be the host's: as it is when it exists, else through its
/// own mounts. nektos/act gives an action host paths that do not exist in its container.
fn visible_path(facts: &SiteFacts, path: &Path) -> Option<PathBuf> {
    if path.exists() {
        return Some(path.to_owned());
    }
    let Some(Ok(EngineReport {
        own_container: Some(own),
        ..
    })) = &facts.engine
    else {
        return None;
    };
    own.mounts.from_host(path).filter(|path| path.exists())
}

/// The workspace and its owner. Directories that belong to root because a step made them so are
/// passed over in favour of the runner's temporary directory, which the runner makes anew for every
/// job.
fn workspace(asked: &SiteRequest, facts: &SiteFacts) -> Result<WorkspaceDir, Problem> {
    let path = |name: &str| asked.env.get(OsStr::new(name)).map(PathBuf::from);
    let named = path("GITHUB_WORKSPACE").unwrap_or_else(|| PathBuf::from("/github/workspace"));
    let unknown = |reason: String| Problem::NoWorkspace {
        path: named.clone(),
        reason,
    };
    let here =
        visible_path(facts, &named).ok_or_else(|| unknown("it does not exist".to_owned()))?;
    let about = fs::metadata(&here).map_err(|error| unknown(error.to_string()))?;
    let (mut uid, mut gid) = (about.uid(), about.gid());
    if uid == 0 {
        let temporary = path("RUNNER_TEMP").and_then(|path| visible_path(facts, &path));
        if let Some(owner) = temporary
            .filter(|path| is_own_mount(facts, path))
            .and_then(|it| fs::metadata(it).ok())
        {
            (uid, gid) = (owner.uid(), owner.gid());
        }
    }
    Ok(WorkspaceDir {
        path: here,
        device: about.dev(),
        inode: about.ino(),
        uid,
        gid,
    })
}

/// Whether the runner mounted this directory: `/tmp` of an image says nothing about the runner's
/// user.
fn is_own_mount(facts: &SiteFacts, path: &Path) -> bool {
    proc::is_mounted(&facts.mounts, path)
}

fn output_file(asked: &SiteRequest, facts: &SiteFacts) -> OutputFile {
    match asked
        .env
        .get(OsStr::new("GITHUB_OUTPUT"))
        .filter(|value| !value.is_empty())
    {
        None => OutputFile::Unset,
        Some(path) if visible_path(facts, Path::new(path)).is_some() => OutputFile::Found,
        Some(_) => OutputFile::Missing,
    }
}

fn scratch_dirs(asked: &SiteRequest, facts: &SiteFacts) -> Vec<PathBuf> {
    let path = |name: &str| asked.env.get(OsStr::new(name)).map(PathBuf::from);
    let beside_output = path("GITHUB_OUTPUT").and_then(|path| path.parent().map(Path::to_owned));
    [path("RUNNER_TEMP"), beside_output]
        .into_iter()
        .flatten()
        .filter_map(|path| visible_path(facts, &path))
        .collect()
}
