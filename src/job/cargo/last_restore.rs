//! What the last restore decided about each unit of the project's target directories.

use std::path::PathBuf;

use crate::cargo::freshness::note::RestoreNote;
use crate::error::{Error, Result};
use crate::fs::{Namespace, Timestamp};
use crate::job::cargo::caches::CacheContents;
use crate::job::cargo::noted::{noted_as, unit_outcomes};
use crate::job::cargo::project::CargoProject;
use crate::job::context::JobContext;
use crate::job::reply::UnitOutcome;
use crate::job::request::{Job, JobTarget};
use crate::monitor::Monitor;
use crate::store::Store;

/// The last restore into a target directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOutcome {
    /// Relative to the checkout if it lies there.
    pub directory: PathBuf,
    pub time: Timestamp,
    /// In the order of packages and units.
    pub units: Vec<UnitOutcome>,
}

/// Reads what the last restore into each target directory of a job's project decided.
///
/// Empty if there is no project.
///
/// Errors: no restore into any of them is known.
pub fn last_restore(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
) -> Result<Vec<TargetOutcome>> {
    let JobTarget::Cargo(target) = &job.target else {
        return Err(Error::defect("only a Cargo project has units"));
    };
    let context = JobContext {
        job,
        namespace,
        monitor,
        second_tier: None,
    };
    let project = CargoProject::find(&context, target, &[])?;
    let store = Store::open(&namespace.locate(&job.cache_root)?)?;
    let checkout = namespace.real_name(&project.key_request.checkout)?;
    let mut targets = Vec::new();
    let mut unknown = Vec::new();
    for plan in &project.plans {
        let CacheContents::Target(dirs) = &plan.contents else {
            continue;
        };
        let name = noted_as(namespace, dirs)?;
        let note = match &store {
            Some(store) => RestoreNote::read(store, &name)?,
            None => None,
        };
        let Some(note) = note else {
            unknown.push(dirs.target()?.display().to_string());
            continue;
        };
        let mut units: Vec<UnitOutcome> = unit_outcomes(&note, &checkout).collect();
        units.sort_by(|a, b| (&a.package, &a.unit).cmp(&(&b.package, &b.unit)));
        let directory = name.strip_prefix(&checkout).unwrap_or(&name).to_owned();
        targets.push(TargetOutcome {
            directory,
            time: note.time,
            units,
        });
    }
    if targets.is_empty() && !unknown.is_empty() {
        return Err(Error::invalid(format!(
            "no restore into {} is known; run `local-cache cargo restore` first",
            unknown.join(" or ")
        )));
    }
    Ok(targets)
}
