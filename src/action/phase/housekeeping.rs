//! What a job does besides its task: the worker guards the disk and records the phase.

use std::num::NonZeroU32;

use super::context::StepContext;
use crate::action::access;
use crate::action::inputs::{JobStatus, RetentionInputs};
use crate::action::summary::TREND_RUNS;
use crate::job::{Housekeeping, KeepCounts};
use crate::ops::free_space::GuardPolicy;
use crate::stats::event::{Event, Phase, Run};
use crate::store::disk_limits::DiskLimits;
use crate::store::{CacheKind, CacheScope};

/// How many earlier runs tell what a job takes without the cache.
const COMPARED_RUNS: usize = 200;

pub(super) fn housekeeping(step: &StepContext<'_, '_>) -> Housekeeping {
    let mut housekeeping = Housekeeping {
        guard: Some(guard_policy(step)),
        event: Some(event(step)),
        ..Housekeeping::default()
    };
    if step.phase == Phase::Main {
        housekeeping.past_runs = COMPARED_RUNS;
    }
    if step.phase == Phase::Post {
        housekeeping.earlier_events.clone_from(&step.state.events);
        housekeeping.started = step.state.started;
        housekeeping.past_runs = if step.inputs.summary { TREND_RUNS } else { 0 };
    }
    housekeeping
}

/// What is known of the phase before its job runs.
fn event(step: &StepContext<'_, '_>) -> Event {
    let is_last = step.phase == Phase::Post;
    Event {
        phase: step.phase,
        run: run_of(step),
        experiment: step.arm(),
        job_status: job_status(step.inputs.job_status)
            .filter(|_| is_last)
            .map(str::to_owned),
        found: step.state.lookup.filter(|_| is_last),
        limits: is_last.then(|| guard_policy(step).limits),
        ..Event::default()
    }
}

fn run_of(step: &StepContext<'_, '_>) -> Run {
    let workflow = step.workflow;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Run {
        repository: text(&workflow.repository),
        workflow: text(&workflow.workflow),
        job: text(&workflow.job),
        step: text(&workflow.action),
        git_ref: text(&workflow.git_ref),
        run_id: workflow.run_id.unwrap_or_default(),
        attempt: workflow.run_attempt.unwrap_or_default(),
    }
}

fn job_status(status: JobStatus) -> Option<&'static str> {
    match status {
        JobStatus::Success => Some("success"),
        JobStatus::Failure => Some("failure"),
        JobStatus::Cancelled => Some("cancelled"),
        JobStatus::Unknown => None,
    }
}

fn guard_policy(step: &StepContext<'_, '_>) -> GuardPolicy {
    let RetentionInputs {
        max_age,
        max_cache_size,
        disk_threshold,
        min_free_space,
        ..
    } = step.inputs.retention;
    let keep = keep_counts(&step.inputs.retention);
    GuardPolicy {
        limits: DiskLimits {
            used_percent: disk_threshold,
            free_bytes: min_free_space,
            store_bytes: max_cache_size,
        },
        keep: vec![
            (CacheKind::Path, keep.path),
            (CacheKind::Registry, keep.registry),
            (CacheKind::Git, keep.git),
            (CacheKind::Target, keep.target),
        ],
        old_after: max_age,
        default_branches: default_branch(step).into_iter().collect(),
    }
}

pub(super) fn keep_counts(inputs: &RetentionInputs) -> KeepCounts {
    let count = |count: NonZeroU32| usize::try_from(count.get()).unwrap_or(usize::MAX);
    KeepCounts {
        path: count(inputs.keep),
        registry: count(inputs.keep_registry),
        git: count(inputs.keep_git),
        target: count(inputs.keep_target),
    }
}

/// The default branch, if the event file names it.
fn default_branch(step: &StepContext<'_, '_>) -> Option<CacheScope> {
    let branch = step.event().ok()?.default_branch.as_ref()?;
    let scope = access::scope_of(step.inputs.scope, step.workflow).ok()?;
    Some(CacheScope::branch(scope, branch))
}
