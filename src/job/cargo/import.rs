//! Taking over what another workflow kept: it becomes an entry that stands in for the project's
//! keys.
//!
//! Its own key means nothing here. So it is saved under the prefix that a restore of the project
//! falls back to, with that key after it: never an exact hit, and the nearest entry until a job has
//! saved one of its own. What is in it may be old; cargo finds out, as it does with every directory
//! that it did not just build.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::fs::Namespace;
use crate::fs::files;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::project::CargoProject;
use crate::job::cargo::request::CargoTarget;
use crate::job::cargo::{CacheReply, JobContext};
use crate::job::{Job, JobTarget};
use crate::monitor::Monitor;
use crate::ops::import::{LegacyCache, LegacyKind};
use crate::ops::save;
use crate::store::{CacheScope, Store};
use crate::tree::Roots;

/// Saves a directory of an rsync workflow for the project of a job, into a scope and ref. Gives
/// what came of each cache that is in it.
pub fn adopt(
    job: &Job,
    foreign: &LegacyCache,
    scope: &CacheScope,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
) -> Result<Vec<CacheReply>> {
    let JobTarget::Cargo(subject) = &job.subject else {
        return Err(Error::defect(
            "only a Cargo project takes over such directories",
        ));
    };
    let store = Store::create(&namespace.locate(&job.cache_root)?)?;
    let at = JobContext {
        job,
        namespace,
        monitor,
    };
    let subject: &CargoTarget = subject;
    let project = CargoProject::find(&at, subject)?;
    let mut caches = Vec::new();
    for plan in &project.plans {
        let Some(places) = places(plan, foreign)? else {
            continue;
        };
        if matches!(plan.what, CacheContents::Target(_))
            && caches
                .iter()
                .any(|cache: &CacheReply| cache.kind == plan.kind)
        {
            // One directory is of one workspace, and that is the first.
            continue;
        }
        let Some(prefix) = plan.key.restore.last() else {
            continue;
        };
        let key = format!("{prefix}rsync-{}", foreign.key);
        let request = save::SaveRequest {
            group: &plan.group(scope),
            key: &key,
            places: &places,
            exclude: None,
            existing: save::IfExists::Stays,
            allow_empty: false,
            keep_ready: false,
            sources: None,
            parent: None,
        };
        let mut cache = CacheReply::new(&plan.name, plan.kind, &key);
        cache.saved = Some(save::save(&store, &request, monitor)?.into());
        caches.push(cache);
    }
    Ok(caches)
}

/// Where the roots of a cache are in such a directory; none where it has none of them.
fn places(plan: &CachePlan, foreign: &LegacyCache) -> Result<Option<Roots>> {
    let fits = match plan.what {
        CacheContents::Registry | CacheContents::Git => foreign.holds == LegacyKind::Cargo,
        CacheContents::Target(_) => foreign.holds == LegacyKind::Target,
        CacheContents::Bin | CacheContents::Directories(_) => false,
    };
    if !fits {
        return Ok(None);
    }
    let mut roots = plan.roots(&foreign.path);
    if matches!(plan.what, CacheContents::Target(_)) {
        // It was one directory then.
        roots.truncate(1);
        roots
            .iter_mut()
            .for_each(|(_, path)| path.clone_from(&foreign.path));
    }
    let mut present: Vec<(Box<[u8]>, PathBuf)> = Vec::new();
    for (name, path) in roots {
        if files::stat(&path)?.is_some() {
            present.push((name, path));
        }
    }
    Ok((!present.is_empty()).then(|| Roots::new(present)))
}
