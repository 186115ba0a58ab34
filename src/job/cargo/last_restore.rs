//! What the last restore decided about each unit of the project's target directories.

use serde::Serialize;

use crate::cargo::freshness::note::RestoreNote;
use crate::error::{Error, Result};
use crate::fs::Namespace;
use crate::job::cargo::caches::CacheContents;
use crate::job::cargo::freshness::real_name;
use crate::job::cargo::project::CargoProject;
use crate::job::context::JobContext;
use crate::job::request::{Job, JobTarget};
use crate::monitor::Monitor;
use crate::store::Store;

/// A unit in the last restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitOutcome {
    pub package: String,
    /// For example `lib-app`.
    pub unit: String,
    /// Why cargo compiles it again; `None` if it was fresh.
    pub reason: Option<String>,
}

/// Reads what the last restore into the target directories of a job's project decided, in the order
/// of packages and units.
///
/// Errors: no restore into any of them is known, or there is no project.
pub fn last_restore(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
) -> Result<Vec<UnitOutcome>> {
    let JobTarget::Cargo(target) = &job.target else {
        return Err(Error::defect("only a Cargo project has units"));
    };
    let context = JobContext {
        job,
        namespace,
        monitor,
    };
    let project = CargoProject::find(&context, target, &[])?;
    let store = Store::open(&namespace.locate(&job.cache_root)?)?;
    let checkout = real_name(namespace, &project.key_request.checkout)?;
    let prefix = format!("{}/", checkout.display());
    let mut outcomes = Vec::new();
    let mut directories = Vec::new();
    for plan in &project.plans {
        let CacheContents::Target(dirs) = &plan.contents else {
            continue;
        };
        let Some((_, directory)) = dirs.roots().next() else {
            continue;
        };
        directories.push(directory.display().to_string());
        let name = real_name(namespace, directory)?;
        let note = match &store {
            Some(store) => RestoreNote::read(store, &name)?,
            None => None,
        };
        for (label, reason) in note.iter().flat_map(RestoreNote::outcomes) {
            let (package, unit) = label.split_once(" (").unwrap_or((label, ""));
            outcomes.push(UnitOutcome {
                package: package.to_owned(),
                unit: unit.trim_end_matches(')').to_owned(),
                reason: reason.map(|reason| reason.replacen(&prefix, "", 1)),
            });
        }
    }
    if outcomes.is_empty() {
        return Err(Error::invalid(format!(
            "no restore into {} is known; run `local-cache cargo restore` first",
            directories.join(" or ")
        )));
    }
    outcomes.sort_by(|a, b| (&a.package, &a.unit).cmp(&(&b.package, &b.unit)));
    Ok(outcomes)
}
