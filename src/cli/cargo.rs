//! `local-cache cargo restore` and `local-cache cargo save`: the action's Cargo caches on the
//! command line.

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

use super::cargo_output;
use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::restore::LookupArgs;
use crate::action::{self, inputs};
use crate::fs::Local;
use crate::job::{
    CargoTarget, Housekeeping, Job, JobReply, JobTarget, RestoreTask, SaveTask, Task,
    WorkspaceLine, run_job,
};
use crate::ops::save::{IfExists, SaveOptions};
use crate::store::CacheScope;

/// Restore or save the registry, git dependencies and target directories of a Cargo project
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  local-cache cargo restore\n  cargo build\n  local-cache cargo save"
)]
pub(super) struct CargoArgs {
    #[command(subcommand)]
    command: CargoCommand,
}

#[derive(Debug, Subcommand)]
enum CargoCommand {
    /// Restore the best match for each cache of the project by its computed key
    #[command(
        after_help = "Example:\n  local-cache cargo restore --workspace app --workspace '../other -> ../build'"
    )]
    Restore(CargoRestoreArgs),
    /// Save what changed since the restore
    #[command(after_help = "Example:\n  local-cache cargo save")]
    Save(CargoSaveArgs),
}

#[derive(Debug, Args)]
struct CargoRestoreArgs {
    #[command(flatten)]
    workspaces: CargoWorkspaces,
    /// Keep files in target directories that the entry does not contain
    #[arg(long)]
    no_mirror: bool,
    #[command(flatten)]
    lookup: LookupArgs,
}

#[derive(Debug, Args)]
struct CargoSaveArgs {
    #[command(flatten)]
    workspaces: CargoWorkspaces,
    /// Move the target directories into the store after saving, so that a restore can rename them
    /// back
    #[arg(long = "move")]
    keep_ready: bool,
}

#[derive(Debug, Args)]
struct CargoWorkspaces {
    /// Directory of a Cargo workspace, followed by ` -> TARGET` if its target directory is
    /// elsewhere; can be given several times [default: current directory]
    #[arg(long = "workspace", value_name = "DIR")]
    workspaces: Vec<String>,
}

pub(super) fn cargo(context: &mut CommandContext<'_>, args: &CargoArgs) -> Result<Exit> {
    match &args.command {
        CargoCommand::Restore(args) => {
            let task = RestoreTask {
                read: vec![CacheScope::default()],
                options: args.lookup.restore_options(!args.no_mirror),
                record_as: None,
            };
            let reply = run(context, &args.workspaces, Task::Restore(task))?;
            let is_miss = reply.caches.iter().all(|cache| cache.found.is_none());
            Ok(args.lookup.exit(is_miss))
        }
        CargoCommand::Save(args) => {
            // A restore on the command line leaves no record for the save, so the keys are computed
            // from the current state of the project and entries with the same key are replaced.
            let task = SaveTask {
                options: SaveOptions {
                    if_exists: IfExists::ReplaceIfChanged,
                    keep_ready: args.keep_ready,
                    ..SaveOptions::default()
                },
                ..SaveTask::default()
            };
            run(context, &args.workspaces, Task::Save(task))?;
            Ok(Exit::Done)
        }
    }
}

/// Runs a job on the caches of the workspaces and prints its outcome.
fn run(
    context: &mut CommandContext<'_>,
    workspaces: &CargoWorkspaces,
    task: Task,
) -> Result<JobReply> {
    let job = job(context, workspaces, task)?;
    let reply = run_job(&job, &Local::new(context.home()), context.monitor);
    for warning in &reply.warnings {
        context.monitor.warn(warning);
    }
    let (text, json) = cargo_output::render(&reply);
    context.print(&text, &json)?;
    check(&reply)?;
    Ok(reply)
}

fn job(context: &CommandContext<'_>, workspaces: &CargoWorkspaces, task: Task) -> Result<Job> {
    let env = context.env;
    let mut cargo = CargoTarget {
        workspaces: workspace_lines(context, &workspaces.workspaces)?,
        job: env.text("GITHUB_JOB").unwrap_or_default().to_owned(),
        run: action::WorkflowContext::from_env(env).job_run_name(),
        only_projects: true,
        ..CargoTarget::default()
    };
    cargo.add_env(env.iter(), true);
    Ok(Job {
        cache_root: context.cache_root.to_owned(),
        workspace: context.checkout().to_owned(),
        target: JobTarget::Cargo(Box::new(cargo)),
        task,
        housekeeping: Housekeeping::default(),
    })
}

/// Parses the workspaces like the input `workspaces` of the action, but relative to the current
/// directory.
fn workspace_lines(context: &CommandContext<'_>, lines: &[String]) -> Result<Vec<WorkspaceLine>> {
    let text = if lines.is_empty() {
        ".".to_owned()
    } else {
        lines.join("\n")
    };
    let lines = inputs::workspaces(&text)
        .ok_or_else(|| usage_error("--workspace takes `DIR` or `DIR -> TARGET`"))?;
    let directory = &context.base.working_directory;
    let absolute = |line: WorkspaceLine| WorkspaceLine {
        root: directory.join(line.root).display().to_string(),
        ..line
    };
    Ok(lines.into_iter().map(absolute).collect())
}

/// Fails if the job or any of its caches failed.
fn check(reply: &JobReply) -> Result<()> {
    if let Some(error) = &reply.error {
        return Err(anyhow!(error.clone()));
    }
    if reply.caches.is_empty() {
        bail!(
            "there is neither a Cargo.toml nor a Cargo.lock; name a Cargo project with --workspace"
        );
    }
    let errors: Vec<&str> = reply
        .caches
        .iter()
        .filter_map(|cache| cache.error.as_deref())
        .collect();
    if !errors.is_empty() {
        bail!(errors.join("; "));
    }
    Ok(())
}
