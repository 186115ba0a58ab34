//! What the functions of a phase share: the inputs, the run, earlier phases' state, and the ways to
//! answer the runner.

use std::cell::{Cell, OnceCell};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{StateKey, StepState};
use crate::action::commands::Annotation;
use crate::action::console::Console;
use crate::action::context::WorkflowContext;
use crate::action::dispatcher::LazyDispatcher;
use crate::action::env::Env;
use crate::action::event::{EventError, EventPayload};
use crate::action::experiment;
use crate::action::files::{FileError, read_event};
use crate::action::inputs::{Inputs, OUTPUTS};
use crate::action::kind::ActionKind;
use crate::stats::event::{Arm, Phase};

/// Whether the step goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    Passed,
    /// The step fails, and the log says why.
    Failed,
}

pub(super) struct StepContext<'s, 'w> {
    pub(super) phase: Phase,
    pub(super) env: &'s Env,
    pub(super) workflow: &'s WorkflowContext,
    pub(super) inputs: &'s Inputs,
    pub(super) state: &'s StepState,
    pub(super) console: &'s Console<'w>,
    pub(super) dispatcher: &'s LazyDispatcher<'s, 'w>,
    /// The event file, once it was read.
    pub(super) event: OnceCell<Result<EventPayload, EventError>>,
    pub(super) has_failed: Cell<bool>,
}

impl StepContext<'_, '_> {
    /// Whether the step is one of the cargo preset: without paths it can be nothing else.
    pub(super) fn is_cargo(&self) -> bool {
        self.inputs.paths.is_empty()
    }

    /// The payload of the event that started the run.
    pub(super) fn event(&self) -> Result<&EventPayload, &EventError> {
        let read = || read_event(self.workflow.event_path.as_deref());
        self.event.get_or_init(read).as_ref()
    }

    /// The group of an experiment that the run is in.
    pub(super) fn arm(&self) -> Option<Arm> {
        experiment::arm(self.inputs, self.workflow)
            .filter(|_| self.inputs.kind == ActionKind::Cache)
    }

    /// The name under which main leaves what it restored in the store, on a runner that forgets the
    /// state that main saves: the one that pre chose, or where that is forgotten too, that of the
    /// step.
    pub(super) fn job_state(&self) -> Option<String> {
        let chosen = self.state.job_state.clone();
        let name = chosen.unwrap_or_else(|| self.workflow.step_name());
        self.workflow.forgets_state.then_some(name)
    }

    /// Sets an output if the action has it. The runner drops those of other phases.
    pub(super) fn set_output(&self, name: &str, value: &str) {
        let exists = OUTPUTS
            .iter()
            .any(|spec| spec.name == name && spec.offered_by.contains(&self.inputs.kind));
        if self.phase == Phase::Main && exists {
            self.warn_on_error(self.workflow.files.set_output(name, value));
        }
    }

    pub(super) fn save_state<T: Serialize + DeserializeOwned>(&self, key: &StateKey<T>, value: &T) {
        self.warn_on_error(key.save(&self.workflow.files, value));
    }

    fn warn_on_error(&self, result: Result<(), FileError>) {
        if let Err(error) = result {
            self.warn(&error.to_string());
        }
    }

    pub(super) fn warn(&self, text: &str) {
        self.console
            .warning(&Annotation::new(text).title("local-cache"));
    }

    pub(super) fn fail(&self, text: &str) {
        self.console
            .error(&Annotation::new(text).title("local-cache"));
        self.has_failed.set(true);
    }

    /// Reports an error of the cache, which fails the step only with `fail-on-error`.
    pub(super) fn cache_failed(&self, reason: &str) {
        if self.inputs.fail_on_error {
            self.fail(reason);
        } else {
            self.warn(reason);
        }
    }

    pub(super) fn result(&self) -> StepResult {
        if self.has_failed.get() {
            StepResult::Failed
        } else {
            StepResult::Passed
        }
    }
}
