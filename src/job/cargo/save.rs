//! Saving the caches of Cargo workspaces.

use std::collections::BTreeMap;

use crate::cargo::installed_bins;
use crate::cargo::key::template::KeyTemplate;
use crate::error::{Error, Result};
use crate::glob::Filter;
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::cargo::build_locks::BuildLocks;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::freshness::{JobFreshness, TargetSave};
use crate::job::cargo::other_homes::{missing_downloads, warn_of_unknown_compiler};
use crate::job::cargo::package_cache_lock::PackageCacheLock;
use crate::job::cargo::project::{CargoProject, FilterFn};
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, JobReply, SaveReply, StaleUnit};
use crate::job::request::{RestoreRecord, SaveTask};
use crate::job::size_limit::SizeLimit;
use crate::ops::save::{IfExists, SaveOptions, SaveRequest, save as save_entry};
use crate::store::{CacheKind, EntryGroup, EntryId, Store};
use crate::tree::{RootPlace, Roots};

/// Saves all caches. Returns the groups that were written to. If the job is cancelled, the caches
/// that were saved before are in the reply.
pub(crate) fn save(
    context: &JobContext<'_>,
    target: &CargoTarget,
    task: &SaveTask,
    store: &Store,
    reply: &mut JobReply,
) -> Result<Vec<EntryGroup>> {
    let project = CargoProject::find(context, target, &task.records)?;
    warn_of_unknown_compiler(context, &project)?;
    let freshness = if project.is_found() {
        JobFreshness::find(context, target, &project, store)
    } else {
        None
    };
    let mut save = CacheSave {
        context,
        task,
        store,
        project: &project,
        freshness: freshness.as_ref(),
        is_gone: target.only_projects && !project.is_found(),
        limit: SizeLimit::new(context, task, store),
        lock: PackageCacheLock::new(target, &project, context.monitor),
        stale: Vec::new(),
    };
    // In reverse: a target directory that is moved into the store takes with it the caches that
    // lie below it, so these must be saved first.
    let plans = &project.plans;
    let result = plans.iter().rev().try_for_each(|plan| {
        let mut records = task.records.iter();
        let record = records.find(|record| record.cache == plan.name);
        save.save_under_all_keys(plan, record, &mut reply.caches)
    });
    reply.caches.reverse();
    reply.stale.append(&mut save.stale);
    result?;
    reply.caches.extend(lost_targets(&project, &task.records));
    Ok(plans.iter().map(|plan| plan.group(&task.write)).collect())
}

/// The target directories of the restore that belong to no project any more.
fn lost_targets(project: &CargoProject, records: &[RestoreRecord]) -> Vec<CacheReply> {
    let lost = records.iter().filter(|record| {
        let is_planned = project.plans.iter().any(|plan| plan.name == record.cache);
        record.kind == CacheKind::Target && !is_planned
    });
    let skipped = lost.map(|record| CacheReply {
        saved: Some(SaveReply::Skipped {
            reason: project.what_is_gone(),
        }),
        ..CacheReply::new(&record.cache, record.kind, &record.key)
    });
    skipped.collect()
}

/// The keys to save a cache under; the module [`crate::job::cargo`] says why.
fn keys_to_save(
    project: &CargoProject,
    plan: &CachePlan,
    record: Option<&RestoreRecord>,
) -> Vec<String> {
    let Some(record) = record else {
        return vec![plan.key.text.clone()];
    };
    if !project.is_found() {
        return vec![record.key.clone()];
    }
    let templates: Option<(&KeyTemplate, &KeyTemplate)> = record
        .notes
        .key_template
        .as_ref()
        .zip(plan.key.template.as_ref());
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
    freshness: Option<&'a JobFreshness<'a>>,
    /// Whether the restore found a project, and there is none now.
    is_gone: bool,
    limit: SizeLimit<'a>,
    lock: PackageCacheLock<'a>,
    /// Of the target directories so far.
    stale: Vec<StaleUnit>,
}

impl<'a> CacheSave<'a> {
    fn save_under_all_keys(
        &mut self,
        plan: &CachePlan,
        record: Option<&RestoreRecord>,
        caches: &mut Vec<CacheReply>,
    ) -> Result<()> {
        let keys = keys_to_save(self.project, plan, record);
        if let Some(record) = record {
            warn_of_other_places(self.context, plan, record);
        }
        for (number, key) in keys.iter().enumerate() {
            let mut cache = CacheReply::new(&plan.name, plan.kind, key);
            cache.notes = self.project.notes(plan);
            // A directory can be moved into the store once, after it was read for the last time.
            let keep_ready = self.task.options.keep_ready && number + 1 == keys.len();
            match self.save_cache(plan, key, record, keep_ready) {
                Ok(saved) => cache.saved = Some(saved),
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
    ) -> Result<SaveReply> {
        let Self {
            context,
            task,
            store,
            project,
            ..
        } = *self;
        let notes = record
            .map(|record| record.notes.clone())
            .unwrap_or_default();
        if plan.is_shared() && self.is_gone && !project.knows_downloads(&notes) {
            return Ok(SaveReply::Skipped {
                reason: format!("{}, and it had no Cargo.lock", project.what_is_gone()),
            });
        }
        self.lock.hold_for(plan)?;
        if let Some(reason) = missing_downloads(project, plan, &notes)? {
            if project.was_built(context)? {
                context.monitor.warn(&format!("{}: {reason}", plan.name));
            }
            return Ok(SaveReply::Skipped { reason });
        }
        let group = plan.group(&task.write);
        let roots = roots_to_save(context, project, plan)?;
        let steps = self.target_steps(plan, &roots)?;
        let locks = match (&plan.contents, &steps) {
            (CacheContents::Target(dirs), Some(steps)) => lock_builds(context, plan, dirs, steps)?,
            _ => BuildLocks::default(),
        };
        // A cargo that goes on would write into the store.
        let may_move = locks.busy.is_empty() && may_move(context, plan)?;
        let filter = match (project.filter(context, plan, &notes)?, &steps) {
            (Some(filter), Some(steps)) => Some(without_own_records(filter, steps)),
            (filter, _) => filter,
        };
        let restored = record.and_then(|record| EntryId::parse(record.entry.as_ref()?));
        let request = SaveRequest {
            group: &group,
            key,
            roots: &roots,
            filter: filter.as_deref().map(|filter| filter as _),
            options: SaveOptions {
                if_exists: if_exists(task, plan, key, record),
                keep_ready: keep_ready && may_move,
                ready_limit: task.options.ready_limit,
                // A project without git dependencies has nothing to save, and the next restore
                // should find just that.
                allow_empty: plan.is_shared(),
            },
            steps: steps.as_ref().map(|steps| steps as _),
            parts: parts_of(plan, key, record),
            parent: Some(restored.unwrap_or_else(|| group.entry_id(key))),
            max_bytes: self.limit.for_entry_of(&group)?,
        };
        let outcome = save_entry(store, &request, context.monitor)?;
        self.limit.note(&plan.name, group.entry_id(key), &outcome);
        if let Some(steps) = steps {
            self.stale.extend(steps.into_stale());
        }
        Ok(outcome.into())
    }

    /// `None` for other caches than target directories.
    fn target_steps(&self, plan: &CachePlan, roots: &Roots) -> Result<Option<TargetSave<'a>>> {
        let CacheContents::Target(dirs) = &plan.contents else {
            return Ok(None);
        };
        match self.freshness {
            Some(freshness) => TargetSave::new(freshness, dirs, roots).map(Some),
            None => Err(Error::invalid("the project's sources cannot be found")),
        }
    }
}

fn without_own_records(filter: FilterFn, steps: &TargetSave<'_>) -> FilterFn {
    let own = steps.own_record_dirs();
    Box::new(move |path, is_directory| {
        if own.contains(path) {
            Filter::Exclude
        } else {
            filter(path, is_directory)
        }
    })
}

/// The next job looks for a target directory where this one did. A step can have changed that, for
/// example with a variable.
fn warn_of_other_places(context: &JobContext<'_>, plan: &CachePlan, record: &RestoreRecord) {
    let (then, now) = (&record.notes.places, plan.places());
    if then.is_empty() || *then == now {
        return;
    }
    let only_in = |lines: &[String], others: &[String]| -> String {
        let mut lines = lines.iter().filter(|line| !others.contains(line)).cloned();
        let first = lines.next().unwrap_or_else(|| "none".to_owned());
        lines.fold(first, |text, line| format!("{text} and {line}"))
    };
    context.monitor.warn(&format!(
        "{}: a step changed its directories from {} to {}, but the next job looks for the former; \
         set them before this step",
        plan.name,
        only_in(then, now),
        only_in(now, then)
    ));
}

/// Locks the directories in which cargo built, and warns if it is still at work, or was elsewhere.
fn lock_builds(
    context: &JobContext<'_>,
    plan: &CachePlan,
    dirs: &BuildDirs,
    steps: &TargetSave<'_>,
) -> Result<BuildLocks> {
    if steps.profiles().next().is_none() && dirs.are_without_builds(context)? {
        warn_of_builds_elsewhere(context, plan, dirs)?;
    }
    let locks = BuildLocks::try_all(steps.profiles());
    for profile in &locks.busy {
        context.monitor.warn(&format!(
            "{}: a cargo that a step left running is building in {}; what it has not finished is compiled \
             again by the next job",
            plan.name,
            context.namespace.original_name(profile).display()
        ));
    }
    Ok(locks)
}

/// A step can have cargo build into a directory that this process does not know of, and later
/// versions of cargo do so by default.
fn warn_of_builds_elsewhere(
    context: &JobContext<'_>,
    plan: &CachePlan,
    dirs: &BuildDirs,
) -> Result<()> {
    context.monitor.warn(&format!(
        "{}: cargo has built nothing in {}, so the next job compiles everything; if it builds into another \
         directory, set `build.build-dir` in .cargo/config.toml, or CARGO_BUILD_BUILD_DIR before this step",
        plan.name,
        dirs.target()?.display()
    ));
    Ok(())
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

/// The parts of the key: those of the restore, if it is the key that was looked up.
fn parts_of(
    plan: &CachePlan,
    key: &str,
    record: Option<&RestoreRecord>,
) -> BTreeMap<String, String> {
    let looked_up = record.filter(|record| record.key == key && !record.notes.parts.is_empty());
    looked_up.map_or_else(|| plan.key.parts(), |record| record.notes.parts.clone())
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
        roots.push((name, RootPlace::locate(context.namespace, &path)?));
    }
    Ok(Roots::new(roots))
}
