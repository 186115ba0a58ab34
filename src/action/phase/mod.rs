//! The phases of a step: what the inputs and the run ask for becomes a job, what comes of it
//! becomes outputs, state and log lines.
//!
//! Nothing that goes wrong with the cache fails the step, unless the user asked for that: it
//! becomes a warning, and what could not be restored counts as a miss. Two things fail it as in
//! actions/cache: inputs that make no sense, in the main phase, and a miss with
//! `fail-on-cache-miss`.
//!
//! - pre: guards the disk, and restores nothing. The workspace is not there yet, so a key that has
//!   digests of its files in it is another one here, and a wrong entry would be mixed with the
//!   right one later. It leaves a name under which the main phase can tell the post phase what it
//!   found, for runners that forget what main saved.
//! - main: restores (or, in the save action, saves) and sets the outputs.
//! - post: saves under the key that main looked for, unless that was found, and cleans. The runner
//!   evaluates the inputs anew for it, when the files that the key was made of may have changed or
//!   be gone; and it starts post also where an `if` kept main from running, because there was a pre
//!   phase (actions/runner, ActionRunner.cs). So post goes by what main noted down, and does
//!   nothing where main noted nothing. The same goes for where it may write: main decided that
//!   before the job's own programs had the event file within their reach. Last, it guards the disk,
//!   also where nothing is saved, and writes the summary.

mod cargo;
mod housekeeping;
mod restore;
mod save;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io::Write;
use std::path::PathBuf;

use super::access::{self, Access};
use super::commands::Annotation;
use super::context::WorkflowContext;
use super::env::Env;
use super::event::EventPayload;
use super::files::{FileError, read_event};
use super::inputs::{InputErrors, Inputs, OUTPUTS};
use super::kind::ActionKind;
use crate::action::console::{Console, Verbosity};
use crate::action::dispatcher::Dispatcher;
use crate::fmt::human::bytes;
use crate::job::{Job, JobReply, JobTarget, PathsTarget, RestoreTask, Task};
use crate::site::worker::Identity;
use crate::stats::event::{DiskState, Phase};
use crate::store::CacheScope;

/// Whether the step goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// It does.
    Passed,
    /// It fails, and the log says why.
    Failed,
}

/// Names of what one phase tells a later one.
mod state {
    pub(super) const KEY: &str = "KEY";
    pub(super) const MATCHED_KEY: &str = "MATCHED_KEY";
    pub(super) const EXACT: &str = "EXACT";
    pub(super) const ENTRY: &str = "ENTRY";
    pub(super) const WRITE: &str = "WRITE";
    pub(super) const MEMORY: &str = "MEMORY";
    pub(super) const CACHES: &str = "CACHES";
    pub(super) const IDENTITY: &str = "IDENTITY";
    pub(super) const EVENTS: &str = "EVENTS";
    pub(super) const STARTED: &str = "STARTED";
    pub(super) const BEFORE: &str = "BEFORE";
    pub(super) const FOUND: &str = "FOUND";
    pub(super) const ROWS: &str = "ROWS";
}

/// Runs a phase.
pub fn run(phase: Phase, kind: ActionKind, env: &Env, out: &mut (dyn Write + Send)) -> StepResult {
    let mut context = WorkflowContext::from_env(env);
    let env = &*with_settled_key(phase, env);
    let parsed = Inputs::parse(env, kind);
    let level = parsed
        .as_ref()
        .map_or(log::LevelFilter::Info, |inputs| inputs.log_level);
    let log = Console::new(out, Verbosity::new(level, context.debug));
    if phase == Phase::Post && !context.act && env.state(state::KEY).is_none() {
        log.debug("the step looked for nothing, so there is nothing to save");
        return StepResult::Passed;
    }
    let inputs = match parsed {
        Ok(inputs) => inputs,
        Err(errors) => return refuse(phase, kind, &errors, &log),
    };
    for (name, value) in &inputs.ignored {
        log.debug(format_args!("input {name}: {value} has no effect here"));
    }
    let place = LazyDispatcher {
        env,
        inputs: &inputs,
        seen: context.clone(),
        log: &log,
        found: OnceCell::new(),
    };
    context.files = context.files.map_paths(|path| place.own_name(path));
    context.event_path = context.event_path.map(|path| place.own_name(path));
    let mut step = Step {
        phase,
        env,
        context: &context,
        inputs: &inputs,
        log: &log,
        place,
        failed: false,
    };
    match (phase, kind) {
        (Phase::Pre, _) => step.pre(),
        (Phase::Main, ActionKind::Save) | (Phase::Post, ActionKind::Cache) => step.save(),
        (Phase::Main, _) if step.is_of_cargo() => step.restore_cargo(),
        (Phase::Main, _) => step.restore(),
        (Phase::Post, _) => {}
    }
    if step.failed {
        StepResult::Failed
    } else {
        StepResult::Passed
    }
}

/// The key that main looked for in place of what its input has become; restore keys do not count
/// any more. An empty one counts as none, as in actions/cache.
fn with_settled_key(phase: Phase, env: &Env) -> Cow<'_, Env> {
    match env.state(state::KEY) {
        Some(key) if phase == Phase::Post && !key.is_empty() => {
            Cow::Owned(env.with_input("key", key).with_input("restore-keys", ""))
        }
        _ => Cow::Borrowed(env),
    }
}

/// Inputs that make no sense fail the main phase; saving warns of them, as actions/cache does; pre
/// leaves them to main.
fn refuse(phase: Phase, kind: ActionKind, errors: &InputErrors, log: &Console<'_>) -> StepResult {
    if phase == Phase::Pre {
        return StepResult::Passed;
    }
    let fails = phase == Phase::Main && kind != ActionKind::Save;
    for error in errors.iter() {
        let text = error.to_string();
        let annotation = Annotation::new(&text).title("local-cache");
        if fails {
            log.error(&annotation)
        } else {
            log.warning(&annotation)
        }
    }
    if fails {
        StepResult::Failed
    } else {
        StepResult::Passed
    }
}

/// The place of the work, looked for when it is first needed: asking the Docker Engine takes time,
/// and often there is nothing to do.
struct LazyDispatcher<'s, 'w> {
    env: &'s Env,
    inputs: &'s Inputs,
    seen: WorkflowContext,
    log: &'s Console<'w>,
    found: OnceCell<Dispatcher>,
}

impl LazyDispatcher<'_, '_> {
    fn get(&self) -> &Dispatcher {
        self.found.get_or_init(|| {
            let identity = self
                .env
                .state(state::IDENTITY)
                .and_then(|text| serde_json::from_str(text).ok());
            let place = Dispatcher::detect(self.env, self.inputs, &self.seen, identity);
            place.log_decision(self.log);
            place
        })
    }

    /// This process's name for a path that the runner gave it, which may be one of the host.
    fn own_name(&self, path: PathBuf) -> PathBuf {
        if path.exists() {
            path
        } else {
            self.get().local_path(path)
        }
    }
}

struct Step<'s, 'w> {
    phase: Phase,
    env: &'s Env,
    context: &'s WorkflowContext,
    inputs: &'s Inputs,
    log: &'s Console<'w>,
    place: LazyDispatcher<'s, 'w>,
    failed: bool,
}

impl Step<'_, '_> {
    fn pre(&mut self) {
        if self.context.act {
            let name = crate::fs::TempName::new();
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            self.tell(self.context.files.save_state(state::MEMORY, &name));
        }
        self.begin();
    }

    /// The name under which main leaves the post phase what it found, on the runner that forgets
    /// what main noted down.
    fn memory(&self) -> Option<String> {
        self.env
            .state(state::MEMORY)
            .filter(|_| self.context.act)
            .map(str::to_owned)
    }

    /// The job without its task, and what it may read and write; none where there is nothing to do.
    fn job(&mut self) -> Option<(Job, Access)> {
        let event = match read_event(self.context.event_path.as_deref()) {
            Ok(event) => Some(event),
            Err(error) => {
                self.log.debug(error);
                None
            }
        };
        let access = match access::decide(self.inputs, self.context, event.as_ref()) {
            Ok(access) => access,
            Err(refusal) => {
                self.warn(&refusal.to_string());
                return None;
            }
        };
        self.debug_access(&access, event.as_ref());
        let Some(workspace) = self.context.workspace.clone() else {
            self.warn(
                "GITHUB_WORKSPACE is not set, so relative paths mean nothing; nothing is cached",
            );
            return None;
        };
        let job = Job {
            cache_root: self.inputs.cache_root.clone().into(),
            workspace,
            target: if self.is_of_cargo() {
                self.cargo()
            } else {
                self.paths()
            },
            // Replaced by the caller, who knows what is to be done.
            task: Task::Restore(RestoreTask::default()),
            housekeeping: self.health(),
        };
        Some((job, access))
    }

    /// The default branch, where the event file says which it is.
    fn default_branches(&self) -> Vec<CacheScope> {
        let event = read_event(self.context.event_path.as_deref()).ok();
        let branch = event.and_then(|event| event.default_branch);
        let scope = access::scope_of(self.inputs.scope, self.context).ok();
        scope
            .zip(branch)
            .map(|(scope, branch)| CacheScope::branch(scope, &branch))
            .into_iter()
            .collect()
    }

    /// Whether the step is one of the cargo preset: without paths there is nothing else that it
    /// could be.
    fn is_of_cargo(&self) -> bool {
        self.inputs.paths.is_empty()
    }

    fn paths(&self) -> JobTarget {
        let Inputs {
            paths,
            key,
            restore_keys,
            ..
        } = self.inputs;
        let (paths, key, restore_keys) = (paths.clone(), key.clone(), restore_keys.clone());
        JobTarget::Paths(PathsTarget {
            paths,
            key,
            restore_keys,
        })
    }

    fn debug_access(&self, access: &Access, event: Option<&EventPayload>) {
        let origin = self.context.origin(event);
        let read: Vec<&str> = access
            .read
            .iter()
            .map(|scope| scope.git_ref.as_str())
            .collect();
        let Access { write, .. } = access;
        self.log.debug(format_args!(
            "scope {:?}, origin {origin:?}: reads {read:?}, writes {:?}",
            write.scope, write.git_ref
        ));
    }

    /// Has a job carried out. What goes wrong with it is said here.
    fn carry_out(&mut self, job: Job) -> Option<JobReply> {
        let reply = match self.place.get().run(job, self.log) {
            Ok((reply, identity)) => {
                self.remember(identity);
                reply
            }
            Err(why) => {
                self.cache_failed(&why);
                return None;
            }
        };
        self.keep_event(&reply);
        for warning in &reply.warnings {
            self.warn(warning);
        }
        if let Some(error) = &reply.error {
            self.cache_failed(error);
        }
        Some(reply)
    }

    /// Saves a later phase finding out who the runner's user is.
    fn remember(&mut self, identity: Option<Identity>) {
        if let Some(identity) = identity.and_then(|identity| serde_json::to_string(&identity).ok())
        {
            self.tell(self.context.files.save_state(state::IDENTITY, &identity));
        }
    }

    fn cache_failed(&mut self, why: &str) {
        if self.inputs.fail_on_error {
            self.fail(why);
        } else {
            self.warn(why);
        }
    }

    fn report_disk(&mut self, disk: DiskState) {
        self.output("disk-used-percent", &disk.used_percent.to_string());
        self.output("disk-free-bytes", &disk.free_bytes.to_string());
        self.output("cache-size-bytes", &disk.store_bytes.to_string());
        self.log.debug(format_args!(
            "disk {} % used, {} free; the store takes {}",
            disk.used_percent,
            bytes(disk.free_bytes),
            bytes(disk.store_bytes)
        ));
    }

    /// Sets an output that the action has. The runner drops those of other phases.
    fn output(&mut self, name: &str, value: &str) {
        let has = OUTPUTS
            .iter()
            .any(|spec| spec.name == name && spec.offered_by.contains(&self.inputs.kind));
        if self.phase == Phase::Main && has {
            self.tell(self.context.files.set_output(name, value));
        }
    }

    fn tell(&mut self, result: Result<(), FileError>) {
        if let Err(error) = result {
            self.warn(&error.to_string());
        }
    }

    fn warn(&self, text: &str) {
        self.log
            .warning(&Annotation::new(text).title("local-cache"));
    }

    fn fail(&mut self, text: &str) {
        self.log.error(&Annotation::new(text).title("local-cache"));
        self.failed = true;
    }
}

/// A size as actions/cache logs it (actions/toolkit, packages/cache, cache.ts), for those who look
/// for it in logs.
fn cache_size(bytes: u64) -> String {
    format!("~{} MB ({bytes} B)", (bytes + 524_288) / 1_048_576)
}
