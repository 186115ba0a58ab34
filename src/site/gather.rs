//! Collects the facts that the decision depends on.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::detect;
use super::engine::{ContainerHints, Engine, EngineQuery};
use super::facts::{
    Confinement, EngineReport, OutputFile, RunnerKind, SiteFacts, SiteRequest, SocketFile,
    WorkspaceDir,
};
use super::problem::Problem;
use super::proc::{self, MountInfo, UidMap};
use super::stage_files;
use super::worker::Identity;
use crate::env::Env;

/// Where the engine creates its socket, and where the runner mounts it in an action's container.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Collects the facts about this process. Asks the engine only if its answer can change the
/// decision.
pub fn gather(request: &SiteRequest) -> SiteFacts {
    let mut facts = local_facts(request);
    if detect::needs_engine(&facts) {
        facts.engine = Some(query_engine(request, &facts));
        // These need the mounts that the engine reported.
        facts.workspace = Some(workspace(&request.env, &facts));
        facts.output_file = output_file(&request.env, &facts);
        facts.scratch_dirs = scratch_dirs(&request.env, &facts);
    }
    facts
}

/// The facts that need no engine.
fn local_facts(request: &SiteRequest) -> SiteFacts {
    let env = &request.env;
    let mounts = proc::parse_mountinfo(&fs::read("/proc/self/mountinfo").unwrap_or_default());
    let (socket, remote_engine) = engine_address(env);
    SiteFacts {
        preference: request.preference,
        ephemeral: request.ephemeral,
        beside_steps: request.beside_steps,
        runner: runner_kind(env),
        cache_root: request.cache_root.clone(),
        paths: request.paths.clone(),
        home: env
            .path("HOME")
            .filter(|home| *home != Path::new("/github/home"))
            .map(Path::to_owned),
        confinement: confinement(env, &mounts),
        selinux: proc::is_selinux_label(&fs::read("/proc/self/attr/current").unwrap_or_default()),
        uid: nix::unistd::geteuid().as_raw(),
        runner_uid: stage_files::owner(env, |path| Some(path.to_owned()))
            .map(|(uid, _)| uid)
            .or_else(|| Some(fs::metadata(env.path("GITHUB_WORKSPACE")?).ok()?.uid())),
        uid_map: UidMap::parse(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default()),
        mounts,
        socket_file: socket_file(&socket),
        socket,
        remote_engine,
        program: fs::read_link("/proc/self/exe").unwrap_or_default(),
        ..SiteFacts::default()
    }
}

fn runner_kind(env: &Env) -> RunnerKind {
    if env.flag("FORGEJO_ACTIONS") || env.flag("GITEA_ACTIONS") {
        RunnerKind::Forge
    } else if env.text("RUNNER_ENVIRONMENT") == Some("github-hosted") {
        RunnerKind::GithubHosted
    } else {
        RunnerKind::SelfHosted
    }
}

/// Whether this process is in a container.
#[cfg(feature = "remote")]
pub(super) fn is_in_container(env: &Env) -> bool {
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    confinement(env, &proc::parse_mountinfo(&mountinfo)) != Confinement::No
}

fn confinement(env: &Env, mounts: &[MountInfo]) -> Confinement {
    let cgroup = fs::read("/proc/self/cgroup").unwrap_or_default();
    let has_marker = ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|file| Path::new(file).exists());
    if env.path("KUBERNETES_SERVICE_HOST").is_some() {
        Confinement::Pod
    } else if proc::is_container(&cgroup, mounts, has_marker) {
        Confinement::Container
    } else {
        Confinement::No
    }
}

/// The socket to use, and the value of `DOCKER_HOST` if that is an engine on another machine. A
/// socket at the default path takes precedence over such a value: the runner mounts the socket of
/// the engine that started this container there.
fn engine_address(env: &Env) -> (PathBuf, Option<String>) {
    let default = PathBuf::from(DEFAULT_SOCKET);
    let Some(host) = env.path("DOCKER_HOST").map(Path::as_os_str) else {
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
        Ok(found) if found.file_type().is_socket() => SocketFile::Socket { gid: found.gid() },
        Ok(_) => SocketFile::Other,
        Err(_) => SocketFile::Missing,
    }
}

fn query_engine(request: &SiteRequest, facts: &SiteFacts) -> Result<EngineReport, Problem> {
    let query = EngineQuery {
        hints: facts
            .in_container()
            .then(|| container_hints(&request.env, &facts.mounts)),
        job_container: request.job_container.clone(),
        // The parent of RUNNER_WORKSPACE, which is a path on the host.
        work_directory: request
            .env
            .get("RUNNER_WORKSPACE")
            .and_then(|path| Path::new(path).parent().map(Path::to_owned)),
    };
    Engine::new(&facts.socket, request.engine_timeout)?.query(&query)
}

fn container_hints(env: &Env, mounts: &[MountInfo]) -> ContainerHints {
    let stage_files = stage_files::VARIABLES.into_iter();
    ContainerHints {
        candidates: proc::container_ids(
            &fs::read("/proc/self/cgroup").unwrap_or_default(),
            mounts,
            &fs::read("/etc/hostname").unwrap_or_default(),
        ),
        upper_dir: proc::upper_dir(mounts),
        stage_files: stage_files
            .filter_map(|name| Some(format!("{name}={}", env.get(name)?.to_string_lossy())))
            .collect(),
    }
}

/// This process's path for a path that may be the host's: unchanged if it exists, otherwise
/// translated by the mounts of this container. nektos/act gives an action host paths that do not
/// exist in its container.
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

/// The workspace, and the runner's user: the owner of the files that the runner created for this
/// stage. A step can replace the workspace and the runner's temporary directory by symlinks to
/// directories of other users, so their owners count only where there are no such files, and a
/// helper checks where the workspace's path leads.
fn workspace(env: &Env, facts: &SiteFacts) -> Result<WorkspaceDir, Problem> {
    let named = env
        .get("GITHUB_WORKSPACE")
        .map_or(Path::new("/github/workspace"), Path::new);
    let unknown = |reason: String| Problem::NoWorkspace {
        path: named.to_owned(),
        reason,
    };
    let path = visible_path(facts, named).ok_or_else(|| unknown("it does not exist".to_owned()))?;
    let found = fs::metadata(&path).map_err(|error| unknown(error.to_string()))?;
    let owner = stage_files::owner(env, |path| visible_path(facts, path))
        .or_else(|| (found.uid() != 0).then(|| (found.uid(), found.gid())))
        .or_else(|| runner_temp_owner(env, facts))
        .unwrap_or((found.uid(), found.gid()));
    Ok(WorkspaceDir {
        path,
        device: found.dev(),
        inode: found.ino(),
        uid: owner.0,
        gid: owner.1,
    })
}

/// The runner's user in an action's container, before the job's steps ran. The phases after them
/// use what was found then.
pub fn runner_identity(env: &Env) -> Option<Identity> {
    let mounts = proc::parse_mountinfo(&fs::read("/proc/self/mountinfo").unwrap_or_default());
    if confinement(env, &mounts) == Confinement::No {
        return None;
    }
    let (uid, gid) = stage_files::owner(env, |path| Some(path.to_owned()))?;
    Some(Identity {
        uid,
        gid,
        groups: Vec::new(),
        settled: false,
    })
}

/// The uid and gid of the runner's temporary directory. It must be a mount: the owner of the `/tmp`
/// of an image is not the runner's user.
fn runner_temp_owner(env: &Env, facts: &SiteFacts) -> Option<(u32, u32)> {
    let path = visible_path(facts, Path::new(env.get("RUNNER_TEMP")?))?;
    if !proc::is_mounted(&facts.mounts, &path) {
        return None;
    }
    let found = fs::metadata(path).ok()?;
    Some((found.uid(), found.gid()))
}

fn output_file(env: &Env, facts: &SiteFacts) -> OutputFile {
    match env.path("GITHUB_OUTPUT") {
        None => OutputFile::Unset,
        Some(path) if visible_path(facts, path).is_some() => OutputFile::Found,
        Some(_) => OutputFile::Missing,
    }
}

fn scratch_dirs(env: &Env, facts: &SiteFacts) -> Vec<PathBuf> {
    let temporary = env.get("RUNNER_TEMP").map(Path::new);
    let beside_output = env
        .get("GITHUB_OUTPUT")
        .and_then(|path| Path::new(path).parent());
    [temporary, beside_output]
        .into_iter()
        .flatten()
        .filter_map(|path| visible_path(facts, path))
        .collect()
}
