//! What a worker sees of its machine, without doing anything. For `local-cache doctor`, which
//! compares what the action sees with what its own process sees.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cargo::gather::gather;
use crate::cargo::project::facts::Compiler;
use crate::env::Env;
use crate::error::Result;
use crate::fs::{Namespace, effective_uid, files, filesystem_type, volume};
use crate::job::cargo_target::CargoTarget;
use crate::job::request::{Housekeeping, Job, JobTarget, Task};

/// Paths are as the steps of the job know them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorkerView {
    pub uid: u32,
    /// `None` if the worker knows none.
    pub home: Option<PathBuf>,
    pub cargo_home: PathBuf,
    /// `None` if the workspace is not a Cargo project.
    pub toolchain: Option<ToolchainView>,
    pub cache_root: PathBuf,
    /// The type of the cache root's filesystem, as `mount` calls it.
    pub filesystem: String,
    pub free_bytes: u64,
    /// Device and inode of the cache root, or of the nearest directory above it that exists.
    pub directory: (u64, u64),
}

/// The compiler of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ToolchainView {
    /// Its name, or why it was not found.
    pub note: String,
    pub is_found: bool,
}

impl Job {
    /// A job that looks at what a restore of the project in the workspace would use.
    pub(crate) fn to_look(
        cache_root: &Path,
        workspace: &Path,
        env: &Env,
        is_env_of_steps: bool,
    ) -> Self {
        let mut target = CargoTarget::default();
        target.add_env(env.iter(), is_env_of_steps);
        Self {
            cache_root: cache_root.to_owned(),
            workspace: workspace.to_owned(),
            target: JobTarget::Cargo(Box::new(target)),
            task: Task::Look,
            housekeeping: Housekeeping::default(),
        }
    }
}

/// Does the task of [`Job::to_look`].
///
/// Errors: the cache root has no place on this machine, or its filesystem can't be inspected.
pub(crate) fn look(job: &Job, namespace: &dyn Namespace) -> Result<WorkerView> {
    let no_project = CargoTarget::default();
    let target = match &job.target {
        JobTarget::Cargo(target) => target,
        JobTarget::Paths(_) => &no_project,
    };
    let request = target.key_request(&job.workspace, namespace);
    let root = namespace.locate(&job.cache_root)?;
    let existing = files::nearest_existing(&root);
    let stat = files::stat(&existing)?;
    let workspaces = gather(&request, namespace).workspaces;
    let mut projects = workspaces.into_iter().filter_map(|it| it.project);
    Ok(WorkerView {
        uid: effective_uid(),
        home: namespace.home().map(Path::to_owned),
        cargo_home: request.cargo_home,
        toolchain: projects.next().map(|project| ToolchainView {
            is_found: matches!(project.toolchain.compiler, Compiler::Build(_)),
            note: project.toolchain.note,
        }),
        cache_root: namespace.original_name(&root),
        filesystem: filesystem_type(&existing)?,
        free_bytes: volume(&existing)?.free_bytes,
        directory: stat.map_or((0, 0), |stat| (stat.device, stat.inode)),
    })
}
