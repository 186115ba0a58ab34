//! Restoring the caches of a Cargo project: the main phase of the action itself.

use super::context::StepContext;
use super::restore::{
    is_control, leave_lookup, log_verdict, may_restore, restore_task, start_without_pre,
    summarize_restore,
};
use super::{details, early, job, messages, outputs, state};
use crate::action::console::Mark;
use crate::action::inputs::Mirror;
use crate::job::{CacheReply, JobReply, RestoreRecord, RestoreTask, Task};
use crate::store::CacheScope;

pub(super) fn restore(step: &StepContext<'_, '_>) {
    start_without_pre(step);
    let Some(permit) = job::permit(step) else {
        return step.set_output("cache-hit", "false");
    };
    early::warn_of_changes(step);
    let read = readable_scopes(step, permit.access.read.clone());
    let was_searched = !read.is_empty();
    let task = RestoreTask {
        restored_early: early::confirmed(step),
        ..restore_task(step, read, step.inputs.mirror != Mirror::No)
    };
    let job = job::job(step, permit.workspace, Task::Restore(task));
    let reply = job::run(step, job);
    if reply.as_ref().is_some_and(found_no_project) {
        step.warn(&messages::no_project(step.inputs));
        return step.set_output("cache-hit", "false");
    }
    let caches = reply.as_ref().map_or(&[][..], |reply| &reply.caches);
    // The input `key` is only a part of the computed keys, which are in the records.
    leave_lookup(step, "", &permit.access.write);
    let records: Vec<RestoreRecord> = caches.iter().map(CacheReply::record).collect();
    step.save_state(&state::RESTORED, &state::within_limit(records));
    if let Some(reply) = reply.as_ref().filter(|_| was_searched) {
        log_verdict(step, reply);
    }
    report(step, caches, reply.as_ref());
    if let Some(reply) = &reply {
        details::show(step, &permit.access, reply);
    }
    summarize_restore(step, reply);
}

/// The scopes to restore from. The job runs even if there are none: it computes the keys for the
/// save.
fn readable_scopes(step: &StepContext<'_, '_>, permitted: Vec<CacheScope>) -> Vec<CacheScope> {
    let may_restore = may_restore(step);
    // Asked in any case, because the answer is also logged.
    let is_control = is_control(step);
    if may_restore && !is_control {
        permitted
    } else {
        Vec::new()
    }
}

fn found_no_project(reply: &JobReply) -> bool {
    reply.error.is_none() && reply.caches.is_empty()
}

fn report(step: &StepContext<'_, '_>, caches: &[CacheReply], reply: Option<&JobReply>) {
    for cache in caches {
        report_cache(step, cache);
    }
    if let Some(freshness) = reply.and_then(|reply| reply.freshness.as_ref()) {
        step.console
            .log(Mark::Restored, messages::freshness(freshness));
        for unit in &freshness.units {
            step.console.debug(unit);
        }
    }
    for (name, value) in outputs::of_cargo(caches, step.inputs.lookup_only) {
        step.set_output(name, &value);
    }
    let nothing_found = caches.iter().all(|cache| cache.found.is_none());
    if nothing_found && step.inputs.fail_on_cache_miss {
        let counted = caches.iter().filter(|cache| !cache.is_bin());
        let keys: Vec<&str> = counted.map(|cache| cache.key.as_str()).collect();
        step.fail(&messages::required_keys(&keys, step.inputs));
    }
}

fn report_cache(step: &StepContext<'_, '_>, cache: &CacheReply) {
    let name = &cache.name;
    match (&cache.error, &cache.found) {
        (Some(error), _) => step.cache_failed(error),
        (None, _) if cache.is_empty() => {}
        (None, Some(found)) if step.inputs.lookup_only => step
            .console
            .log(Mark::Check, messages::restorable(name, found)),
        (None, Some(found)) => step
            .console
            .log(Mark::Restored, messages::restored(name, found)),
        (None, None) if cache.is_bin() => {}
        (None, None) => step.console.log(Mark::Missed, messages::not_found(cache)),
    }
}
