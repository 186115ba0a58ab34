//! What of a target directory is not worth saving. [`crate::preset::cargo::prune`] says why; here it is looked at.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::Result;
use crate::fs::{Timestamp, files};
use crate::preset::cargo::prune::{self, Leftovers, Needed};
use crate::preset::cargo::{Sight, WorkspaceFacts};

/// What no build of the workspaces can use of a target directory, all of which are to be named that use it. Their facts
/// are to be gathered after the build, so that the lock file is the one that it used.
pub fn leftovers(target: &Path, workspaces: &[WorkspaceFacts], sight: Sight<'_>) -> Result<Leftovers> {
    let needed = Needed::of_workspaces(workspaces);
    let roots: Vec<&Path> =
        workspaces.iter().filter_map(|workspace| Some(&*workspace.project.as_ref()?.root)).collect();
    let is_source = |path: &Path| {
        // What can't be looked at is not said to be gone.
        roots.iter().any(|root| match (sight.locate)(&root.join(path)) {
            Ok(located) => !matches!(files::stat(&located), Ok(None)),
            Err(error) => error.kind() != ErrorKind::NotFound,
        })
    };
    let looked = prune::look(target)?;
    Ok(prune::leftovers(&looked, needed.as_ref(), &is_source, Timestamp::now()))
}
