//! Whether a command works for a branch of the repository.

use super::context::WorkflowContext;
use super::env::Env;
use super::files::read_event;

/// Whether what runs with this environment may write what branches read: in a workflow its event
/// decides, and people may.
pub(crate) fn is_of_branch(env: &Env) -> bool {
    let workflow = WorkflowContext::from_env(env);
    if !env.flag("GITHUB_ACTIONS") && workflow.event_name.is_none() {
        return true;
    }
    let event = read_event(workflow.event_path.as_deref()).ok();
    workflow.origin(event.as_ref()).is_branch()
}
