//! Runs the jobs of a phase where their files are: in this process, on the host or in a container.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::action::console::{Console, Mark};
use crate::action::context::WorkflowContext;
use crate::action::env::Env;
use crate::action::inputs::Inputs;
use crate::action::worker::{CopyTask, WorkerRequest, run_in_worker};
use crate::fmt::human::elapsed;
use crate::job::{Job, JobReply, JobTarget, PathsTarget, RemoteRequest, Task};
use crate::ops::second_tier::{LaterCopy, TierReport};
use crate::site::Site;
use crate::site::detect::{SiteDecision, detect};
use crate::site::facts::{EngineReport, SiteFacts, SiteRequest};
use crate::site::gather::gather;
use crate::site::paths::Translation;
use crate::site::run::{RunOptions, RunOutcome, SiteRunner};
use crate::site::supervise::StopReason;
use crate::site::worker::Identity;

/// How long the start of a container that copies entries after the job may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs the jobs of a phase at the site that suits its files.
pub(crate) struct Dispatcher {
    facts: SiteFacts,
    decision: SiteDecision,
    options: RunOptions,
}

impl Dispatcher {
    /// Gathers facts, which may ask the Docker Engine, and decides on a site.
    pub(crate) fn detect(
        env: &Env,
        inputs: &Inputs,
        context: &WorkflowContext,
        identity: Option<Identity>,
    ) -> Self {
        let facts = gather(&site_request(env, inputs, context));
        let decision = detect(&facts);
        let options = RunOptions {
            identity,
            ..RunOptions::new(env.clone())
        }
        .with_limit(inputs.timeout);
        Self {
            facts,
            decision,
            options,
        }
    }

    pub(crate) fn site(&self) -> Site {
        self.decision.site
    }

    fn log_decision(&self, console: &Console<'_>) {
        for refusal in &self.decision.refused {
            console.debug(format_args!(
                "site {}: no, {}",
                refusal.site, refusal.problem
            ));
        }
        console.debug(format_args!("site {}", self.decision.site));
        for notice in &self.decision.notices {
            console.log(Mark::Check, notice);
        }
    }

    /// This process's path for one that the runner named, which may be a path of the host: the path
    /// itself if it exists, else the mount that shows it.
    fn local_path(&self, path: PathBuf) -> PathBuf {
        match &self.facts.engine {
            Some(Ok(EngineReport {
                own_container: Some(own),
                ..
            })) if !path.exists() => own.mounts.from_host(&path).unwrap_or(path),
            _ => path,
        }
    }

    /// Runs a job; the error says why the site could not run it.
    ///
    /// A helper has a network only if the step names a remote, or if the first helper finds out that
    /// the machine has one. Without a network it does not get the credentials.
    pub(crate) fn run(
        &self,
        mut job: Job,
        remote: Option<RemoteRequest>,
        console: &Console<'_>,
    ) -> Result<(JobReply, Option<Identity>), String> {
        translate_paths(&mut job, &self.decision.translation)?;
        // Without the remote, which has credentials.
        console.trace("request", || readable(&job));
        let names_remote = remote.as_ref().is_some_and(|remote| remote.url.is_some());
        let mut options = RunOptions {
            network: names_remote,
            ..self.options.clone()
        };
        let has_network = names_remote || self.decision.site != Site::Host;
        let mut request = WorkerRequest {
            job,
            remote,
            copy: None,
        };
        if let Some(remote) = &mut request.remote {
            // Here and in a job's container, nothing goes on after the job that this process can start.
            remote.copies_later = self.decision.site == Site::Host;
        }
        let mut outcome = self.run_worker(request.for_network(has_network), &options, console)?;
        if outcome.reply.needs_network {
            options.network = true;
            options.identity = outcome.identity.or(options.identity);
            outcome = self.run_worker(request.for_network(true), &options, console)?;
        }
        for notice in &outcome.notices {
            console.log(Mark::Check, notice);
        }
        let mut reply = outcome.reply;
        if let Some(copy) = reply.later_copy.take() {
            options.identity = outcome.identity.clone().or(options.identity);
            self.copy_later(&request, copy, &options, (&mut reply, console));
        }
        if let Some(reason) = outcome.stop_reason {
            reply.error = Some(stop_message(reason, self.options.total_limit()));
        }
        console.trace("reply", || readable(&reply));
        Ok((reply, outcome.identity))
    }

    /// Has a container copy entries to the remote when this process is gone. Where that is not
    /// possible, a helper copies them now.
    fn copy_later(
        &self,
        request: &WorkerRequest,
        copy: LaterCopy,
        options: &RunOptions,
        (reply, console): (&mut JobReply, &Console<'_>),
    ) {
        let mut request = WorkerRequest {
            copy: Some(CopyTask::Detached(copy.clone())),
            ..request.for_network(true)
        };
        // The job is over: the container needs only the place of the store.
        request.job.target = JobTarget::Paths(PathsTarget::default());
        request.job.task = Task::Look;
        let limit = options
            .timeout
            .map_or(START_LIMIT, |limit| limit.min(START_LIMIT));
        let options = RunOptions {
            timeout: Some(limit),
            ..options.clone()
        };
        let runner = SiteRunner {
            facts: &self.facts,
            decision: &self.decision,
            options: &options,
        };
        let started = runner.start_after_this(&request, &mut |line| console.debug(line));
        let Err(problem) = started else {
            return;
        };
        request.copy = Some(CopyTask::Now(copy));
        if let Some(remote) = &mut request.remote {
            remote.copies_later = false;
        }
        let copied = self.run_worker(
            request,
            &RunOptions {
                network: true,
                timeout: self.options.timeout,
                ..options
            },
            console,
        );
        let (mut warnings, mut later) = match copied {
            Ok(outcome) => (
                outcome.reply.warnings,
                outcome.reply.second_tier.unwrap_or_default(),
            ),
            Err(error) => (vec![error], TierReport::default()),
        };
        reply.warnings.append(&mut warnings);
        later.not_in_background = Some(problem.to_string());
        if let Some(first) = reply.second_tier.take() {
            later.place.clone_from(&first.place);
            let first = TierReport {
                background_entries: 0,
                ..first
            };
            reply.second_tier = Some(first.with(later));
        }
    }

    fn run_worker(
        &self,
        request: WorkerRequest,
        options: &RunOptions,
        console: &Console<'_>,
    ) -> Result<RunOutcome<JobReply>, String> {
        let runner = SiteRunner {
            facts: &self.facts,
            decision: &self.decision,
            options,
        };
        runner
            .run(
                request,
                &mut |line: &str| console.debug(line),
                run_in_worker,
            )
            .map_err(|problem| problem.to_string())
    }
}

/// A request or a reply for people: one field on each line.
fn readable(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
}

/// A dispatcher that is detected on first use: asking the Docker Engine takes time, and many phases
/// have nothing to do.
pub(crate) struct LazyDispatcher<'s, 'w> {
    env: &'s Env,
    inputs: &'s Inputs,
    context: WorkflowContext,
    identity: Option<Identity>,
    console: &'s Console<'w>,
    detected: OnceCell<Dispatcher>,
}

impl<'s, 'w> LazyDispatcher<'s, 'w> {
    pub(crate) fn new(
        env: &'s Env,
        inputs: &'s Inputs,
        context: WorkflowContext,
        identity: Option<Identity>,
        console: &'s Console<'w>,
    ) -> Self {
        Self {
            env,
            inputs,
            context,
            identity,
            console,
            detected: OnceCell::new(),
        }
    }

    pub(crate) fn get(&self) -> &Dispatcher {
        self.detected.get_or_init(|| {
            let identity = self.identity.clone();
            let dispatcher = Dispatcher::detect(self.env, self.inputs, &self.context, identity);
            dispatcher.log_decision(self.console);
            dispatcher
        })
    }

    /// As [`Dispatcher::local_path`], without detecting anything for a path that exists.
    pub(crate) fn local_path(&self, path: PathBuf) -> PathBuf {
        if path.exists() {
            path
        } else {
            self.get().local_path(path)
        }
    }
}

fn site_request(env: &Env, inputs: &Inputs, context: &WorkflowContext) -> SiteRequest {
    SiteRequest {
        env: env.clone(),
        preference: inputs.site,
        cache_root: PathBuf::from(&inputs.cache_root),
        paths: touched_dirs(env, inputs, context),
        job_container: inputs.job_container.clone(),
        ephemeral: true,
        beside_steps: context.beside_steps,
        engine_timeout: RunOptions::ENGINE_TIMEOUT,
    }
}

/// Replaces the paths of a job by those that the worker knows.
fn translate_paths(job: &mut Job, translation: &Translation) -> Result<(), String> {
    job.cache_root = translation.to_worker(&job.cache_root);
    job.workspace = translation.to_worker(&job.workspace);
    match &mut job.target {
        JobTarget::Paths(target) => {
            for line in &mut target.paths {
                let translated: OsString = translation.lines_to_worker(OsStr::new(line));
                *line = String::from_utf8(translated.into_vec())
                    .map_err(|_| format!("the path {line} is not UTF-8 on the host"))?;
            }
        }
        JobTarget::Cargo(target) => {
            target.map_paths(&|path| translation.to_worker(path), &|line| {
                let translated = translation.lines_to_worker(OsStr::new(line));
                translated.to_string_lossy().into_owned()
            });
        }
    }
    Ok(())
}

fn stop_message(reason: StopReason, limit: Option<Duration>) -> String {
    match reason {
        StopReason::Signal(_) | StopReason::ParentGone => {
            "the step was cancelled; no incomplete entry is left".to_owned()
        }
        StopReason::Timeout => {
            let limit = limit.map(elapsed).unwrap_or_default();
            format!("the cache gave up after {limit}; raise `timeout` if it needs longer")
        }
    }
}

/// The directories that a step touches, as far as the inputs alone tell.
fn touched_dirs(env: &Env, inputs: &Inputs, context: &WorkflowContext) -> Vec<PathBuf> {
    if !inputs.paths.is_empty() {
        return inputs
            .paths
            .iter()
            .filter_map(|line| touched_dir(line, context))
            .collect();
    }
    cargo_dirs(env, inputs)
        .filter(|path| path.is_absolute() || path.starts_with("~"))
        .chain(context.workspace.clone())
        .collect()
}

/// The directories that cargo writes to. Some may be relative.
fn cargo_dirs(env: &Env, inputs: &Inputs) -> impl Iterator<Item = PathBuf> {
    let cargo_home = env.path("CARGO_HOME").unwrap_or(Path::new("~/.cargo"));
    let workspaces = inputs.cargo.workspaces.iter();
    let lines = workspaces
        .flat_map(|line| [Some(&line.root), line.target.as_ref()])
        .flatten()
        .map(PathBuf::from);
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"]
        .into_iter()
        .filter_map(|name| env.path(name).map(Path::to_owned));
    lines.chain(variables).chain([cargo_home.to_owned()])
}

/// The directory that a line of `path` touches.
fn touched_dir(line: &str, context: &WorkflowContext) -> Option<PathBuf> {
    if line.starts_with(['!', '#']) {
        return None;
    }
    let literal = line.split(['*', '?', '[']).next().unwrap_or(line);
    let path = Path::new(literal);
    if path.is_absolute() || path.starts_with("~") {
        return Some(path.to_owned());
    }
    context.workspace.clone()
}

/// The name that a program was called by, without its directories.
pub fn program_name(argument: &OsStr) -> &[u8] {
    Path::new(argument)
        .file_name()
        .map_or(b"", OsStrExt::as_bytes)
}
