//! Restoring and saving the caches of Cargo workspaces.
//!
//! Each cache succeeds or fails by itself: what is wrong with one is in its part of the reply, and
//! the others go on.
//!
//! # Why nothing of others is harmed
//!
//! - What lies in `CARGO_HOME` is only ever added to, under cargo's own lock; `mirror` is for
//!   target directories.
//! - A target directory that holds the sources, a home or the store is none. Where nothing tells
//!   that cargo made a directory, nothing is removed from it, and it is not moved into the store.
//!
//! # Which key is saved
//!
//! The one that the restore looked for, since the job may have changed the files that it is made
//! of. If the restore saw another compiler than there is now, the key is that of the one there is
//! now: it built what is saved. If it saw none, because a later step installs it, both keys are
//! saved: the next job may find it there, or none again.

pub mod caches;
pub mod import;
pub mod mtimes;
pub mod project;
pub mod request;

use std::path::{Path, PathBuf};

use crate::cargo::installed_bins;
use crate::cargo::key::template::KeyTemplate;
use crate::cargo::mtimes::replay::Sources;
use crate::cargo::package_cache::PackageCache;
use crate::error::{Error, Result};
use crate::fs::files;
use crate::job::cargo::caches::{CacheContents, CachePlan};
use crate::job::cargo::project::CargoProject;
use crate::job::cargo::request::CargoTarget;
use crate::job::{CacheReply, JobContext, JobReply, RestoreRecord, RestoreTask, SaveTask};
use crate::ops::{restore, save};
use crate::store::{Entry, EntryGroup, EntryId, Store};
use crate::tree::Roots;
use crate::tree::plan::Extraneous;

/// Restores all caches; those that were restored before the work was called off are in the reply.
pub(crate) fn restore(
    at: &JobContext<'_>,
    subject: &CargoTarget,
    task: &RestoreTask,
    store: Option<&Store>,
    reply: &mut JobReply,
) -> Result<()> {
    let project = CargoProject::find(at, subject)?;
    let mut targets: Vec<Entry> = Vec::new();
    let mut lock = PackageCacheLock::new(at, subject, &project);
    for plan in &project.plans {
        let mut cache = CacheReply::new(&plan.name, plan.kind, &plan.key.text);
        cache.recipe.clone_from(&plan.key.recipe);
        let found = restore_one(at, task, store, &project, plan, &mut lock);
        match found {
            Ok(found) => {
                if let (CacheContents::Target(_), Some(found)) = (&plan.what, &found) {
                    targets.push(found.entry.clone());
                }
                cache.found = found.map(Into::into);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                cache.error = Some(format!(
                    "{} is not restored: {}",
                    plan.name,
                    error.with_advice()
                ))
            }
        }
        reply.caches.push(cache);
    }
    drop(lock);
    if let Some(store) = store.filter(|_| !task.lookup_only) {
        let entries: Vec<&Entry> = targets.iter().collect();
        reply.given_back = mtimes::give_back(at, subject, &project, store, &entries);
    }
    Ok(())
}

fn restore_one(
    at: &JobContext<'_>,
    task: &RestoreTask,
    store: Option<&Store>,
    project: &CargoProject,
    plan: &CachePlan,
    lock: &mut PackageCacheLock<'_>,
) -> Result<Option<restore::RestoredEntry>> {
    if !plan.is_shared() {
        lock.hold_for(plan)?;
    }
    match &plan.what {
        CacheContents::Bin if installed_bins::is_used(&project.cargo_home)? => return Ok(None),
        CacheContents::Target(outputs) => project.check_outputs(at, outputs)?,
        _ => {}
    }
    let Some(store) = store else { return Ok(None) };
    let groups: Vec<EntryGroup> = task.read.iter().map(|scope| plan.group(scope)).collect();
    let mut request = restore::RestoreRequest {
        groups: &groups,
        key: &plan.key.text,
        restore_keys: &plan.key.restore,
        place: &|name| {
            at.namespace
                .locate_parent(&plan.place(name, &project.asked.cargo_home)?)
        },
        extras: extras(at, task, plan)?,
        verify: task.verify,
        lookup_only: task.lookup_only || plan.is_shared(),
    };
    let mut found = restore::restore(store, &request, at.monitor)?;
    if found.is_some() && plan.is_shared() && !task.lookup_only {
        // Only where there is something to put there is the lock made, and what it stands in.
        files::create_dir_all(&project.cargo_home)?;
        lock.hold_for(plan)?;
        request.lookup_only = false;
        found = restore::restore(store, &request, at.monitor)?;
    }
    Ok(found)
}

/// What happens to names that the entry does not have.
fn extras(at: &JobContext<'_>, task: &RestoreTask, plan: &CachePlan) -> Result<Extraneous> {
    let CacheContents::Target(outputs) = &plan.what else {
        return Ok(Extraneous::Keep);
    };
    if !task.mirror {
        return Ok(Extraneous::Keep);
    }
    let Some(directory) = project::not_made_by_cargo(at, outputs)? else {
        return Ok(Extraneous::Remove);
    };
    at.monitor.warn(&format!(
        "nothing in {} says that cargo made it, so nothing is removed there",
        directory.display()
    ));
    Ok(Extraneous::Keep)
}

/// Saves all caches; gives the groups that were written to.
pub(crate) fn save(
    at: &JobContext<'_>,
    subject: &CargoTarget,
    task: &SaveTask,
    noted: &[RestoreRecord],
    store: &Store,
    caches: &mut Vec<CacheReply>,
) -> Result<Vec<EntryGroup>> {
    let project = CargoProject::find(at, subject)?;
    let area = mtimes::area(at, subject, &project);
    let mut lock = PackageCacheLock::new(at, subject, &project);
    let mut groups = Vec::new();
    // The other way round, as a target directory that is moved away takes with it what lies below
    // it.
    for plan in project.plans.iter().rev() {
        let noted = noted.iter().find(|noted| noted.cache == plan.name);
        let keys = keys_to_save(plan, noted);
        for (number, key) in keys.iter().enumerate() {
            let mut cache = CacheReply::new(&plan.name, plan.kind, key);
            let saving = CacheSave {
                refresh: task.refresh,
                keep_ready: task.keep_ready && number + 1 == keys.len(),
                sources: area.as_ref().map(|area| Sources {
                    area,
                    job: &subject.run,
                }),
                key,
            };
            let group = plan.group(&task.write);
            let outcome = lock
                .hold_for(plan)
                .and_then(|()| save_one(at, &saving, noted, store, &project, plan, &group));
            match outcome {
                Ok(outcome) => cache.saved = Some(outcome.into()),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    cache.error = Some(format!(
                        "{} is not saved: {}",
                        plan.name,
                        error.with_advice()
                    ))
                }
            }
            caches.push(cache);
        }
        groups.push(plan.group(&task.write));
    }
    caches.reverse();
    Ok(groups)
}

/// The keys under which a cache is saved, see the module's text.
fn keys_to_save(plan: &CachePlan, noted: Option<&RestoreRecord>) -> Vec<String> {
    let Some(noted) = noted else {
        return vec![plan.key.text.clone()];
    };
    let recipes: Option<(&KeyTemplate, &KeyTemplate)> =
        noted.recipe.as_ref().zip(plan.key.recipe.as_ref());
    let now = recipes.map(|(then, now)| then.with_toolchain_of(now).key());
    match (now, recipes) {
        (Some(now), Some((then, _))) if now != noted.key => {
            if then.is_seen() {
                vec![now]
            } else {
                vec![now, noted.key.clone()]
            }
        }
        _ => vec![noted.key.clone()],
    }
}

/// How a cache is saved under one of its keys.
struct CacheSave<'a> {
    key: &'a str,
    refresh: bool,
    keep_ready: bool,
    sources: Option<Sources<'a>>,
}

fn save_one(
    at: &JobContext<'_>,
    saving: &CacheSave<'_>,
    noted: Option<&RestoreRecord>,
    store: &Store,
    project: &CargoProject,
    plan: &CachePlan,
    group: &EntryGroup,
) -> Result<save::SaveOutcome> {
    let restored = noted.and_then(|noted| EntryId::parse(noted.entry.as_ref()?));
    let is_same_key = noted.is_some_and(|noted| noted.exact && noted.key == saving.key);
    // An entry that is not the one restored was saved by another job meanwhile, and is as good.
    let existing = if saving.refresh || is_same_key || matches!(plan.what, CacheContents::Bin) {
        save::IfExists::IsReplacedIfChanged
    } else {
        save::IfExists::Stays
    };
    let (is_target, may_move) = match &plan.what {
        CacheContents::Target(outputs) => (
            true,
            saving.keep_ready && project::not_made_by_cargo(at, outputs)?.is_none(),
        ),
        _ => (false, false),
    };
    let exclude = project.exclude(at, plan)?;
    let request = save::SaveRequest {
        group,
        key: saving.key,
        places: &roots(at, project, plan)?,
        exclude: exclude.as_deref().map(|exclude| exclude as _),
        existing,
        // Without git dependencies, say, there is nothing: which is what the next job is to find.
        allow_empty: plan.is_shared(),
        keep_ready: may_move,
        sources: saving.sources.filter(|_| is_target),
        parent: Some(restored.unwrap_or_else(|| group.entry_id(saving.key))),
    };
    save::save(store, &request, at.monitor)
}

/// What a cache holds now.
fn roots(at: &JobContext<'_>, project: &CargoProject, plan: &CachePlan) -> Result<Roots> {
    match &plan.what {
        CacheContents::Directories(paths) => return Ok(paths.resolve(at.namespace)?.places),
        CacheContents::Bin => {
            return Ok(Roots::new(installed_bins::installed(&project.cargo_home)?));
        }
        CacheContents::Target(outputs) => project.check_outputs(at, outputs)?,
        CacheContents::Registry | CacheContents::Git => {}
    }
    let located =
        |(name, path): (Box<[u8]>, PathBuf)| Ok((name, at.namespace.locate_parent(&path)?));
    let roots: Result<Vec<_>> = plan
        .roots(&project.asked.cargo_home)
        .into_iter()
        .map(located)
        .collect();
    Ok(Roots::new(roots?))
}

/// Cargo's lock on what lies in `CARGO_HOME`, taken when the first cache needs it.
struct PackageCacheLock<'a> {
    at: &'a JobContext<'a>,
    subject: &'a CargoTarget,
    cargo_home: &'a Path,
    state: LockState,
}

enum LockState {
    Free,
    Held {
        _lock: PackageCache,
    },
    /// Others did not let go of it in time.
    Busy,
}

impl<'a> PackageCacheLock<'a> {
    fn new(at: &'a JobContext<'a>, subject: &'a CargoTarget, project: &'a CargoProject) -> Self {
        Self {
            at,
            subject,
            cargo_home: &project.cargo_home,
            state: LockState::Free,
        }
    }

    /// Sees to it that a cache may be worked on: its lock is held, or others need not wait for it
    /// any more.
    fn hold_for(&mut self, plan: &CachePlan) -> Result<()> {
        let Self {
            at,
            subject,
            cargo_home,
            ..
        } = *self;
        let patience = subject.lock_patience;
        match (&self.state, plan.is_shared()) {
            (LockState::Held { .. }, false) => self.state = LockState::Free,
            (LockState::Free, true) => {
                self.state = match PackageCache::lock(cargo_home, patience, at.monitor)? {
                    Some(lock) => LockState::Held { _lock: lock },
                    None => LockState::Busy,
                };
            }
            _ => {}
        }
        if plan.is_shared() && matches!(self.state, LockState::Busy) {
            return Err(Error::invalid(format!(
                "another program has been using cargo's package cache in {} for more than {}, so it is left alone",
                cargo_home.display(),
                humantime::format_duration(patience)
            )));
        }
        Ok(())
    }
}
