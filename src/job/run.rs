//! Running a job: dispatch to the caches of its target, with housekeeping around it.

use std::collections::HashMap;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::fs::Namespace;
use crate::job::context::JobContext;
use crate::job::disk::disk_state;
use crate::job::look::look;
use crate::job::reply::{CacheReply, JobReply, SaveReply};
use crate::job::request::{Job, JobTarget, KeepCounts, RestoreRecord, RestoreTask, SaveTask, Task};
use crate::job::warnings::WarningCollector;
use crate::job::{cargo, early, housekeeping, paths};
use crate::monitor::Monitor;
use crate::ops::prune::{EvictedEntries, prune, prune_groups};
use crate::ops::second_tier::{LaterCopy, SavedEntries, SecondTier};
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheKind, EntryGroup, EntryId, Store};

/// Runs a job. Every failure is in the reply.
pub fn run_job(job: &Job, namespace: &dyn Namespace, monitor: &dyn Monitor) -> JobReply {
    run_job_with(job, namespace, monitor, None)
}

/// Runs a job whose restores look in a second tier, too.
pub fn run_job_with(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    second_tier: Option<&dyn SecondTier>,
) -> JobReply {
    let start = Instant::now();
    let collector = WarningCollector::new(monitor);
    let context = JobContext {
        job,
        namespace,
        monitor: &collector,
        second_tier,
    };
    let mut reply = JobReply::default();
    let has_room = housekeeping::before(&context, &mut reply);
    let result = match &job.task {
        Task::Restore(task) => restore(&context, task, &mut reply),
        Task::RestoreEarly(task) if has_room => early::restore(&context, task, &mut reply),
        Task::Save(task) if has_room => save(&context, task, &mut reply),
        Task::Look => look(job, namespace).map(|view| reply.view = Some(view)),
        Task::RestoreEarly(_) | Task::Save(_) | Task::Guard => Ok(()),
    };
    reply.error = result.err().map(|error| error.with_advice());
    reply.second_tier = second_tier.map(SecondTier::report);
    housekeeping::after(&context, &mut reply, start);
    if let Some(tier) = second_tier {
        if let Err(error) = tier.finish(&collector) {
            collector.warn(&error.with_advice());
        }
        reply.later_copy = tier.left_to_caller();
        reply.second_tier = Some(tier.report());
    }
    reply.warnings = collector.into_warnings();
    reply
}

fn restore(context: &JobContext<'_>, task: &RestoreTask, reply: &mut JobReply) -> Result<()> {
    let root = context.namespace.locate(&context.job.cache_root)?;
    let mut store = Store::open(&root)?;
    if store.is_none() && (task.record_as.is_some() || context.second_tier.is_some()) {
        store = Some(Store::create(&root)?);
    }
    match &context.job.target {
        JobTarget::Paths(target) => {
            let cache = paths::restore(context, target, task, store.as_ref())?;
            reply.caches.push(cache);
        }
        JobTarget::Cargo(target) => cargo::restore(context, target, task, store.as_ref(), reply)?,
    }
    early::add_work(&mut reply.caches, &task.restored_early);
    if let (Some(name), Some(store)) = (&task.record_as, &store) {
        put_records(store, name, &reply.caches)?;
    }
    reply.disk = disk_state(store.as_ref(), &root, None);
    Ok(())
}

fn save(context: &JobContext<'_>, task: &SaveTask, reply: &mut JobReply) -> Result<()> {
    let root = context.namespace.locate(&context.job.cache_root)?;
    let store = Store::create(&root)?;
    let mut task = task.clone();
    let name = task.recorded_as.as_ref();
    if let Some(records) = name.and_then(|name| take_records(&store, name)) {
        task.records = records;
    }
    let groups = match &context.job.target {
        JobTarget::Paths(target) => {
            let (cache, group) = paths::save(context, target, &task, &store)?;
            reply.caches.push(cache);
            vec![group]
        }
        JobTarget::Cargo(target) => cargo::save(context, target, &task, &store, reply)?,
    };
    copy_to_second_tier(context, &store, &groups, reply)?;
    enforce_retention(context, &task, &store, &groups, reply)
}

/// After all caches, because their directories are locked while they are saved.
fn copy_to_second_tier(
    context: &JobContext<'_>,
    store: &Store,
    groups: &[EntryGroup],
    reply: &JobReply,
) -> Result<()> {
    let Some(tier) = context.second_tier else {
        return Ok(());
    };
    let is_stored = |cache: &&CacheReply| {
        use SaveReply::{Done, Exists, Unchanged};
        matches!(cache.saved, Some(Done { .. } | Exists { .. } | Unchanged))
    };
    let mut ids = Vec::new();
    for cache in reply.caches.iter().filter(is_stored) {
        let of_groups = groups.iter().map(|group| group.entry_id(&cache.key));
        ids.extend(of_groups.filter(|id| store.read_entry(id).is_ok_and(|it| it.is_some())));
    }
    let event = context.job.housekeeping.event.as_ref();
    tier.saved(SavedEntries {
        store,
        ids: &ids,
        run: &event.map(|event| event.run.clone()).unwrap_or_default(),
        monitor: context.monitor,
    })
}

/// Copies what an earlier job saved and left to be copied later. Every failure is in the reply.
pub fn copy_saved(
    job: &Job,
    copy: &LaterCopy,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    second_tier: Option<&dyn SecondTier>,
) -> JobReply {
    let collector = WarningCollector::new(monitor);
    let copied = second_tier.map_or(Ok(()), |tier| {
        let root = namespace.locate(&job.cache_root)?;
        let ids: Vec<EntryId> = copy
            .entries
            .iter()
            .filter_map(|id| EntryId::parse(id))
            .collect();
        let Some(store) = Store::open(&root)? else {
            return Ok(());
        };
        tier.saved(SavedEntries {
            store: &store,
            ids: &ids,
            run: &copy.run,
            monitor: &collector,
        })
    });
    JobReply {
        error: copied.err().map(|error| error.with_advice()),
        second_tier: second_tier.map(SecondTier::report),
        warnings: collector.into_warnings(),
        ..JobReply::default()
    }
}

/// Keeps the records in the store, for act, which forgets the state that main saves.
fn put_records(store: &Store, name: &str, caches: &[CacheReply]) -> Result<()> {
    let records: Vec<RestoreRecord> = caches.iter().map(CacheReply::record).collect();
    let bytes = serde_json::to_vec(&records).map_err(Error::defect)?;
    store.put_job_state(name, &bytes)
}

fn take_records(store: &Store, name: &str) -> Option<Vec<RestoreRecord>> {
    let bytes = store.take_job_state(name)?;
    serde_json::from_slice(&bytes).ok()
}

/// Removes old generations, and more if the store is too large. While others use the store nothing
/// is removed; a later job does it.
fn enforce_retention(
    context: &JobContext<'_>,
    task: &SaveTask,
    store: &Store,
    groups: &[EntryGroup],
    reply: &mut JobReply,
) -> Result<()> {
    let KeepCounts {
        path,
        registry,
        git,
        target,
    } = task.keep;
    let policy = RetentionPolicy {
        keep: HashMap::from([
            (CacheKind::Path, path),
            (CacheKind::Registry, registry),
            (CacheKind::Git, git),
            (CacheKind::Target, target),
        ]),
        groups: Some(groups.iter().map(EntryGroup::id).collect()),
        ..RetentionPolicy::default()
    };
    let evicted = if exceeds(store, task.max_bytes)? {
        let policy = RetentionPolicy {
            max_bytes: task.max_bytes,
            ..policy
        };
        prune(store, &policy, false, context.monitor).map(|pruned| pruned.evicted())
    } else {
        prune_groups(store, groups, &policy, context.monitor)
    };
    let EvictedEntries { count, freed_bytes } = match evicted {
        Err(Error::Busy { .. }) => return Ok(()),
        result => result?,
    };
    reply.evicted = (count > 0).then_some((count, freed_bytes));
    Ok(())
}

/// Whether a store is larger than a limit. Entries need no more than the store has.
fn exceeds(store: &Store, max_bytes: Option<u64>) -> Result<bool> {
    match max_bytes {
        Some(limit) => Ok(store.allocated_bytes()? > limit),
        None => Ok(false),
    }
}
