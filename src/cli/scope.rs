//! Whose entries a command reads and writes.
//!
//! In a job these are the entries that the action itself would use there, and the options select
//! those of another job. Otherwise they are the entries of the command line, which belong to no
//! repository.

use anyhow::{Result, bail};
use clap::Args;

use super::context::CommandContext;
use super::failure::usage_error;
use crate::action::access::{self, Access};
use crate::action::files::read_event;
use crate::action::{ActionKind, Env, Inputs, WorkflowContext};
use crate::stats::event::Run;
use crate::store::CacheScope;

#[derive(Clone, Debug, Default, Args)]
pub(super) struct ScopeArgs {
    /// Use the entries of this repository (`OWNER/NAME`), as its jobs do, or those that an owner
    /// shares (`OWNER`) or this machine (`-`) [default in a job: its repository]
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Use the entries of this branch, tag or pull request, such as `main`, `refs/tags/v1` or
    /// `pull/7` [default in a job: its ref]
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
}

/// Where a command looks for entries and where it saves them.
pub(super) struct JobScopes {
    pub(super) read: Vec<CacheScope>,
    pub(super) write: CacheScope,
    pub(super) workflow: WorkflowContext,
}

impl ScopeArgs {
    pub(super) fn resolve(&self, context: &CommandContext<'_>) -> Result<JobScopes> {
        let mut workflow = WorkflowContext::from_env(context.env);
        if let Some(name) = &self.repository {
            let owner = name.split_once('/').map_or(&**name, |(owner, _)| owner);
            workflow.owner = Some(owner.to_owned());
            workflow.repository = Some(name.clone());
        }
        if let Some(name) = &self.git_ref {
            workflow.git_ref = Some(full_ref(name));
            // The base branch belongs to the ref of the job.
            workflow.base_ref = None;
        }
        if workflow.repository.is_none() || (workflow.git_ref.is_none() && !self.is_given()) {
            if self.is_given() {
                return Err(usage_error("--ref needs --repository outside a job"));
            }
            return Ok(JobScopes {
                read: vec![CacheScope::default()],
                write: CacheScope::default(),
                workflow,
            });
        }
        if workflow.git_ref.is_none() {
            return Err(usage_error(
                "--repository needs --ref outside a job, such as --ref main",
            ));
        }
        let Access { read, write } = self.access(&workflow)?;
        Ok(JobScopes {
            read,
            write,
            workflow,
        })
    }

    fn is_given(&self) -> bool {
        self.repository.is_some() || self.git_ref.is_some()
    }

    /// The decision of the action, with the defaults of its inputs.
    fn access(&self, workflow: &WorkflowContext) -> Result<Access> {
        let scope = match &self.repository {
            Some(name) if name == "-" => "runner",
            Some(name) if !name.contains('/') => "owner",
            _ => "repository",
        };
        let defaults = Env::default().with_input("scope", scope);
        let inputs = match Inputs::parse(&defaults, ActionKind::Cache) {
            Ok(inputs) => inputs,
            Err(errors) => bail!("{errors}"),
        };
        let mut workflow = workflow.clone();
        let event = read_event(workflow.event_path.as_deref()).ok();
        if self.is_given() || workflow.event_name.is_none() {
            // Who types a command here may write what the command names.
            workflow.event_name = Some("command line".to_owned());
        }
        access::decide(&inputs, &workflow, event.as_ref())
            .map_err(|refusal| usage_error(refusal.to_string()))
    }
}

/// `main`, `pull/7` or a full ref.
fn full_ref(name: &str) -> String {
    let number = name
        .strip_prefix("pull/")
        .map(|rest| rest.trim_end_matches("/merge"));
    match number {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("refs/pull/{number}/merge")
        }
        _ if name.starts_with("refs/") => name.to_owned(),
        _ => format!("refs/heads/{name}"),
    }
}

/// The run of a command for the journal: that of the job it runs in, if it does.
pub(super) fn run_of(workflow: &WorkflowContext, project: &str) -> Run {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let repository = match &workflow.repository {
        Some(name) if name != "-" => name.clone(),
        _ => project.to_owned(),
    };
    Run {
        repository,
        workflow: text(&workflow.workflow),
        job: text(&workflow.job),
        step: "command line".to_owned(),
        git_ref: text(&workflow.git_ref),
        run_id: workflow.run_id.unwrap_or_default(),
        attempt: workflow.run_attempt.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_written_as_people_write_them() {
        let cases = [
            ("main", "refs/heads/main"),
            ("refs/tags/v1", "refs/tags/v1"),
            ("pull/7", "refs/pull/7/merge"),
            ("pull/7/merge", "refs/pull/7/merge"),
            ("pull/up", "refs/heads/pull/up"),
        ];
        for (name, full) in cases {
            assert_eq!(full_ref(name), full);
        }
    }
}
