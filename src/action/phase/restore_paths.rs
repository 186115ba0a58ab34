//! Restoring the directories of `path`: the main phase of the action itself and of `restore/`.

use super::context::StepContext;
use super::restore::{
    is_control, leave_lookup, log_verdict, may_restore, restore_task, start_without_pre,
    summarize_restore,
};
use super::{details, early, job, messages, outputs, state, summary};
use crate::action::console::Mark;
use crate::action::inputs::Mirror;
use crate::job::{CacheReply, FoundEntry, RestoreTask, Task};

pub(super) fn restore(step: &StepContext<'_, '_>) {
    start_without_pre(step);
    let Some(permit) = job::permit(step) else {
        return;
    };
    let key = &step.inputs.key;
    step.set_output("cache-primary-key", key);
    step.set_output("cache-key", key);
    // Before the restore, so that post knows the key even if main is killed.
    leave_lookup(step, key, &permit.access.write);
    if !may_restore(step) {
        return report_miss(step);
    }
    if is_control(step) {
        return summary::after_restore(step, None);
    }
    early::warn_of_changes(step);
    let read = permit.access.read.clone();
    let task = RestoreTask {
        restored_early: early::confirmed(step),
        ..restore_task(step, read, step.inputs.mirror == Mirror::Yes)
    };
    let job = job::job(step, permit.workspace, Task::Restore(task));
    let reply = job::run(step, job);
    let cache = reply.as_ref().and_then(|reply| reply.caches.first());
    if let Some(reply) = &reply {
        log_verdict(step, reply);
    }
    match cache.and_then(|cache| Some((cache, cache.found.as_ref()?))) {
        Some((cache, found)) => report_found(step, cache, found),
        None => report_miss(step),
    }
    if let Some(reply) = &reply {
        details::show(step, &permit.access, reply);
    }
    summarize_restore(step, reply);
}

fn report_found(step: &StepContext<'_, '_>, cache: &CacheReply, found: &FoundEntry) {
    let key = &found.key;
    if step.inputs.lookup_only {
        step.console.log(
            Mark::Check,
            format_args!("Cache found and can be restored from key: {key}"),
        );
        step.console.line("   Lookup only - skipping download");
    } else {
        step.console.log(
            Mark::Restored,
            format_args!("Cache restored from key: {key}"),
        );
        step.console.line(messages::restored_size(found));
    }
    for (name, value) in outputs::of_paths(found, step.inputs.lookup_only) {
        step.set_output(name, &value);
    }
    step.save_state(&state::RESTORED, &vec![cache.record()]);
}

fn report_miss(step: &StepContext<'_, '_>) {
    let inputs = step.inputs;
    let keys = [std::slice::from_ref(&inputs.key), &inputs.restore_keys]
        .concat()
        .join(", ");
    step.console.log(
        Mark::Missed,
        format_args!("Cache not found for input keys: {keys}"),
    );
    if inputs.fail_on_cache_miss {
        step.fail(&messages::required_key(inputs));
    }
}
