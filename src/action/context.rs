//! The run of a workflow as the runner's variables describe it.
//!
//! Every value is optional: runners and their imitators set different ones, and the job goes
//! on without any of them. An invalid value, such as a run id that is not a number, counts as
//! missing.

use std::path::PathBuf;

use super::env::Env;
use super::event::{CodeOrigin, EventPayload};
use super::files::CommandFiles;
use crate::digest::Digest;
use crate::fs::{Timestamp, files};
use crate::site::stage_files::ends_with_guid;

/// The run that this phase belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowContext {
    /// `GITHUB_WORKSPACE`: where the repository is checked out, as this process sees it.
    pub workspace: Option<PathBuf>,
    /// `GITHUB_REPOSITORY`: `owner/name`.
    pub repository: Option<String>,
    /// `GITHUB_REPOSITORY_OWNER`, else the first half of [`WorkflowContext::repository`].
    pub owner: Option<String>,
    /// `GITHUB_REF`: a full ref, `refs/heads/main`, `refs/tags/v1` or `refs/pull/7/merge`.
    pub git_ref: Option<String>,
    /// `GITHUB_BASE_REF`: the branch that a pull request targets, without `refs/heads/`.
    pub base_ref: Option<String>,
    pub event_name: Option<String>,
    /// `GITHUB_EVENT_PATH`: the file with the event's payload.
    pub event_path: Option<PathBuf>,
    pub run_id: Option<u64>,
    /// `GITHUB_RUN_ATTEMPT`, from 1.
    pub run_attempt: Option<u32>,
    /// `GITHUB_WORKFLOW`: the workflow's name, or its path where it has none.
    pub workflow: Option<String>,
    /// `GITHUB_JOB`: the job's id. The cells of a matrix share it.
    pub job: Option<String>,
    /// `GITHUB_ACTION`: the step's id, or a generated name.
    pub action: Option<String>,
    /// The files through which an action answers.
    pub files: CommandFiles,
    /// What the workflow's token may do with caches.
    pub cache_mode: CacheMode,
    /// Whether the runner shows `::debug::` lines.
    pub debug: bool,
    /// Whether the runner is nektos/act or one of its family (Forgejo, Gitea), whose post phases get
    /// neither the state that main saved nor the defaults of inputs.
    pub forgets_state: bool,
    /// Whether this process was started beside the steps; not from the environment.
    pub beside_steps: bool,
}

/// `ACTIONS_CACHE_MODE`: whether a workflow may restore and save. Its values are those of
/// actions/runner's tests (`HandlerL0.cs`); actions/cache skips restoring for `none` and
/// `write-only`, saving for `none` and `read`, and does both for anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Restore and save: also if the variable is missing or has an unknown value.
    #[default]
    Write,
    Read,
    WriteOnly,
    None,
}

impl CacheMode {
    pub fn parse(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "read" => Self::Read,
            "write-only" => Self::WriteOnly,
            "none" => Self::None,
            _ => Self::Write,
        }
    }

    /// Whether entries may be restored.
    pub fn may_restore(self) -> bool {
        matches!(self, Self::Write | Self::Read)
    }

    /// Whether entries may be saved.
    pub fn may_save(self) -> bool {
        matches!(self, Self::Write | Self::WriteOnly)
    }
}

/// The family of act says so by variables, or names the file for state the same in each stage. The
/// runner of GitHub makes a new file for each stage, with a GUID in its name.
fn forgets_state(env: &Env) -> bool {
    let says_so = ["ACT", "FORGEJO_ACTIONS", "GITEA_ACTIONS"]
        .iter()
        .any(|name| env.flag(name));
    let state = env.text("GITHUB_STATE");
    says_so || state.is_some_and(|path| !ends_with_guid(path))
}

impl WorkflowContext {
    pub fn from_env(env: &Env) -> Self {
        let text = |name: &str| env.text(name).map(str::to_owned);
        let path = |name: &str| env.path(name).map(PathBuf::from);
        let repository = text("GITHUB_REPOSITORY");
        let owner_of = |repository: &String| {
            repository
                .split_once('/')
                .map(|(owner, _)| owner.to_owned())
        };
        Self {
            workspace: path("GITHUB_WORKSPACE"),
            owner: text("GITHUB_REPOSITORY_OWNER")
                .or_else(|| repository.as_ref().and_then(owner_of)),
            repository,
            git_ref: text("GITHUB_REF"),
            base_ref: text("GITHUB_BASE_REF"),
            event_name: text("GITHUB_EVENT_NAME"),
            event_path: path("GITHUB_EVENT_PATH"),
            run_id: env.text("GITHUB_RUN_ID").and_then(|id| id.parse().ok()),
            run_attempt: env
                .text("GITHUB_RUN_ATTEMPT")
                .and_then(|attempt| attempt.parse().ok()),
            workflow: text("GITHUB_WORKFLOW"),
            job: text("GITHUB_JOB"),
            action: text("GITHUB_ACTION"),
            files: CommandFiles::from_env(env),
            cache_mode: env
                .text("ACTIONS_CACHE_MODE")
                .map(CacheMode::parse)
                .unwrap_or_default(),
            debug: env.flag("RUNNER_DEBUG") || env.flag("ACTIONS_STEP_DEBUG"),
            forgets_state: forgets_state(env),
            beside_steps: false,
        }
    }

    /// Identifies the step in its run, for a runner that passes no state between its phases.
    pub(crate) fn step_name(&self) -> String {
        let action = self.action.as_deref().unwrap_or_default();
        let name = format!("{}\n{action}", self.job_run_name());
        Digest::of(name.as_bytes()).to_string()
    }

    /// Where the code of this run comes from; `event` is `None` if the event file could not be
    /// read.
    ///
    /// The answer decides who may write what others read, so an unknown origin must not look like a
    /// branch: an event that concerns a pull request without naming it gives
    /// [`CodeOrigin::Unknown`].
    pub fn origin(&self, event: Option<&EventPayload>) -> CodeOrigin {
        if let Some(source) = event.and_then(|event| event.source.as_ref()) {
            return source.origin();
        }
        let on_pull_request = event.is_some_and(|event| event.is_pull_request_comment)
            || self
                .git_ref
                .as_deref()
                .is_some_and(|git_ref| git_ref.starts_with("refs/pull/"));
        let may_concern_one = match self.event_name.as_deref() {
            None | Some("issue_comment") => event.is_none(),
            Some(name) => name.starts_with("pull_request") || name == "workflow_run",
        };
        if on_pull_request || may_concern_one {
            CodeOrigin::Unknown
        } else {
            CodeOrigin::Branch
        }
    }

    /// Identifies the run of the job; empty without a run id. The cells of a matrix have the same
    /// variables, but the runner writes a new event file for each job, so its mtime differs.
    pub(crate) fn job_run_name(&self) -> String {
        let Some(id) = self.run_id else {
            return String::new();
        };
        let attempt = self.run_attempt.unwrap_or_default();
        let [repository, job] =
            [&self.repository, &self.job].map(|name| name.as_deref().unwrap_or_default());
        let event = self
            .event_path
            .as_deref()
            .and_then(|path| files::mtime(path).ok().flatten());
        let Timestamp {
            seconds,
            nanoseconds,
        } = event.unwrap_or_default();
        format!("{repository} {id} {attempt} {job} {seconds}.{nanoseconds}")
    }

    /// The repository in lower case, because GitHub's names ignore case; empty if it is unknown.
    pub(crate) fn repository_id(&self) -> String {
        let name = self.repository.as_deref().unwrap_or_default();
        name.to_ascii_lowercase()
    }

    /// The target branch of a pull request or a merge group, without `refs/heads/`.
    pub fn base_branch<'a>(&'a self, event: Option<&'a EventPayload>) -> Option<&'a str> {
        self.base_ref
            .as_deref()
            .or_else(|| event.and_then(|event| event.base_ref.as_deref()))
    }
}
