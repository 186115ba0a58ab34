//! Reads the event file, whatever its shape.
//!
//! The file is GitHub's webhook payload, hand-written under act, or missing. Each value is read on
//! its own: one that is missing or of another type is `None` and does not affect the others.

use serde_json::Value;
use thiserror::Error;

/// The values of the payload that decide about access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPayload {
    /// The repository's default branch, without `refs/heads/`.
    pub default_branch: Option<String>,
    /// The target branch of a pull request or a merge group, without `refs/heads/`.
    pub base_ref: Option<String>,
    /// Where the code comes from: a pull request, or the run that triggered this one
    /// (`workflow_run`).
    pub source: Option<CodeSource>,
    /// A comment on a pull request: such runs often check out its head, and the payload does not
    /// say where that comes from.
    pub is_pull_request_comment: bool,
}

/// The two repositories of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeSource {
    /// The number of the pull request, if the payload has it.
    pub pull_request: Option<u64>,
    /// `owner/name` of the repository that the code comes from; `None` if it was deleted.
    pub head_repository: Option<String>,
    /// `owner/name` of the target repository.
    pub base_repository: Option<String>,
}

/// Whose code a run may be running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// No pull request: the code is in the repository already.
    Branch,
    /// A pull request from a branch of the same repository: its author may push there.
    SameRepository,
    /// A pull request from another repository, or from one that is gone.
    Fork,
    /// The run concerns a pull request, or may, and nothing tells which.
    Unknown,
}

impl CodeOrigin {
    /// Whether the run is one of a branch. Others may concern a pull request.
    pub fn is_branch(self) -> bool {
        self == Self::Branch
    }

    /// Whether runs of branches may read what the run writes.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Branch | Self::SameRepository)
    }
}

/// An event file that can't be used.
#[derive(Debug, Error)]
pub enum EventError {
    /// The variable is not set.
    #[error(
        "GITHUB_EVENT_PATH is not set, so pull requests cannot be distinguished; each run is isolated"
    )]
    Unset,
    /// The file can't be read.
    #[error("read event file {}: {source}; pull requests are isolated", path.display())]
    Read {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("the event file is not JSON: {0}; pull requests are isolated")]
    Parse(#[from] serde_json::Error),
}

impl EventPayload {
    /// Reads a payload. JSON of any shape is accepted, even a bare number.
    pub fn parse(payload: &[u8]) -> Result<Self, EventError> {
        let payload: Value = serde_json::from_slice(payload)?;
        Ok(Self {
            default_branch: text(&payload, "/repository/default_branch"),
            base_ref: text(&payload, "/pull_request/base/ref")
                .or_else(|| text(&payload, "/merge_group/base_ref"))
                .map(|name| name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()),
            source: pull_request_source(&payload).or_else(|| workflow_run_source(&payload)),
            is_pull_request_comment: payload
                .pointer("/issue/pull_request")
                .is_some_and(|v| !v.is_null()),
        })
    }
}

impl CodeSource {
    /// Compares the two repositories; names on GitHub ignore case.
    pub fn origin(&self) -> CodeOrigin {
        match (&self.head_repository, &self.base_repository) {
            (Some(head), Some(base)) if head.eq_ignore_ascii_case(base) => {
                CodeOrigin::SameRepository
            }
            (Some(_), None) => CodeOrigin::Unknown,
            (Some(_) | None, _) => CodeOrigin::Fork,
        }
    }
}

fn pull_request_source(payload: &Value) -> Option<CodeSource> {
    payload
        .get("pull_request")
        .filter(|value| !value.is_null())?;
    Some(CodeSource {
        pull_request: number(payload, "/pull_request/number")
            .or_else(|| number(payload, "/number")),
        head_repository: text(payload, "/pull_request/head/repo/full_name"),
        base_repository: text(payload, "/pull_request/base/repo/full_name")
            .or_else(|| text(payload, "/repository/full_name")),
    })
}

/// A `workflow_run` runs on the default branch, often to use what a pull request's workflow made.
fn workflow_run_source(payload: &Value) -> Option<CodeSource> {
    payload
        .get("workflow_run")
        .filter(|value| !value.is_null())?;
    Some(CodeSource {
        pull_request: number(payload, "/workflow_run/pull_requests/0/number"),
        head_repository: text(payload, "/workflow_run/head_repository/full_name"),
        base_repository: text(payload, "/workflow_run/repository/full_name")
            .or_else(|| text(payload, "/repository/full_name")),
    })
}

fn text(payload: &Value, pointer: &str) -> Option<String> {
    payload
        .pointer(pointer)?
        .as_str()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn number(payload: &Value, pointer: &str) -> Option<u64> {
    payload.pointer(pointer)?.as_u64()
}
