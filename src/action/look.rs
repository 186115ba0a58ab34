//! What a phase of the action sees, for `local-cache doctor --as-action`.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::action::console::{Console, Verbosity};
use crate::action::context::WorkflowContext;
use crate::action::dispatcher::Dispatcher;
use crate::action::env::Env;
use crate::action::inputs::Inputs;
use crate::action::kind::{ActionKind, Invocation};
use crate::job::{Job, WorkerView};
use crate::site::gather::runner_identity;

/// Where the action works, and what it sees there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ActionView {
    /// The name of the site.
    pub site: String,
    pub worker: Option<WorkerView>,
    /// Why there is no [`ActionView::worker`], in one line.
    pub error: Option<String>,
}

/// Looks at what the phase would use, and changes nothing.
pub fn look(invocation: Invocation, env: &Env) -> ActionView {
    let workflow = WorkflowContext {
        beside_steps: invocation.beside_steps,
        ..WorkflowContext::from_env(env)
    };
    let inputs = match Inputs::parse(env, ActionKind::Cache) {
        Ok(inputs) => inputs,
        Err(errors) => {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return ActionView {
                error: Some(texts.join("; ")),
                ..ActionView::default()
            };
        }
    };
    let mut sink = io::sink();
    let console = Console::new(&mut sink, Verbosity::new(log::LevelFilter::Error, false));
    let dispatcher = Dispatcher::detect(env, &inputs, &workflow, runner_identity(env));
    let workspace = workflow.workspace.as_deref().unwrap_or(Path::new("/"));
    let job = Job::to_look(Path::new(&inputs.cache_root), workspace, env, false);
    let (worker, error) = match dispatcher.run(job, None, &console) {
        Ok((reply, _)) => (reply.view, reply.error),
        Err(problem) => (None, Some(problem)),
    };
    ActionView {
        site: dispatcher.site().to_string(),
        worker,
        error,
    }
}
