//! Where the phases of a step have their work done: found out once for a phase.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::action::console::{Console, Mark};
use crate::action::context::WorkflowContext;
use crate::action::env::Env;
use crate::action::inputs::{Inputs, SiteInput};
use crate::job::{Job, JobReply, JobTarget, run_job};
use crate::monitor::Monitor;
use crate::site::SitePreference;
use crate::site::detect::{SiteDecision, detect};
use crate::site::facts::{EngineReport, SiteFacts, SiteRequest};
use crate::site::gather::gather;
use crate::site::paths::Translation;
use crate::site::run::{RunOptions, SiteRunner};
use crate::site::supervise::StopReason;
use crate::site::worker::{Identity, WorkerContext};

/// The place where the work of a phase is done.
pub(crate) struct Dispatcher {
    facts: SiteFacts,
    decision: SiteDecision,
    options: RunOptions,
}

impl Dispatcher {
    /// Looks around and decides.
    pub(crate) fn detect(
        env_of_step: &Env,
        inputs: &Inputs,
        context: &WorkflowContext,
        identity: Option<Identity>,
    ) -> Self {
        let env = env_of_step.clone();
        let asked = SiteRequest {
            env: env.clone(),
            preference: match inputs.site {
                SiteInput::Auto => SitePreference::Auto,
                SiteInput::Here => SitePreference::Here,
                SiteInput::Host => SitePreference::Host,
                SiteInput::JobContainer => SitePreference::JobContainer,
            },
            cache_root: PathBuf::from(&inputs.cache_root),
            paths: touched_dirs(env_of_step, inputs, context),
            job_container: inputs.job_container.clone(),
            ephemeral: true,
            engine_timeout: RunOptions::ENGINE_TIMEOUT,
        };
        let facts = gather(&asked);
        let decision = detect(&facts);
        let options = RunOptions {
            identity,
            ..RunOptions::new(env)
        }
        .with_limit(inputs.timeout);
        Self {
            facts,
            decision,
            options,
        }
    }

    /// What is worth saying of the decision.
    pub(crate) fn log_decision(&self, log: &Console<'_>) {
        for refusal in &self.decision.refused {
            log.debug(format_args!(
                "site {}: no, {}",
                refusal.site, refusal.problem
            ));
        }
        log.debug(format_args!("site {}", self.decision.site));
        for notice in &self.decision.notices {
            log.log(Mark::Check, notice);
        }
    }

    /// This process's name for a path that the runner gave it: the path itself, or where a mount
    /// shows it.
    pub(crate) fn local_path(&self, path: PathBuf) -> PathBuf {
        match &self.facts.engine {
            Some(Ok(EngineReport {
                own_container: Some(own),
                ..
            })) if !path.exists() => own.mounts.from_host(&path).unwrap_or(path),
            _ => path,
        }
    }

    /// Has a job done; an error says why that was not possible.
    pub(crate) fn run(
        &self,
        mut job: Job,
        log: &Console<'_>,
    ) -> Result<(JobReply, Option<Identity>), String> {
        let translation = &self.decision.translation;
        job.cache_root = translation.to_worker(&job.cache_root);
        job.workspace = translation.to_worker(&job.workspace);
        match &mut job.target {
            JobTarget::Paths(subject) => {
                for line in &mut subject.paths {
                    *line = translate_line(line, translation)?;
                }
            }
            JobTarget::Cargo(subject) => {
                subject.map_paths(&|path| translation.to_worker(path), &|line| {
                    translation
                        .lines_to_worker(OsStr::new(line))
                        .to_string_lossy()
                        .into_owned()
                })
            }
        }
        let mut hear = |line: &str| log.debug(line);
        let runner = SiteRunner {
            facts: &self.facts,
            decision: &self.decision,
            options: &self.options,
        };
        let outcome = runner.run(job, &mut hear, run_in_worker);
        let outcome = outcome.map_err(|problem| problem.to_string())?;
        for notice in &outcome.notices {
            log.log(Mark::Check, notice);
        }
        let mut reply: JobReply = outcome.reply;
        if let Some(why) = outcome.stop_reason {
            reply.error = Some(match why {
                StopReason::Signal(_) | StopReason::ParentGone => {
                    "the step was cancelled; nothing was left half done".to_owned()
                }
                StopReason::Timeout => {
                    let limit = self
                        .options
                        .total_limit()
                        .map(crate::fmt::human::elapsed)
                        .unwrap_or_default();
                    format!("the cache gave up after {limit}; raise `timeout` if it needs longer")
                }
            });
        }
        log.trace(|| serde_json::to_string(&reply).unwrap_or_else(|error| error.to_string()));
        Ok((reply, outcome.identity))
    }
}

/// The directories that a step touches, as far as that can be told without looking.
fn touched_dirs(env: &Env, inputs: &Inputs, context: &WorkflowContext) -> Vec<PathBuf> {
    if !inputs.paths.is_empty() {
        return inputs
            .paths
            .iter()
            .filter_map(|line| touched_dir(line, context))
            .collect();
    }
    let cargo_home = env
        .path("CARGO_HOME")
        .unwrap_or(Path::new("~/.cargo"))
        .to_owned();
    let lines = inputs
        .cargo
        .workspaces
        .iter()
        .flat_map(|line| [Some(&line.root), line.target.as_ref()]);
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"].into_iter();
    let named = lines.flatten().map(PathBuf::from);
    let named = named.chain(variables.filter_map(|name| env.path(name).map(Path::to_owned)));
    let elsewhere = named
        .chain([cargo_home])
        .filter(|path| path.is_absolute() || path.starts_with("~"));
    elsewhere.chain(context.workspace.clone()).collect()
}

/// A directory that a line of `path` touches.
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

/// A line of `path` with the worker's names for its directories.
fn translate_line(line: &str, translation: &Translation) -> Result<String, String> {
    let translated: OsString = translation.lines_to_worker(OsStr::new(line));
    String::from_utf8(translated.into_vec())
        .map_err(|_| format!("the path {line} is not UTF-8 there"))
}

/// Runs a job in this process: in a worker, or in a phase that needs none.
pub fn run_in_worker(mut job: Job, context: &WorkerContext) -> JobReply {
    if let JobTarget::Cargo(subject) = &mut job.target {
        // What an image sets for its steps; what the request says comes from the steps themselves.
        subject.add_env(context.env.iter(), true);
    }
    let mut reply = run_job(&job, &*context.namespace, &CancelMonitor(context));
    let of_caches = reply
        .caches
        .iter_mut()
        .filter_map(|cache| cache.error.as_mut());
    for text in reply
        .warnings
        .iter_mut()
        .chain(&mut reply.error)
        .chain(of_caches)
    {
        *text = context.namespace.original_text(text);
    }
    reply
}

/// Cancels the job on a signal or at the time limit.
struct CancelMonitor<'c>(&'c WorkerContext);

impl Monitor for CancelMonitor<'_> {
    fn is_interrupted(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The name that a program was called by, without its directories.
pub fn program_name(argument: &OsStr) -> &[u8] {
    Path::new(argument)
        .file_name()
        .map_or(b"", OsStrExt::as_bytes)
}
