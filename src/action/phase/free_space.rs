//! Guards the disk after a job that saves nothing, and reports what the guard did in any job.

use super::context::StepContext;
use super::{job, messages, state, summary};
use crate::action::console::Mark;
use crate::fmt::human::bytes;
use crate::job::{JobReply, Task};
use crate::ops::free_space::DiskNotice;
use crate::stats::event::{DiskState, Phase};

/// Reports what the guard found in the pre phase.
pub(super) fn report_before_job(step: &StepContext<'_, '_>, reply: &JobReply) {
    report(step, reply);
    if let Some(guarded) = &reply.guard {
        step.save_state(&state::DISK_BEFORE, &guarded.before);
        // A notice about the disk says as much.
        if guarded.notices.is_empty() && guarded.removed.is_empty() {
            let text = messages::disk_before(&guarded.before, &step.inputs.cache_root);
            step.console.log(Mark::Check, text);
        }
    }
}

/// Guards the disk in the post phase of a step that saves nothing.
pub(super) fn guard_after_job(step: &StepContext<'_, '_>) {
    // The main phase warns if there is no workspace.
    let workspace = step.workflow.workspace.clone();
    let Some(workspace) = workspace.filter(|_| step.phase == Phase::Post) else {
        return;
    };
    if let Some(reply) = job::run_quietly(step, job::job(step, workspace, Task::Guard)) {
        report(step, &reply);
        summary::write_at_end(step, &reply);
    }
}

/// Logs what the guard removed and the state of the disk.
pub(super) fn report(step: &StepContext<'_, '_>, reply: &JobReply) {
    let Some(guarded) = &reply.guard else {
        return;
    };
    if guarded.freed_bytes > 0 || !guarded.removed.is_empty() {
        step.console
            .log(Mark::Cleaned, messages::guard_removed(guarded));
    }
    if !guarded.removed.is_empty() {
        let lines = guarded
            .removed
            .iter()
            .map(|removed| format!("{}: {}", removed.key, removed.reason));
        step.console.group("removed entries", lines);
    }
    for notice in &guarded.notices {
        report_notice(step, notice);
    }
}

fn report_notice(step: &StepContext<'_, '_>, notice: &DiskNotice) {
    let text = messages::disk_notice(notice, &step.inputs.cache_root);
    match notice {
        // Once for a job is enough for an annotation.
        DiskNotice::FilledByOthers { .. } | DiskNotice::WorkspaceFull(_)
            if step.phase != Phase::Post =>
        {
            step.warn(&text);
        }
        DiskNotice::LittleFree(_) if step.phase == Phase::Post => step.console.debug(text),
        _ => step.console.log(Mark::Check, text),
    }
}

/// Warns that the disk is too full to save. False if it is not.
pub(super) fn warn_of_full_disk(step: &StepContext<'_, '_>, reply: &JobReply) -> bool {
    let full = reply
        .guard
        .as_ref()
        .filter(|guarded| !guarded.may_save && reply.caches.is_empty());
    let Some(guarded) = full else { return false };
    let required = step.inputs.retention.min_free_space;
    step.warn(&messages::disk_full(
        guarded,
        &step.inputs.cache_root,
        required,
    ));
    true
}

/// Sets the outputs about the disk.
pub(super) fn report_disk(step: &StepContext<'_, '_>, disk: DiskState) {
    step.set_output("disk-used-percent", &disk.used_percent.to_string());
    step.set_output("disk-free-bytes", &disk.free_bytes.to_string());
    step.set_output("cache-size-bytes", &disk.store_bytes.to_string());
    step.console.debug(format_args!(
        "disk {} % used, {} free; the store takes {}",
        disk.used_percent,
        bytes(disk.free_bytes),
        bytes(disk.store_bytes)
    ));
}
