//! What it takes to run in the job's container.

use std::path::PathBuf;

use crate::site::paths::MountMap;

#[derive(Debug, Clone)]
pub(crate) struct JobSpec {
    /// The id of the job's container.
    pub(crate) id: String,
    /// This program, as a path of this container.
    pub(crate) program: PathBuf,
    /// Directories of this container in which a file may be created for a short time.
    pub(crate) scratch_dirs: Vec<PathBuf>,
    pub(crate) own_mounts: MountMap,
    pub(crate) job_mounts: MountMap,
    /// The user and group that such a file should belong to.
    pub(crate) owner: Option<(u32, u32)>,
}
