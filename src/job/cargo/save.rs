//! Saving the caches of Cargo workspaces.

use crate::cargo::installed_bins;
use crate::cargo::key::template::KeyTemplate;
use crate::cargo::mtimes::history::Sources;
use crate::cargo::mtimes::replay;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::mtimes;
use crate::job::cargo::package_cache_lock::PackageCacheLock;
use crate::job::cargo::project::CargoProject;
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::reply::CacheReply;
use crate::job::request::{RestoreRecord, SaveTask};
use crate::ops::save::{
    IfExists, RecordSources, SaveOptions, SaveOutcome, SaveRequest, save as save_entry,
};
use crate::store::{EntryGroup, EntryId, Store};
use crate::tree::Roots;

/// Saves all caches. Returns the groups that were written to. If the job is cancelled, the caches
/// that were saved before are in the reply.
pub(crate) fn save(
    context: &JobContext<'_>,
    target: &CargoTarget,
    task: &SaveTask,
    store: &Store,
    caches: &mut Vec<CacheReply>,
) -> Result<Vec<EntryGroup>> {
    let project = CargoProject::find(context, target)?;
    let source_roots = mtimes::source_roots(context, target, &project);
    let sources = source_roots.as_ref().map(|area| Sources {
        area,
        job: &target.run,
    });
    let mut save = CacheSave {
        context,
        task,
        store,
        project: &project,
        sources,
        lock: PackageCacheLock::new(target, &project, context.monitor),
    };
    // In reverse: a target directory that is moved into the store takes with it the caches that
    // lie below it, so these must be saved first.
    let plans = &project.plans;
    let result = plans.iter().rev().try_for_each(|plan| {
        let mut records = task.records.iter();
        let record = records.find(|record| record.cache == plan.name);
        save.save_under_all_keys(plan, record, caches)
    });
    caches.reverse();
    result?;
    Ok(plans.iter().map(|plan| plan.group(&task.write)).collect())
}

/// The keys to save a cache under; the module [`crate::job::cargo`] says why.
fn keys_to_save(plan: &CachePlan, record: Option<&RestoreRecord>) -> Vec<String> {
    let Some(record) = record else {
        return vec![plan.key.text.clone()];
    };
    let templates: Option<(&KeyTemplate, &KeyTemplate)> =
        record.key_template.as_ref().zip(plan.key.template.as_ref());
    let Some((then, now)) = templates else {
        return vec![record.key.clone()];
    };
    let present_key = then.with_toolchain_of(now).key();
    if present_key == record.key || then.is_compiler_known() {
        vec![present_key]
    } else {
        vec![present_key, record.key.clone()]
    }
}

struct CacheSave<'a> {
    context: &'a JobContext<'a>,
    task: &'a SaveTask,
    store: &'a Store,
    project: &'a CargoProject,
    sources: Option<Sources<'a>>,
    lock: PackageCacheLock<'a>,
}

impl CacheSave<'_> {
    fn save_under_all_keys(
        &mut self,
        plan: &CachePlan,
        record: Option<&RestoreRecord>,
        caches: &mut Vec<CacheReply>,
    ) -> Result<()> {
        let keys = keys_to_save(plan, record);
        for (number, key) in keys.iter().enumerate() {
            let mut cache = CacheReply::new(&plan.name, plan.kind, key);
            // A directory can be moved into the store once, after it was read for the last time.
            let keep_ready = self.task.options.keep_ready && number + 1 == keys.len();
            match self.save_cache(plan, key, record, keep_ready) {
                Ok(outcome) => cache.saved = Some(outcome.into()),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let reason = error.with_advice();
                    cache.error = Some(format!("{} is not saved: {reason}", plan.name));
                }
            }
            caches.push(cache);
        }
        Ok(())
    }

    fn save_cache(
        &mut self,
        plan: &CachePlan,
        key: &str,
        record: Option<&RestoreRecord>,
        keep_ready: bool,
    ) -> Result<SaveOutcome> {
        let Self {
            context,
            task,
            store,
            project,
            sources,
            ..
        } = *self;
        self.lock.hold_for(plan)?;
        let group = plan.group(&task.write);
        let filter = project.filter(context, plan)?;
        let restored = record.and_then(|record| EntryId::parse(record.entry.as_ref()?));
        let is_target = matches!(plan.contents, CacheContents::Target(_));
        let record_sources = sources.filter(|_| is_target).map(|sources| {
            move |mtimes: &[Timestamp]| {
                replay::record(store, &sources, mtimes.iter().copied(), context.monitor)
            }
        });
        let request = SaveRequest {
            group: &group,
            key,
            roots: &roots_to_save(context, project, plan)?,
            filter: filter.as_deref().map(|filter| filter as _),
            options: SaveOptions {
                if_exists: if_exists(task, plan, key, record),
                keep_ready: keep_ready && may_move(context, plan)?,
                // A project without git dependencies has nothing to save, and the next restore
                // should find just that.
                allow_empty: plan.is_shared(),
            },
            record_sources: record_sources.as_ref().map(|it| it as RecordSources<'_>),
            parent: Some(restored.unwrap_or_else(|| group.entry_id(key))),
        };
        save_entry(store, &request, context.monitor)
    }
}

/// An entry that this step did not restore was saved by another job meanwhile and is as good as
/// ours.
fn if_exists(
    task: &SaveTask,
    plan: &CachePlan,
    key: &str,
    record: Option<&RestoreRecord>,
) -> IfExists {
    let was_restored = record.is_some_and(|record| record.exact && record.key == key);
    if was_restored || matches!(plan.contents, CacheContents::Bin) {
        IfExists::ReplaceIfChanged
    } else {
        task.options.if_exists
    }
}

fn may_move(context: &JobContext<'_>, plan: &CachePlan) -> Result<bool> {
    match &plan.contents {
        CacheContents::Target(dirs) => Ok(dirs.not_made_by_cargo(context)?.is_none()),
        _ => Ok(false),
    }
}

fn roots_to_save(
    context: &JobContext<'_>,
    project: &CargoProject,
    plan: &CachePlan,
) -> Result<Roots> {
    match &plan.contents {
        CacheContents::Directories(paths) => return Ok(paths.resolve(context.namespace)?.roots),
        CacheContents::Bin => {
            return Ok(Roots::new(installed_bins::installed(&project.cargo_home)?));
        }
        CacheContents::Target(dirs) => project.check_build_dirs(context, dirs)?,
        CacheContents::Registry | CacheContents::Git => {}
    }
    let mut roots = Vec::new();
    for (name, path) in plan.roots(&project.key_request.cargo_home) {
        roots.push((name, context.namespace.locate_parent(&path)?));
    }
    Ok(Roots::new(roots))
}
