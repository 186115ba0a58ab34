//! The sources of the project: recorded when a target directory is saved, given their times back when it is restored.

use std::path::PathBuf;

use super::project::{Project, lines};
use super::subject::Cargo;
use crate::error::{Error, Result};
use crate::ops::job::At;
use crate::ops::paths::PathList;
use crate::ops::sources::{GivenBack, Request, give_back, look_for};
use crate::pattern::Base;
use crate::preset::cargo::sources::Area;
use crate::store::Store;
use crate::store::entry::Entry;
use crate::tree::Places;

/// Where the sources are; none where times are not to be given back. What is wrong with them is said: the caches are
/// worth restoring and saving all the same.
pub(super) fn area(at: &At<'_>, subject: &Cargo, project: &Project) -> Option<Area> {
    if !subject.replay_times {
        return None;
    }
    let found = find(at, subject, project);
    let why = match found {
        Ok(area) => return Some(area),
        Err(error) => error.line(),
    };
    at.monitor.warn(&format!(
        "{why}; so sources don't get their times back, and cargo builds the workspace's own crates again"
    ));
    None
}

fn find(at: &At<'_>, subject: &Cargo, project: &Project) -> Result<Area> {
    let checkout = at.ground.locate(&at.job.workspace)?;
    let cache_root = at.ground.locate(&at.job.cache_root)?;
    let skipped: [PathBuf; 2] = [cache_root, project.cargo_home.clone()];
    let request = Request {
        checkout: &checkout,
        workspaces: &project.facts.workspaces,
        sight: at.ground.sight(),
        skipped: &skipped,
        named: &named(at, subject, project)?,
    };
    look_for(&request, at.monitor)
}

/// What the input `sources` names.
fn named(at: &At<'_>, subject: &Cargo, project: &Project) -> Result<Places> {
    let base = Base::new(&project.asked.checkout, &project.asked.home);
    let list = PathList::parse(lines(&subject.sources, &project.asked.checkout), &base)
        .map_err(|error| Error::invalid(format!("sources: {error}")))?;
    Ok(list.resolve(at.ground)?.places)
}

/// Gives sources the times back that they had when these target directories were saved.
pub(super) fn replay(
    at: &At<'_>,
    subject: &Cargo,
    project: &Project,
    store: &Store,
    targets: &[Entry],
) -> Option<GivenBack> {
    if targets.is_empty() {
        return None;
    }
    let area = area(at, subject, project)?;
    let targets: Vec<&Entry> = targets.iter().collect();
    match give_back(store, &area, &targets, &subject.run, at.monitor) {
        Ok(given) => Some(given),
        Err(error) => {
            at.monitor.warn(&format!(
                "{}; not all sources got their times back, and cargo may build more than changed",
                error.line()
            ));
            None
        }
    }
}
