//! The sources of a project, for their times to be given back. That they are not only costs builds,
//! so whatever goes wrong is said and no failure.

use crate::cargo::mtimes::replay as sources;
use crate::cargo::mtimes::replay::{Sources, SourcesRequest};
use crate::cargo::mtimes::source_roots::SourceRoots;
use crate::error::{Error, Result};
use crate::job::JobContext;
use crate::job::cargo::project::{CargoProject, list};
use crate::job::cargo::request::CargoTarget;
use crate::store::{Entry, Store};
use crate::tree::Roots;

/// Where the sources are; none where no times are given back.
pub(crate) fn area(
    at: &JobContext<'_>,
    subject: &CargoTarget,
    project: &CargoProject,
) -> Option<SourceRoots> {
    if !subject.replay_times || !subject.targets {
        return None;
    }
    said(at, find(at, subject, project))
}

fn find(at: &JobContext<'_>, subject: &CargoTarget, project: &CargoProject) -> Result<SourceRoots> {
    let namespace = at.namespace;
    let named = match list(&project.asked, "sources", &subject.sources)? {
        Some(list) => list.resolve(namespace)?.places,
        None => Roots::default(),
    };
    let request = SourcesRequest {
        checkout: &namespace.locate(&project.asked.checkout)?,
        workspaces: &project.facts.workspaces,
        namespace,
        skipped: &[
            namespace.locate(&at.job.cache_root)?,
            project.cargo_home.clone(),
        ],
        named: &named,
    };
    sources::look_for(&request, at.monitor)
}

/// Gives times back once all target directories are in their places.
pub(crate) fn give_back(
    at: &JobContext<'_>,
    subject: &CargoTarget,
    project: &CargoProject,
    store: &Store,
    entries: &[&Entry],
) -> Option<sources::ReplayStats> {
    let area = area(at, subject, project).filter(|_| !entries.is_empty())?;
    let sources = Sources {
        area: &area,
        job: &subject.run,
    };
    said(at, sources::give_back(store, &sources, entries, at.monitor))
}

fn said<T>(at: &JobContext<'_>, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            // That the work was called off is said by who did it.
            if !matches!(error, Error::Interrupted) {
                at.monitor.warn(&format!(
                    "{}; sources keep their times, so cargo compiles the workspace's own crates again",
                    error.with_advice()
                ));
            }
            None
        }
    }
}
