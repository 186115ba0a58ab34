//! What restoring directories of `path` and restoring a Cargo project have in common.

use super::context::StepContext;
use super::{free_space, messages, state, summary, verdict};
use crate::action::console::Mark;
use crate::action::kind::ActionKind;
use crate::job::{JobReply, RestoreTask};
use crate::ops::restore::RestoreOptions;
use crate::stats::event::{self, Arm};
use crate::store::CacheScope;
use crate::tree::plan::Extraneous;

/// Measures the job from here on if there was no pre phase.
pub(super) fn start_without_pre(step: &StepContext<'_, '_>) {
    if step.state.started.is_none() && step.inputs.kind == ActionKind::Cache {
        step.save_state(&state::STARTED, &event::now());
    }
}

/// Whether the run may restore; logs it if not.
pub(super) fn may_restore(step: &StepContext<'_, '_>) -> bool {
    let may = step.workflow.cache_mode.may_restore();
    if !may {
        step.console.log(Mark::Done, messages::MAY_NOT_RESTORE);
    }
    may
}

/// Whether an experiment lets this run go without the cache; logs it if so.
pub(super) fn is_control(step: &StepContext<'_, '_>) -> bool {
    let is_control = step.arm() == Some(Arm::Control);
    if is_control {
        let text = messages::control_run(step.inputs.experiment);
        step.console.log(Mark::Missed, text);
    }
    is_control
}

pub(super) fn restore_task(
    step: &StepContext<'_, '_>,
    read: Vec<CacheScope>,
    mirror: bool,
) -> RestoreTask {
    RestoreTask {
        read,
        options: RestoreOptions {
            extraneous: Extraneous::for_mirror(mirror),
            verify: step.inputs.verify,
            lookup_only: step.inputs.lookup_only,
            exact_only: false,
            inspect: false,
        },
        record_as: step.job_state(),
        restored_early: Vec::new(),
        hints_at_all_scopes: false,
    }
}

/// Leaves to the post phase which key main looks up and where it may write.
pub(super) fn leave_lookup(step: &StepContext<'_, '_>, key: &str, write: &CacheScope) {
    step.save_state(&state::KEY, &key.to_owned());
    step.save_state(&state::WRITE, write);
}

/// Logs whether the cache worked, before everything else, and leaves it to the summary.
pub(super) fn log_verdict(step: &StepContext<'_, '_>, reply: &JobReply) {
    if let Some((mark, text)) = verdict::of_step(step, reply) {
        step.console.log(mark, &text);
        step.save_state(&state::VERDICT, &mark.with(text));
    }
}

/// The last step of a restore: adds its rows to the summary and sets the outputs about the disk.
pub(super) fn summarize_restore(step: &StepContext<'_, '_>, reply: Option<JobReply>) {
    summary::after_restore(step, reply.as_ref());
    if let Some(disk) = reply.and_then(|reply| reply.disk) {
        free_space::report_disk(step, disk);
    }
}
