//! Restoring the caches of Cargo workspaces.

use crate::cargo::installed_bins;
use crate::error::{Error, Result};
use crate::fs::files;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::mtimes;
use crate::job::cargo::package_cache_lock::PackageCacheLock;
use crate::job::cargo::project::CargoProject;
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, JobReply};
use crate::job::request::RestoreTask;
use crate::ops::restore::{
    RestoreOptions, RestoreRequest, RestoredEntry, restore as restore_entry,
};
use crate::store::{Entry, EntryGroup, Store};
use crate::tree::plan::Extraneous;

/// Restores all caches. If the job is cancelled, those that were restored before are in the reply.
pub(crate) fn restore(
    context: &JobContext<'_>,
    target: &CargoTarget,
    task: &RestoreTask,
    store: Option<&Store>,
    reply: &mut JobReply,
) -> Result<()> {
    let project = CargoProject::find(context, target)?;
    let mut restored_targets: Vec<Entry> = Vec::new();
    let mut restore = CacheRestore {
        context,
        task,
        store,
        project: &project,
        lock: PackageCacheLock::new(target, &project, context.monitor),
    };
    for plan in &project.plans {
        let mut cache = CacheReply::new(&plan.name, plan.kind, &plan.key.text);
        cache.key_template.clone_from(&plan.key.template);
        match restore.run(plan) {
            Ok(found) => {
                if let (CacheContents::Target(_), Some(found)) = (&plan.contents, &found) {
                    restored_targets.push(found.entry.clone());
                }
                cache.found = found.map(Into::into);
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
    drop(restore);
    if let Some(store) = store.filter(|_| !task.options.lookup_only) {
        let entries: Vec<&Entry> = restored_targets.iter().collect();
        reply.mtime_replay = mtimes::replay(context, target, &project, store, &entries);
    }
    Ok(())
}

struct CacheRestore<'a> {
    context: &'a JobContext<'a>,
    task: &'a RestoreTask,
    store: Option<&'a Store>,
    project: &'a CargoProject,
    lock: PackageCacheLock<'a>,
}

impl CacheRestore<'_> {
    fn run(&mut self, plan: &CachePlan) -> Result<Option<RestoredEntry>> {
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
        let groups: Vec<EntryGroup> = task.read.iter().map(|scope| plan.group(scope)).collect();
        let cargo_home = &project.key_request.cargo_home;
        let mut request = RestoreRequest {
            groups: &groups,
            key: &plan.key.text,
            restore_keys: &plan.key.restore_keys,
            destination: &|root| {
                let path = plan.destination(root, cargo_home)?;
                context.namespace.locate_parent(&path)
            },
            options: RestoreOptions {
                extraneous: safe_extraneous(context, task, plan)?,
                lookup_only: task.options.lookup_only || plan.is_shared(),
                ..task.options
            },
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
        Ok(found)
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
