//! What of a target directory is not worth saving. [`crate::cargo::target_gc`] says why; here it is
//! looked at.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::{Namespace, Timestamp, files};

use crate::cargo::project::facts::WorkspaceFacts;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::unused::UnusedOutputs;
use crate::cargo::target_gc::{read_target, unused};

/// What no build of the workspaces can use of a target directory, which is given as this process
/// finds it. All workspaces are to be named that use it, and their facts gathered after the build,
/// so that the lock file is the one that it used.
pub fn leftovers(
    target: &Path,
    workspaces: &[WorkspaceFacts],
    namespace: &dyn Namespace,
) -> Result<UnusedOutputs> {
    let needed = LockedPackages::of_workspaces(workspaces);
    let projects = workspaces
        .iter()
        .filter_map(|workspace| workspace.project.as_ref());
    let roots = projects.map(|project| namespace.locate(&project.root));
    let roots = roots.collect::<Result<Vec<PathBuf>>>()?;
    let is_source = |path: &Path| {
        // What can't be looked at is not said to be gone.
        roots
            .iter()
            .any(|root| !matches!(files::stat(&root.join(path)), Ok(None)))
    };
    let looked = read_target::look(target)?;
    Ok(unused::leftovers(
        &looked,
        needed.as_ref(),
        &is_source,
        Timestamp::now(),
    ))
}
