//! Importing a cache that another workflow kept, as an entry for the project's keys.
//!
//! The cache's own key means nothing here. So it is saved under the restore prefix of the project,
//! with that key appended: it is never an exact match, and it is the newest prefix match until a
//! job has saved an entry. Its contents may be old. Cargo detects that, as in every directory that
//! it did not just build.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::cargo::target_dir::read_target;
use crate::error::{Error, Result};
use crate::fs::{Namespace, files};
use crate::glob::Filter;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::freshness::record_dirs_of_own_units;
use crate::job::cargo::project::CargoProject;
use crate::job::context::JobContext;
use crate::job::reply::CacheReply;
use crate::job::request::{Job, JobTarget};
use crate::monitor::Monitor;
use crate::ops::import::{LegacyCache, LegacyKind};
use crate::ops::save::{SaveOptions, SaveRequest, save};
use crate::store::{CacheScope, Store};
use crate::tree::Roots;

/// Saves a legacy cache for the project of a job, into a scope and ref. Returns what was done for
/// each cache of the project.
pub fn import(
    job: &Job,
    legacy: &LegacyCache,
    scope: &CacheScope,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
) -> Result<Vec<CacheReply>> {
    let JobTarget::Cargo(target) = &job.target else {
        return Err(Error::defect("only a Cargo project imports legacy caches"));
    };
    let store = Store::create(&namespace.locate(&job.cache_root)?)?;
    let context = JobContext {
        job,
        namespace,
        monitor,
        second_tier: None,
    };
    let project = CargoProject::find(&context, target, &[])?;
    let mut caches: Vec<CacheReply> = Vec::new();
    for plan in &project.plans {
        let Some(roots) = present_roots(plan, legacy)? else {
            continue;
        };
        let is_target = matches!(plan.contents, CacheContents::Target(_));
        if is_target && caches.iter().any(|cache| cache.kind == plan.kind) {
            // A legacy directory belongs to one workspace: the first.
            continue;
        }
        let Some(prefix) = plan.key.restore_keys.last() else {
            continue;
        };
        let key = format!("{prefix}rsync-{}", legacy.key);
        let filter = is_target.then(|| without_own_records(&roots)).transpose()?;
        let request = SaveRequest {
            group: &plan.group(scope),
            key: &key,
            roots: &roots,
            filter: filter.as_ref().map(|filter| filter as _),
            options: SaveOptions::default(),
            steps: None,
            parts: plan.key.parts(),
            parent: None,
            max_bytes: None,
        };
        let mut cache = CacheReply::new(&plan.name, plan.kind, &key);
        cache.saved = Some(save(&store, &request, monitor)?.into());
        caches.push(cache);
    }
    Ok(caches)
}

/// Excludes cargo's records of the workspace's own crates: nothing proves what they were built
/// from.
fn without_own_records(roots: &Roots) -> Result<impl Fn(&Path, bool) -> Filter + Sync> {
    let mut own = HashSet::new();
    for (_, root) in roots.iter() {
        own.extend(record_dirs_of_own_units(&read_target(&root.path)?));
    }
    Ok(move |path: &Path, _: bool| {
        if own.contains(path) {
            Filter::Exclude
        } else {
            Filter::Include
        }
    })
}

/// The roots of a cache that exist in the legacy directory; `None` if there are none.
fn present_roots(plan: &CachePlan, legacy: &LegacyCache) -> Result<Option<Roots>> {
    let kind = match plan.contents {
        CacheContents::Registry | CacheContents::Git => LegacyKind::Cargo,
        CacheContents::Target(_) => LegacyKind::Target,
        CacheContents::Bin | CacheContents::Directories(_) => return Ok(None),
    };
    if kind != legacy.kind {
        return Ok(None);
    }
    let mut roots = plan.roots(&legacy.path);
    if kind == LegacyKind::Target {
        // rsync workflows kept the target directory as a whole.
        roots.truncate(1);
        for (_, path) in &mut roots {
            path.clone_from(&legacy.path);
        }
    }
    let mut present: Vec<(Box<[u8]>, PathBuf)> = Vec::new();
    for (name, path) in roots {
        if files::stat(&path)?.is_some() {
            present.push((name, path));
        }
    }
    Ok((!present.is_empty()).then(|| Roots::new(present)))
}
