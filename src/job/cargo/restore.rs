//! Restoring the caches of Cargo workspaces.

use std::time::Duration;

use crate::cargo::installed_bins;
use crate::error::{Error, Result};
use crate::fs::files;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::freshness::{JobFreshness, TargetRestore, warn_of_unmatched_sources};
use crate::job::cargo::package_cache_lock::PackageCacheLock;
use crate::job::cargo::project::CargoProject;
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, FreshnessReply, JobReply};
use crate::job::request::RestoreTask;
use crate::ops::near_miss::{Lookup, NearMiss, near_miss};
use crate::ops::restore::{
    RestoreOptions, RestoreRequest, RestoredEntry, restore as restore_entry,
};
use crate::store::{EntryGroup, Store};
use crate::tree::RootPlace;
use crate::tree::plan::Extraneous;

/// Restores all caches. If the job is cancelled, those that were restored before are in the reply.
pub(crate) fn restore(
    context: &JobContext<'_>,
    target: &CargoTarget,
    task: &RestoreTask,
    store: Option<&Store>,
    reply: &mut JobReply,
) -> Result<()> {
    let project = CargoProject::find(context, target, &[])?;
    warn_of_unmatched_sources(context, target, &project);
    let freshness = store.and_then(|store| JobFreshness::find(context, target, &project, store));
    let mut restore = CacheRestore {
        context,
        task,
        store,
        project: &project,
        lock: PackageCacheLock::new(target, &project, context.monitor),
        freshness: freshness.as_ref(),
        reply: FreshnessReply::default(),
    };
    for plan in &project.plans {
        let mut cache = CacheReply::new(&plan.name, plan.kind, &plan.key.text);
        cache.notes = project.notes(plan);
        match restore.run(plan) {
            Ok(found) => {
                if let (CacheContents::Target(dirs), Some(_)) = (&plan.contents, &found)
                    && !task.options.lookup_only
                {
                    project.remove_left_over(context, dirs);
                }
                cache.found = found.map(Into::into);
                if cache.found.is_none() && !cache.is_bin() {
                    cache.near_miss = restore.near_miss(plan);
                }
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                cache.error = Some(format!(
                    "{} is not restored: {}",
                    plan.name,
                    error.with_advice()
                ));
            }
        }
        reply.caches.push(cache);
    }
    let has_crates = restore.reply.crates > 0;
    reply.freshness = has_crates.then_some(restore.reply);
    Ok(())
}

/// Restores the downloads of the newest entries, before the checkout shows which ones are needed.
///
/// It waits for nobody: what other programs lock now, the main phase restores.
pub(crate) fn restore_early(
    context: &JobContext<'_>,
    target: &CargoTarget,
    task: &RestoreTask,
    store: &Store,
    reply: &mut JobReply,
) -> Result<()> {
    let target = CargoTarget {
        lock_timeout: Duration::ZERO,
        ..target.clone()
    };
    let project = CargoProject::before_checkout(context, &target)?;
    let namespace = context.namespace;
    let checkout = namespace.real_name(&project.key_request.checkout)?;
    for plan in &project.plans {
        for (_, root) in plan.roots(&project.key_request.cargo_home) {
            if namespace.real_name(&root)?.starts_with(&checkout) {
                return Ok(());
            }
        }
    }
    let mut restore = CacheRestore {
        context,
        task,
        store: Some(store),
        project: &project,
        lock: PackageCacheLock::new(&target, &project, context.monitor),
        freshness: None,
        reply: FreshnessReply::default(),
    };
    for plan in &project.plans {
        let mut cache = CacheReply::new(&plan.name, plan.kind, &plan.key.text);
        cache.found = match restore.run(plan) {
            Err(_) if restore.lock.is_held_by_others() => None,
            found => found?.map(Into::into),
        };
        reply.caches.push(cache);
    }
    Ok(())
}

struct CacheRestore<'a> {
    context: &'a JobContext<'a>,
    task: &'a RestoreTask,
    store: Option<&'a Store>,
    project: &'a CargoProject,
    lock: PackageCacheLock<'a>,
    freshness: Option<&'a JobFreshness<'a>>,
    /// Of the target directories so far.
    reply: FreshnessReply,
}

impl<'a> CacheRestore<'a> {
    fn run(&mut self, plan: &'a CachePlan) -> Result<Option<RestoredEntry>> {
        let Self {
            context,
            task,
            project,
            ..
        } = *self;
        if !plan.is_shared() {
            self.lock.hold_for(plan)?;
        }
        match &plan.contents {
            CacheContents::Bin if installed_bins::is_used(&project.cargo_home)? => return Ok(None),
            CacheContents::Target(dirs) => project.check_build_dirs(context, dirs)?,
            _ => {}
        }
        let Some(store) = self.store else {
            return Ok(None);
        };
        let steps = match (&plan.contents, self.freshness) {
            (CacheContents::Target(dirs), Some(freshness)) => {
                Some(TargetRestore::new(freshness, dirs))
            }
            (CacheContents::Target(_), None) => return Ok(None),
            _ => None,
        };
        let groups: Vec<EntryGroup> = task.read.iter().map(|scope| plan.group(scope)).collect();
        let cargo_home = &project.key_request.cargo_home;
        let mut request = RestoreRequest {
            groups: &groups,
            key: &plan.key.text,
            restore_keys: &plan.key.restore_keys,
            destination: &|root| {
                let path = plan.destination(root, cargo_home)?;
                RootPlace::locate(context.namespace, &path)
            },
            options: RestoreOptions {
                extraneous: safe_extraneous(context, task, plan)?,
                lookup_only: task.options.lookup_only || plan.is_shared(),
                ..task.options
            },
            steps: steps.as_ref().map(|steps| steps as _),
            second_tier: context.second_tier,
        };
        let mut found = restore_entry(store, &request, context.monitor)?;
        if found.is_some() && plan.is_shared() && !task.options.lookup_only {
            // Taking the lock creates CARGO_HOME, so a look-up decides first whether there is
            // anything to put into it.
            files::create_dir_all(&project.cargo_home)?;
            self.lock.hold_for(plan)?;
            request.options.lookup_only = false;
            found = restore_entry(store, &request, context.monitor)?;
        }
        if let Some(steps) = steps {
            self.reply.add(steps.into_reply());
        }
        Ok(found)
    }
}

impl CacheRestore<'_> {
    /// What comes closest to a cache that was not found.
    fn near_miss(&self, plan: &CachePlan) -> Option<NearMiss> {
        let store = self.store?;
        let read = self.task.read.iter();
        let groups: Vec<EntryGroup> = read.map(|scope| plan.group(scope)).collect();
        let lookup = Lookup {
            groups: &groups,
            key: &plan.key.text,
            restore_keys: &plan.key.restore_keys,
            parts: &plan.key.parts(),
            all_scopes: self.task.hints_at_all_scopes,
        };
        near_miss(store, &lookup)
    }
}

/// Removes extraneous names only from target directories that cargo created.
fn safe_extraneous(
    context: &JobContext<'_>,
    task: &RestoreTask,
    plan: &CachePlan,
) -> Result<Extraneous> {
    let CacheContents::Target(dirs) = &plan.contents else {
        return Ok(Extraneous::Keep);
    };
    if task.options.extraneous == Extraneous::Keep {
        return Ok(Extraneous::Keep);
    }
    let Some(dir) = dirs.not_made_by_cargo(context)? else {
        return Ok(Extraneous::Remove);
    };
    context.monitor.warn(&format!(
        "nothing in {} shows that cargo created it, so nothing is removed there",
        dir.display()
    ));
    Ok(Extraneous::Keep)
}
