//! Replays the modification times of a project's sources.
//!
//! If it fails, cargo rebuilds and nothing else breaks, so every failure is a warning.

use crate::cargo::mtimes::history::Sources;
use crate::cargo::mtimes::replay::{self, ReplayStats, SourcesRequest};
use crate::cargo::mtimes::source_roots::SourceRoots;
use crate::error::{Error, Result};
use crate::job::cargo::project::{CargoProject, parse_path_list};
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::store::{Entry, Store};
use crate::tree::Roots;

/// The directories that hold the sources; `None` if no times are replayed.
pub(super) fn source_roots(
    context: &JobContext<'_>,
    target: &CargoTarget,
    project: &CargoProject,
) -> Option<SourceRoots> {
    if !target.replay_mtimes || !target.targets {
        return None;
    }
    warn_on_error(context, find(context, target, project))
}

fn find(
    context: &JobContext<'_>,
    target: &CargoTarget,
    project: &CargoProject,
) -> Result<SourceRoots> {
    let namespace = context.namespace;
    let named = match parse_path_list(&project.key_request, "sources", &target.sources)? {
        Some(list) => list.resolve(namespace)?.roots,
        None => Roots::default(),
    };
    let request = SourcesRequest {
        checkout: &namespace.locate(&project.key_request.checkout)?,
        workspaces: &project.facts.workspaces,
        namespace,
        skipped: &[
            namespace.locate(&context.job.cache_root)?,
            project.cargo_home.clone(),
        ],
        named: &named,
    };
    replay::look_for(&request, context.monitor)
}

/// Replays modification times. All target directories must be in place before.
pub(super) fn replay(
    context: &JobContext<'_>,
    target: &CargoTarget,
    project: &CargoProject,
    store: &Store,
    entries: &[&Entry],
) -> Option<ReplayStats> {
    if entries.is_empty() {
        return None;
    }
    let area = source_roots(context, target, project)?;
    let sources = Sources {
        area: &area,
        job: &target.run,
    };
    let result = replay::give_back(store, &sources, entries, context.monitor);
    warn_on_error(context, result)
}

fn warn_on_error<T>(context: &JobContext<'_>, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        // The worker reports the cancellation.
        Err(Error::Interrupted) => None,
        Err(error) => {
            context.monitor.warn(&format!(
                "{}; no modification times are replayed, so cargo compiles the workspace's own crates again",
                error.with_advice()
            ));
            None
        }
    }
}
