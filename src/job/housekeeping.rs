//! The disk guard around a task.
//!
//! It must not spoil the task: a failure is a warning.

use std::path::Path;
use std::time::Instant;

use crate::job::context::JobContext;
use crate::job::disk::disk_state;
use crate::job::events::record_event;
use crate::job::reply::JobReply;
use crate::job::request::{Job, Task};
use crate::ops::free_space::{DiskNotice, GuardPolicy, GuardReport, guard};
use crate::stats::event::{DiskState, Phase};
use crate::store::Store;

/// Runs before the task. Returns whether there is room for it.
pub(super) fn before(context: &JobContext<'_>, reply: &mut JobReply) -> bool {
    let Some(policy) = &context.job.housekeeping.guard else {
        return true;
    };
    let mut policy = policy.clone();
    match context.job.task {
        Task::Restore(_) => return true,
        // The size of the store is checked after the save, when it is known.
        Task::Save(_) => policy.limits.store_bytes = None,
        Task::Guard | Task::RestoreEarly(_) | Task::Look => {}
    }
    reply.guard = run_guard(context, &policy);
    reply.guard.as_ref().is_none_or(|report| report.may_save)
}

/// Runs after the task, which started at `start`.
pub(super) fn after(context: &JobContext<'_>, reply: &mut JobReply, start: Instant) {
    let JobContext { job, namespace, .. } = *context;
    if matches!(job.task, Task::Save(_))
        && let Some(policy) = &job.housekeeping.guard
        && let Some(report) = run_guard(context, policy)
    {
        reply.guard = Some(match reply.guard.take() {
            Some(first) => join(first, report),
            None => report,
        });
    }
    let Ok(root) = namespace.locate(&job.cache_root) else {
        return;
    };
    if !matches!(job.task, Task::Restore(_)) {
        // The guard may have removed what the task measured.
        reply.disk = disk_after_guard(&root, job, reply);
    }
    record_event(context, &root, reply, start);
}

fn run_guard(context: &JobContext<'_>, policy: &GuardPolicy) -> Option<GuardReport> {
    if policy.limits.are_unset() {
        return None;
    }
    let JobContext {
        job,
        namespace,
        monitor,
        ..
    } = *context;
    let workspace = namespace.locate(&job.workspace).ok();
    let report = namespace
        .locate(&job.cache_root)
        .and_then(|root| guard(&root, workspace.as_deref(), policy, monitor));
    match report {
        Ok(report) => Some(report),
        Err(error) => {
            monitor.warn(&format!("the disk check failed: {}", error.with_advice()));
            None
        }
    }
}

/// One report for the guard before a save and the guard after it.
fn join(mut first: GuardReport, last: GuardReport) -> GuardReport {
    // If nothing may be saved, the message names the usage for which this was decided.
    if first.may_save {
        first.after = last.after;
    }
    first.removed.extend(last.removed);
    first.freed_bytes += last.freed_bytes;
    first.store_bytes = last.store_bytes;
    for notice in last.notices {
        let is_same_kind =
            |known: &DiskNotice| std::mem::discriminant(known) == std::mem::discriminant(&notice);
        if !first.notices.iter().any(is_same_kind) {
            first.notices.push(notice);
        }
    }
    first
}

/// The pre phase must be fast, so it reports the disk only if the guard has added up the store
/// already.
fn disk_after_guard(root: &Path, job: &Job, reply: &JobReply) -> Option<DiskState> {
    let event = job.housekeeping.event.as_ref();
    let is_pre = event.is_some_and(|event| event.phase == Phase::Pre);
    let store_bytes = reply.guard.as_ref().and_then(|report| report.store_bytes);
    if is_pre && store_bytes.is_none() {
        return None;
    }
    disk_state(Store::open(root).ok()?.as_ref(), root, store_bytes)
}
