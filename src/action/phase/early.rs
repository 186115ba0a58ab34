//! The work of the pre phase: the disk guard, and restoring what does not depend on the checkout.

use super::context::StepContext;
use super::{free_space, job, messages, restore, state};
use crate::action::access;
use crate::action::console::Mark;
use crate::job::{EarlyRestore, JobReply, RestoreTask, Task};
use crate::ops::restore::RestoreOptions;
use crate::stats::event::Arm;

/// Runs the job of the pre phase. Its errors are no warnings: main does the same again and reports
/// them. It can't report damaged entries, which are in quarantine by then.
pub(super) fn prepare(step: &StepContext<'_, '_>) {
    let Some(workspace) = step.workflow.workspace.clone() else {
        return;
    };
    let task = restore_task(step).map_or(Task::Guard, Task::RestoreEarly);
    let is_restore = matches!(task, Task::RestoreEarly(_));
    let Some(reply) = job::run_quietly(step, job::job(step, workspace, task)) else {
        return;
    };
    if is_restore {
        for warning in &reply.warnings {
            step.warn(warning);
        }
        // Says why the phase took its time, for example if it reached the timeout.
        if let Some(error) = &reply.error {
            step.console.log(Mark::Check, error);
        }
    }
    free_space::report_before_job(step, &reply);
    report(step, &reply);
}

/// What to restore; none if the run restores nothing, or if nothing is certain yet.
fn restore_task(step: &StepContext<'_, '_>) -> Option<RestoreTask> {
    let inputs = step.inputs;
    let restores = inputs.restore_in_pre
        && !inputs.lookup_only
        && step.workflow.cache_mode.may_restore()
        && step.arm() != Some(Arm::Control);
    let is_certain = step.is_cargo() || is_certain(&inputs.key);
    if !restores || !is_certain {
        return None;
    }
    // Main reports a refusal.
    let access = access::decide(inputs, step.workflow, step.event().ok()).ok()?;
    let mut read = access.read;
    if !step.is_cargo() {
        // An exact match of the run's own ref is what main takes. To one of another ref, it prefers
        // a prefix match of the own ref, also one of the remote.
        read.truncate(1);
    }
    let task = restore::restore_task(step, read, false);
    Some(RestoreTask {
        options: RestoreOptions {
            exact_only: !step.is_cargo(),
            ..task.options
        },
        record_as: None,
        ..task
    })
}

/// Whether a key looks the same in the main phase.
///
/// Before the checkout, `hashFiles` finds no files, or those of an earlier job, and the outputs of
/// steps are empty. So a key with a digest of `hashFiles` (64 hexadecimal digits) may be another
/// one then, and so may a key in which something is missing between, before or after separators.
fn is_certain(key: &str) -> bool {
    let has_gap = key
        .split(|character: char| !character.is_alphanumeric())
        .any(str::is_empty);
    let has_digest = key
        .split(|character: char| !character.is_ascii_hexdigit())
        .any(|digits| digits.len() >= 64);
    !has_gap && !has_digest
}

fn report(step: &StepContext<'_, '_>, reply: &JobReply) {
    let mut restored: Vec<EarlyRestore> = Vec::new();
    for cache in reply.caches.iter().filter(|cache| !cache.is_empty()) {
        if let Some(found) = &cache.found {
            let text = messages::restored(&cache.name, found);
            step.console.log(Mark::Restored, text);
        }
        restored.extend(cache.early_restore().map(|early| EarlyRestore {
            cargo_home: cargo_home(step),
            ..early
        }));
    }
    if !restored.is_empty() {
        step.save_state(&state::EARLY, &restored);
    }
}

fn cargo_home(step: &StepContext<'_, '_>) -> Option<String> {
    step.env.text("CARGO_HOME").map(str::to_owned)
}

/// What pre restored, without what main does not ask for, because a step changed the key or
/// `CARGO_HOME` meanwhile.
pub(super) fn confirmed(step: &StepContext<'_, '_>) -> Vec<EarlyRestore> {
    let early = step.state.early.iter();
    early
        .filter(|early| is_confirmed(step, early))
        .cloned()
        .collect()
}

fn is_confirmed(step: &StepContext<'_, '_>, early: &EarlyRestore) -> bool {
    if step.is_cargo() {
        early.cargo_home == cargo_home(step)
    } else {
        early.key == step.inputs.key
    }
}

/// Warns if pre restored something that main does not ask for.
pub(super) fn warn_of_changes(step: &StepContext<'_, '_>) {
    let mut early = step.state.early.iter();
    let Some(other) = early.find(|early| !is_confirmed(step, early)) else {
        return;
    };
    if step.is_cargo() {
        step.warn(messages::CHANGED_CARGO_HOME);
    } else {
        step.warn(&messages::changed_key(&other.key, &step.inputs.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_digest_and_without_gaps_is_certain() {
        let digest = "a".repeat(64);
        for (key, expected) in [
            ("npm", true),
            ("Linux-deps-v2", true),
            ("tool-1.2.3-x64", true),
            ("deadbeef-v1", true),
            ("deps-Gr\u{f6}\u{df}e", true),
            ("", false),
            ("npm-", false),
            ("-npm", false),
            ("npm--v2", false),
            ("npm-/v2", false),
            (&format!("npm-{digest}"), false),
            (&format!("{digest}.v2"), false),
            (&format!("npm{digest}"), false),
        ] {
            assert_eq!(is_certain(key), expected, "{key}");
        }
    }
}
