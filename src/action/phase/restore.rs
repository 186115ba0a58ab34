//! What restoring directories of `path` and restoring a Cargo project have in common.

use super::context::StepContext;
use super::{messages, state};
use crate::action::console::Mark;
use crate::job::RestoreTask;
use crate::ops::restore::RestoreOptions;
use crate::stats::event::Arm;
use crate::store::CacheScope;
use crate::tree::plan::Extraneous;

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
        },
        record_as: step.job_state(),
    }
}

/// Leaves to the post phase which key main looks up and where it may write.
pub(super) fn leave_lookup(step: &StepContext<'_, '_>, key: &str, write: &CacheScope) {
    step.save_state(&state::KEY, &key.to_owned());
    step.save_state(&state::WRITE, write);
}
