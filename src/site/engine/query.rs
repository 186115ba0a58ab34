//! What the engine is asked before a site is selected.

use std::path::PathBuf;

/// What this process knows about the container it runs in.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContainerHints {
    /// Container ids from the kernel's files, most likely first.
    pub(crate) candidates: Vec<String>,
    /// The writable layer of the root directory.
    pub(crate) upper_dir: Option<PathBuf>,
    /// `NAME=value` for each file that the runner created for this stage only.
    pub(crate) stage_files: Vec<String>,
}

/// Which containers the engine should find.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineQuery {
    /// For finding this process's container. `None` outside of containers.
    pub(crate) hints: Option<ContainerHints>,
    /// The id of the job's container, if the workflow passes it.
    pub(crate) job_container: Option<String>,
    /// The runner's work directory on the host. The job's container has it mounted.
    pub(crate) work_directory: Option<PathBuf>,
}
