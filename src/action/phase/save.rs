//! Saving: the post phase of the action itself and the main phase of `save/`.

use super::context::StepContext;
use super::housekeeping::keep_counts;
use super::{free_space, job, messages, stale, summary};
use crate::action::console::Mark;
use crate::action::inputs::{CacheFamily, JobStatus, Reuse, SaveCondition};
use crate::action::kind::ActionKind;
use crate::job::{CacheReply, Job, JobReply, PathsTarget, SaveReply, SaveTask, Task};
use crate::ops::save::SaveOptions;
use crate::stats::event::Phase;
use crate::store::CacheScope;

pub(super) fn save(step: &StepContext<'_, '_>) {
    let Some(job) = save_job(step) else {
        return free_space::guard_after_job(step);
    };
    let Some(reply) = job::run(step, job) else {
        return;
    };
    report(step, &reply);
    summary::write_at_end(step, &reply);
    if let Some(disk) = reply.disk {
        free_space::report_disk(step, disk);
    }
}

/// The job that saves; none, with a line in the log, if nothing is to be saved.
fn save_job(step: &StepContext<'_, '_>) -> Option<Job> {
    let permit = job::permit(step)?;
    if !step.workflow.cache_mode.may_save() {
        step.console.log(Mark::Done, messages::MAY_NOT_SAVE);
        return None;
    }
    if !wants_to_save(step) || !has_key_to_save(step) {
        return None;
    }
    let task = SaveTask {
        write: write_scope(step, permit.access.write),
        records: step.state.restored.clone(),
        recorded_as: step.job_state(),
        options: SaveOptions {
            keep_ready: step.inputs.reuse == Reuse::Move,
            ready_limit: step.inputs.ready_copies,
            ..SaveOptions::default()
        },
        keep: keep_counts(&step.inputs.retention),
        max_bytes: step.inputs.retention.max_cache_size,
    };
    Some(job::job(step, permit.workspace, Task::Save(task)))
}

/// Decides by the inputs and the job's status. An unknown status counts as success: act runs the
/// post phase of every job, and a cache of a failed one is still a cache.
fn wants_to_save(step: &StepContext<'_, '_>) -> bool {
    let family = if step.is_cargo() {
        CacheFamily::Cargo
    } else {
        CacheFamily::Paths
    };
    match (step.inputs.save_condition(family), step.inputs.job_status) {
        (SaveCondition::Never, _) => {
            step.console
                .debug("nothing is saved: the inputs turn saving off");
            false
        }
        (SaveCondition::OnSuccess, JobStatus::Failure | JobStatus::Cancelled) => {
            step.console.log(Mark::Done, messages::JOB_FAILED);
            false
        }
        (SaveCondition::UnlessCancelled, JobStatus::Cancelled) => {
            step.console.log(Mark::Done, messages::JOB_CANCELLED);
            false
        }
        _ => true,
    }
}

/// Whether there is a key that was not restored. The worker decides for each computed key.
fn has_key_to_save(step: &StepContext<'_, '_>) -> bool {
    if step.is_cargo() {
        return true;
    }
    let key = &step.inputs.key;
    let mut restored = step.state.restored.iter();
    if restored.any(|record| record.cache == PathsTarget::NAME && record.exact) {
        step.console.log(Mark::Done, messages::not_saved(key));
        return false;
    }
    if key.is_empty() {
        log_not_saved(step, messages::NO_KEY);
        return false;
    }
    true
}

/// Where this phase may write: in the post phase what main decided.
fn write_scope(step: &StepContext<'_, '_>, decided_now: CacheScope) -> CacheScope {
    match &step.state.write {
        Some(decided_by_main) if step.phase == Phase::Post => decided_by_main.clone(),
        _ => decided_now,
    }
}

fn report(step: &StepContext<'_, '_>, reply: &JobReply) {
    free_space::report(step, reply);
    if free_space::warn_of_full_disk(step, reply) && step.inputs.kind == ActionKind::Save {
        step.warn(messages::SAVE_FAILED);
    }
    for cache in &reply.caches {
        if step.is_cargo() {
            report_cargo(step, cache);
        } else {
            report_paths(step, cache);
        }
    }
    stale::report(step, &reply.stale);
    if let Some((entries, freed_bytes)) = reply.evicted {
        step.console
            .log(Mark::Cleaned, messages::cleaned(entries, freed_bytes));
    }
}

fn report_cargo(step: &StepContext<'_, '_>, cache: &CacheReply) {
    if let Some(error) = &cache.error {
        return step.cache_failed(error);
    }
    if let Some(saved) = cache.saved.as_ref().filter(|_| !cache.is_empty()) {
        let (mark, text) = messages::saved(cache, saved);
        step.console.log(mark, text);
    }
}

fn report_paths(step: &StepContext<'_, '_>, cache: &CacheReply) {
    let key = &cache.key;
    match &cache.saved {
        Some(SaveReply::Done {
            files,
            bytes,
            added_bytes,
            milliseconds,
        }) => {
            step.console
                .log(Mark::Saved, format_args!("Cache saved with key: {key}"));
            step.console.line(messages::saved_size(
                *files,
                *bytes,
                *added_bytes,
                *milliseconds,
            ));
        }
        Some(SaveReply::Exists { was_restored: true } | SaveReply::Unchanged) => {
            step.console.log(Mark::Done, messages::not_saved(key));
        }
        Some(SaveReply::Exists {
            was_restored: false,
        }) => log_not_reserved(step, &messages::key_exists(key)),
        Some(SaveReply::InProgress) => log_not_reserved(step, &messages::key_in_progress(key)),
        Some(SaveReply::NothingToSave) => log_not_saved(step, messages::NO_PATHS),
        Some(SaveReply::Skipped { reason }) => log_not_saved(step, reason),
        None => {}
    }
}

/// Logs why nothing is saved. The save action was asked to save, so it warns too.
fn log_not_saved(step: &StepContext<'_, '_>, reason: &str) {
    step.console.log(Mark::Done, reason);
    if step.inputs.kind == ActionKind::Save {
        step.warn(messages::SAVE_FAILED);
    }
}

fn log_not_reserved(step: &StepContext<'_, '_>, reason: &str) {
    if step.inputs.kind == ActionKind::Save {
        log_not_saved(step, &messages::not_reserved(reason));
    } else {
        log_not_saved(step, reason);
    }
}
