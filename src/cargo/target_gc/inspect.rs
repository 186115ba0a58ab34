//! Reads a target directory and finds the outputs that no build can use.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::{Namespace, Timestamp, files};

use crate::cargo::project::facts::WorkspaceFacts;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::unused::UnusedOutputs;
use crate::cargo::target_gc::{read_target, unused};

/// The outputs in a target directory that no build of the workspaces can use.
///
/// `workspaces` must be all workspaces that build into the directory, gathered after the build, so
/// that the lock file is the one of the build.
pub fn inspect(
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
        // A source that can't be inspected counts as present.
        roots
            .iter()
            .any(|root| !matches!(files::stat(&root.join(path)), Ok(None)))
    };
    let target_dir = read_target::read_target(target)?;
    Ok(unused::unused_outputs(
        &target_dir,
        needed.as_ref(),
        &is_source,
        Timestamp::now(),
    ))
}
