//! Signs that the steps use another `CARGO_HOME` or `RUSTUP_HOME` than the one that was looked into.
//!
//! A service manager or a step can set these variables where this process can't see them. Then the
//! directories here are empty, which must not look as if a project needed nothing.

use crate::cargo::project::facts::Compiler;
use crate::error::Result;
use crate::fmt::human::plural;
use crate::fs::files;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::project::CargoProject;
use crate::job::context::JobContext;
use crate::job::request::SaveNotes;

const REGISTRY_CACHE: &str = "registry/cache";
const REGISTRY_INDEX: &str = "registry/index";

/// What to do about it.
fn advice(variable: &str) -> String {
    format!(
        "if the steps use another {variable}, set it in the job's `env:` or in the runner's `.env`"
    )
}

/// Why there is nothing to save although the lock files name packages that cargo downloads.
pub(super) fn missing_downloads(
    project: &CargoProject,
    plan: &CachePlan,
    notes: &SaveNotes,
) -> Result<Option<String>> {
    let (directory, needed) = match plan.contents {
        CacheContents::Registry => (
            REGISTRY_CACHE,
            project.needed_packages(notes).map(|it| it.of_registries()),
        ),
        CacheContents::Git => (
            "git/db",
            project.needed_packages(notes).map(|it| it.of_git()),
        ),
        _ => return Ok(None),
    };
    let count = needed.map_or(0, |packages| packages.count());
    if count == 0 || project.has_local_sources() {
        return Ok(None);
    }
    let is_empty = |directory| -> Result<bool> {
        Ok(files::list(&project.cargo_home.join(directory))?.is_empty())
    };
    // A cargo that read the index here had nothing to download: the packages are for other
    // platforms. It can't read a git dependency without cloning it.
    let was_resolved_here = directory == REGISTRY_CACHE && !is_empty(REGISTRY_INDEX)?;
    if was_resolved_here || !is_empty(directory)? {
        return Ok(None);
    }
    let shown = project.key_request.cargo_home.join(directory);
    Ok(Some(format!(
        "{} is empty although Cargo.lock names {}; {}",
        shown.display(),
        plural(count as u64, "package", "packages"),
        advice("CARGO_HOME")
    )))
}

/// Warns about a project that was built by a compiler that was not found.
pub(super) fn warn_of_unknown_compiler(
    context: &JobContext<'_>,
    project: &CargoProject,
) -> Result<()> {
    if !project.was_built(context)? {
        return Ok(());
    }
    let projects = project
        .facts
        .workspaces
        .iter()
        .filter_map(|workspace| workspace.project.as_ref());
    let unknown = projects
        .map(|project| &project.toolchain)
        .find(|toolchain| !matches!(toolchain.compiler, Compiler::Build(_)));
    if let Some(toolchain) = unknown {
        context.monitor.warn(&format!(
            "the compiler is not part of the keys ({}); {}",
            toolchain.note,
            advice("RUSTUP_HOME")
        ));
    }
    Ok(())
}
