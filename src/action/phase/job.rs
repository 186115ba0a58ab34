//! The job of a phase: what the inputs ask for, handed to the dispatcher.

use std::path::PathBuf;

use super::context::StepContext;
use super::housekeeping::housekeeping;
use super::{messages, state};
use crate::action::access::{self, Access};
use crate::action::console::Mark;
use crate::action::event::EventPayload;
use crate::action::inputs::{Inputs, Preset};
use crate::action::kind::ActionKind;
use crate::job::{CargoTarget, Job, JobReply, JobTarget, PathsTarget, RemoteRequest, Task};
use crate::stats::event::{Event, Phase};

/// What the run allows: where the job works and which entries it may use.
pub(super) struct JobPermit {
    pub(super) workspace: PathBuf,
    pub(super) access: Access,
}

/// Decides what the run allows; none, with a warning, if nothing can be cached.
pub(super) fn permit(step: &StepContext<'_, '_>) -> Option<JobPermit> {
    let event = step.event().map_err(|error| step.console.debug(error)).ok();
    let access = match access::decide(step.inputs, step.workflow, event) {
        Ok(access) => access,
        Err(refusal) => {
            step.warn(&refusal.to_string());
            return None;
        }
    };
    debug_access(step, &access, event);
    let Some(workspace) = step.workflow.workspace.clone() else {
        step.warn(messages::NO_WORKSPACE);
        return None;
    };
    Some(JobPermit { workspace, access })
}

fn debug_access(step: &StepContext<'_, '_>, access: &Access, event: Option<&EventPayload>) {
    let origin = step.workflow.origin(event);
    let read: Vec<&str> = access
        .read
        .iter()
        .map(|scope| scope.git_ref.as_str())
        .collect();
    let write = &access.write;
    step.console.debug(format_args!(
        "scope {:?}, origin {origin:?}: reads {read:?}, writes {:?}",
        write.scope, write.git_ref
    ));
}

/// The job that does a task. Guarding the disk needs no target.
pub(super) fn job(step: &StepContext<'_, '_>, workspace: PathBuf, task: Task) -> Job {
    let target = match &task {
        Task::Guard => JobTarget::Paths(PathsTarget::default()),
        _ if step.is_cargo() => cargo_target(step),
        _ => paths_target(step.inputs),
    };
    Job {
        cache_root: step.inputs.cache_root.clone().into(),
        workspace,
        target,
        task,
        housekeeping: housekeeping(step),
    }
}

fn paths_target(inputs: &Inputs) -> JobTarget {
    JobTarget::Paths(PathsTarget {
        paths: inputs.paths.clone(),
        key: inputs.key.clone(),
        restore_keys: inputs.restore_keys.clone(),
    })
}

/// `PATH` is not taken: in an action's own container it is the image's, not that of the steps.
fn cargo_target(step: &StepContext<'_, '_>) -> JobTarget {
    let inputs = step.inputs;
    let cargo = inputs.cargo.clone();
    let mut target = CargoTarget {
        env: Vec::new(),
        job: step.workflow.job.clone().unwrap_or_default(),
        repository: step.workflow.repository_id(),
        workspaces: cargo.workspaces,
        key_inputs: cargo.key_inputs,
        directories: cargo.cache_directories,
        targets: cargo.cache_targets,
        all_crates: cargo.cache_all_crates,
        bin: cargo.cache_bin,
        freshness: inputs.freshness,
        sources: inputs.sources.clone(),
        keep_outputs: inputs.keep_outputs.clone(),
        run: step.workflow.job_run_name(),
        only_projects: inputs.preset == Preset::Auto,
        lock_timeout: CargoTarget::LOCK_TIMEOUT,
    };
    target.add_env(step.env.iter(), false);
    JobTarget::Cargo(Box::new(target))
}

/// Runs a job and reports its warnings and its error.
pub(super) fn run(step: &StepContext<'_, '_>, job: Job) -> Option<JobReply> {
    let reply = match dispatch(step, job) {
        Ok(reply) => reply,
        Err(reason) => {
            step.cache_failed(&reason);
            return None;
        }
    };
    for warning in &reply.warnings {
        step.warn(warning);
    }
    if let Some(error) = &reply.error {
        step.cache_failed(error);
    }
    Some(reply)
}

/// Runs a job whose failure is for the debug log only.
pub(super) fn run_quietly(step: &StepContext<'_, '_>, job: Job) -> Option<JobReply> {
    let reply = dispatch(step, job)
        .map_err(|reason| step.console.debug(reason))
        .ok()?;
    for text in reply.warnings.iter().chain(&reply.error) {
        step.console.debug(text);
    }
    Some(reply)
}

fn dispatch(step: &StepContext<'_, '_>, job: Job) -> Result<JobReply, String> {
    let remote = remote_request(step, &job.task);
    let (reply, identity) = step.dispatcher.get().run(job, remote, step.console)?;
    if let Some(identity) = identity {
        // Saves a later phase finding out who the runner's user is.
        step.save_state(&state::IDENTITY, &identity);
    }
    if let Some(report) = reply.second_tier.as_ref().filter(|it| !it.is_empty()) {
        step.console
            .log(Mark::Remote, format_args!("remote {report}"));
    }
    let tier = reply.second_tier.as_ref();
    if let Some(reason) = tier.and_then(|tier| tier.not_in_background.as_ref()) {
        step.console.log(
            Mark::Remote,
            format_args!("push=background is like push=wait here: {reason}"),
        );
    }
    if let Some(event) = &reply.unrecorded {
        leave_event(step, event);
    }
    Ok(reply)
}

/// What the step says about the remote; none if it is not used.
fn remote_request(step: &StepContext<'_, '_>, task: &Task) -> Option<RemoteRequest> {
    let of_env = || step.env.text("LOCAL_CACHE_REMOTE").map(str::to_owned);
    let url = step.inputs.remote.clone().or_else(of_env);
    // What is restored before the checkout comes from the store.
    let is_local = matches!(task, Task::Guard | Task::RestoreEarly(_));
    if is_local || url.as_deref() == Some("none") {
        return None;
    }
    // A secret that does not exist is an empty variable. It must not hide that of the machine.
    let counts = |name: &str, value: &str| name.starts_with("AWS_") && !value.is_empty();
    let texts = step.env.iter().filter_map(|(name, value)| {
        let (name, value) = (name.to_str()?, value.to_str()?);
        counts(name, value).then(|| (name.to_owned(), value.to_owned()))
    });
    Some(RemoteRequest {
        url,
        is_of_branch: step.workflow.origin(step.event().ok()).is_branch(),
        has_network: false,
        copies_later: false,
        variables: texts.collect(),
    })
}

/// Leaves an event without a store to the post phase, which may find one.
fn leave_event(step: &StepContext<'_, '_>, event: &Event) {
    if step.phase == Phase::Post || step.inputs.kind != ActionKind::Cache {
        return;
    }
    let mut events = step.state.events.clone();
    events.push(event.clone());
    step.save_state(&state::EVENTS, &events);
}
