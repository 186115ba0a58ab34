//! Commands in the journal: `stats` counts them like the phases of the action.

use std::time::Instant;

use super::context::CommandContext;
use super::scope::run_of;
use crate::action::WorkflowContext;
use crate::fmt::whole_milliseconds;
use crate::git::Repository;
use crate::job;
use crate::stats::event::{CacheEvent, Event, Phase, RemoteTraffic, Run};

/// What a command did, for the journal.
pub(super) struct RecordedWork {
    pub(super) caches: Vec<CacheEvent>,
    pub(super) remote: Option<RemoteTraffic>,
}

/// Records what a command did since `start`. A store without a journal works as well, so a failure
/// is only logged.
pub(super) fn record(
    context: &CommandContext<'_>,
    phase: Phase,
    workflow: &WorkflowContext,
    work: RecordedWork,
    start: Instant,
) {
    let event = Event {
        caches: work.caches,
        remote: work.remote,
        milliseconds: whole_milliseconds(start.elapsed()),
        ..Event::now(phase, run(context, workflow))
    };
    if let Err(error) = job::append_events(context.cache_root, [&event]) {
        log::debug!("this command is not in the journal: {error}");
    }
}

/// The run of a command for the journal.
pub(super) fn run(context: &CommandContext<'_>, workflow: &WorkflowContext) -> Run {
    run_of(workflow, &project_name(context).unwrap_or_default())
}

/// The name of the repository that the checkout was cloned from.
pub(super) fn project_name(context: &CommandContext<'_>) -> Option<String> {
    let names = crate::fs::Local::new(context.home());
    let repository = Repository::find(&names, context.checkout()).ok()??;
    repository.origin_name().map(str::to_lowercase)
}
