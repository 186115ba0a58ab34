//! Runs a phase.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::io::Write;

use super::context::{StepContext, StepResult};
use super::state::{self, StepState};
use super::{early, messages, restore_cargo, restore_paths, save};
use crate::action::commands::Annotation;
use crate::action::console::{Console, Verbosity};
use crate::action::context::WorkflowContext;
use crate::action::dispatcher::LazyDispatcher;
use crate::action::env::Env;
use crate::action::inputs::{InputErrors, Inputs};
use crate::action::kind::{ActionKind, Invocation};
use crate::fs::TempName;
use crate::site::gather::runner_identity;
use crate::stats::event::{self, Phase};

/// Runs a phase of a step; whatever goes wrong is logged to `out`.
pub fn run(invocation: Invocation, env: &Env, out: &mut (dyn Write + Send)) -> StepResult {
    let Invocation {
        phase,
        kind,
        beside_steps,
    } = invocation;
    let workflow = WorkflowContext {
        beside_steps,
        ..WorkflowContext::from_env(env)
    };
    let state = StepState::from_env(env);
    let env = &*with_looked_up_key(phase, &state, env);
    let parsed = Inputs::parse(env, kind);
    let level = parsed
        .as_ref()
        .map_or(log::LevelFilter::Info, |inputs| inputs.log_level);
    let console = Console::new(out, Verbosity::new(level, workflow.debug));
    if phase == Phase::Post && !workflow.forgets_state && state.key.is_none() {
        console.debug("main looked up no key, so there is nothing to save");
        return StepResult::Passed;
    }
    let inputs = match parsed {
        Ok(inputs) => inputs,
        Err(errors) => return report_invalid_inputs(phase, kind, &errors, &console),
    };
    let identity = state.identity.clone();
    let dispatcher = LazyDispatcher::new(env, &inputs, workflow.clone(), identity, &console);
    let step = StepContext {
        phase,
        env,
        workflow: &with_local_paths(workflow, &dispatcher),
        inputs: &inputs,
        state: &state,
        console: &console,
        dispatcher: &dispatcher,
        event: OnceCell::new(),
        has_failed: Cell::new(false),
    };
    for (name, value) in &inputs.ignored {
        console.debug(format_args!("input {name}: {value} has no effect here"));
    }
    if phase == Phase::Main {
        for input in &inputs.removed {
            step.warn(&messages::removed_input(input));
        }
    }
    run_phase(&step);
    step.result()
}

fn run_phase(step: &StepContext<'_, '_>) {
    match (step.phase, step.inputs.kind) {
        (Phase::Pre, _) => pre(step),
        (Phase::Main, ActionKind::Save) | (Phase::Post, ActionKind::Cache) => save::save(step),
        (Phase::Main, _) if step.is_cargo() => restore_cargo::restore(step),
        (Phase::Main, _) => restore_paths::restore(step),
        (Phase::Post, _) => {}
    }
}

fn pre(step: &StepContext<'_, '_>) {
    if step.workflow.forgets_state {
        let name = TempName::new();
        let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
        step.save_state(&state::JOB_STATE, &name);
    }
    step.save_state(&state::STARTED, &event::now());
    if let Some(identity) = runner_identity(step.env) {
        step.save_state(&state::IDENTITY, &identity);
    }
    early::prepare(step);
}

/// The runner's files as this process sees them.
fn with_local_paths(
    mut workflow: WorkflowContext,
    dispatcher: &LazyDispatcher<'_, '_>,
) -> WorkflowContext {
    workflow.files = workflow.files.map_paths(|path| dispatcher.local_path(path));
    workflow.event_path = workflow.event_path.map(|path| dispatcher.local_path(path));
    workflow
}

/// Puts the key that main looked up in place of the input, which the runner evaluates again, and
/// drops restore keys. An empty key counts as none, as in actions/cache.
fn with_looked_up_key<'e>(phase: Phase, state: &StepState, env: &'e Env) -> Cow<'e, Env> {
    match &state.key {
        Some(key) if phase == Phase::Post && !key.is_empty() => {
            Cow::Owned(env.with_input("key", key).with_input("restore-keys", ""))
        }
        _ => Cow::Borrowed(env),
    }
}

/// Invalid inputs fail the main phase. Saving only warns, as actions/cache does, and pre leaves the
/// report to main.
fn report_invalid_inputs(
    phase: Phase,
    kind: ActionKind,
    errors: &InputErrors,
    console: &Console<'_>,
) -> StepResult {
    if phase == Phase::Pre {
        return StepResult::Passed;
    }
    let fails = phase == Phase::Main && kind != ActionKind::Save;
    for error in errors.iter() {
        let text = error.to_string();
        let annotation = Annotation::new(&text).title("local-cache");
        if fails {
            console.error(&annotation);
        } else {
            console.warning(&annotation);
        }
    }
    if fails {
        StepResult::Failed
    } else {
        StepResult::Passed
    }
}
