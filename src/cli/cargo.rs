//! `local-cache cargo`: the action's Cargo caches on the command line.

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

use super::cargo_output;
use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::record;
use super::restore::LookupArgs;
use super::scope::ScopeArgs;
use super::second_tier::{CommandTier, SecondTierArgs};
use super::values::{parse_freshness, parse_ready_limit};
use super::why;
use crate::action::{WorkflowContext, inputs};
use crate::cargo::freshness::mode::FreshnessMode;
use crate::fmt::human::plural;
use crate::fs::Local;
use crate::job::{
    CargoTarget, Housekeeping, Job, JobReply, JobTarget, RestoreTask, SaveTask, StaleUnit, Task,
    WorkspaceLine, last_restore, run_job_with,
};
use crate::ops::save::{IfExists, SaveOptions};
use crate::stats::event::{Event, Phase};
use crate::store::ready_limit::ReadyLimit;

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
        after_help = "Examples:\n  local-cache cargo restore --workspace app --workspace '../other -> ../build'\n  local-cache cargo restore --repository acme/app --ref main --job build"
    )]
    Restore(CargoRestoreArgs),
    /// Save what changed since the restore
    #[command(
        after_help = "Examples:\n  local-cache cargo save\n  local-cache cargo save --keep-output dist --keep-output 'doc/**/*.html'"
    )]
    Save(CargoSaveArgs),
    /// Show which units were fresh in the last restore, and which input decided about the others
    #[command(after_help = "Examples:\n  local-cache cargo why\n  local-cache cargo why api")]
    Why(CargoWhyArgs),
}

#[derive(Debug, Args)]
struct CargoRestoreArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Keep files in target directories that the entry does not contain
    #[arg(long)]
    no_mirror: bool,
    #[command(flatten)]
    lookup: LookupArgs,
}

#[derive(Debug, Args)]
struct CargoSaveArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Move the target directories into the store after saving, so that a restore can rename them
    /// back
    #[arg(long = "move")]
    keep_ready: bool,
    /// How many copies that were moved there stay for each target directory: auto (as many as jobs
    /// used at once) or a number; 0 keeps none and removes those that exist
    #[arg(long = "ready-copies", value_name = "COUNT", default_value = "auto", value_parser = parse_ready_limit)]
    ready_limit: ReadyLimit,
    /// Exit with code 1 if a crate may have been built from other sources
    #[arg(long)]
    fail_on_stale: bool,
    /// Save also what matches a pattern in the target directories, although cargo cannot use it;
    /// can be given several times
    #[arg(long = "keep-output", value_name = "PATTERN")]
    keep_outputs: Vec<String>,
}

#[derive(Debug, Args)]
struct CargoWhyArgs {
    /// Show only the units of this package
    package: Option<String>,
    #[command(flatten)]
    workspaces: WorkspaceArgs,
}

#[derive(Debug, Args)]
struct WorkspaceArgs {
    /// Directory of a Cargo workspace, followed by ` -> TARGET` if its target directory is
    /// elsewhere; can be given several times [default: current directory]
    #[arg(long = "workspace", value_name = "DIR")]
    workspaces: Vec<String>,
}

#[derive(Debug, Args)]
struct ProjectArgs {
    #[command(flatten)]
    workspaces: WorkspaceArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Use the target directories of this job, by its ID in the workflow [default in a job: its
    /// own]
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Which crates of the workspace are not compiled again: safe (nothing that a build may read
    /// has changed), cargo (nothing that cargo tracks has changed) or off (none)
    #[arg(long, value_name = "MODE", default_value = "safe", value_parser = parse_freshness)]
    freshness: FreshnessMode,
    #[command(flatten)]
    remote: SecondTierArgs,
}

pub(super) fn cargo(context: &mut CommandContext<'_>, args: &CargoArgs) -> Result<Exit> {
    match &args.command {
        CargoCommand::Restore(args) => {
            let scopes = args.project.scope.resolve(context)?;
            let task = RestoreTask {
                read: scopes.read,
                options: args.lookup.restore_options(!args.no_mirror),
                hints_at_all_scopes: true,
                ..RestoreTask::default()
            };
            let cargo = project_target(context, &args.project, &scopes.workflow)?;
            let run = record::run(context, &scopes.workflow);
            let event = (!args.lookup.lookup_only).then(|| Event::now(Phase::Main, run));
            let job = recorded(job(context, cargo, Task::Restore(task)), event);
            let tier = CommandTier::of(context, &args.project.remote)?;
            let reply = run_job_here(context, &job, tier.as_ref())?;
            let is_miss = reply.caches.iter().all(|cache| cache.found.is_none());
            Ok(args.lookup.exit(is_miss))
        }
        CargoCommand::Why(args) => {
            let workflow = WorkflowContext::from_env(context.env);
            let cargo = cargo_target(context, &args.workspaces, &workflow)?;
            let job = job(context, cargo, Task::Restore(RestoreTask::default()));
            let targets = last_restore(&job, &Local::new(context.home()), context.monitor)?;
            if targets.is_empty() {
                return Err(no_project());
            }
            let targets = why::select(targets, args.package.as_deref())?;
            let (text, json) = why::render(&targets);
            context.print(&text, &json)?;
            Ok(Exit::Done)
        }
        CargoCommand::Save(args) => {
            // A restore on the command line leaves no record for the save, so the keys are computed
            // from the current state of the project and entries with the same key are replaced.
            let scopes = args.project.scope.resolve(context)?;
            let task = SaveTask {
                write: scopes.write,
                options: SaveOptions {
                    if_exists: IfExists::ReplaceIfChanged,
                    keep_ready: args.keep_ready,
                    ready_limit: args.ready_limit,
                    ..SaveOptions::default()
                },
                ..SaveTask::default()
            };
            let cargo = CargoTarget {
                keep_outputs: args.keep_outputs.clone(),
                ..project_target(context, &args.project, &scopes.workflow)?
            };
            let run = record::run(context, &scopes.workflow);
            let event = Event::now(Phase::Post, run);
            let job = recorded(job(context, cargo, Task::Save(task)), Some(event));
            let tier = CommandTier::of(context, &args.project.remote)?;
            let reply = run_job_here(context, &job, tier.as_ref())?;
            if args.fail_on_stale {
                check_stale(&reply.stale)?;
            }
            Ok(Exit::Done)
        }
    }
}

/// The job with the event that it records.
fn recorded(job: Job, event: Option<Event>) -> Job {
    Job {
        housekeeping: Housekeeping {
            event,
            ..Housekeeping::default()
        },
        ..job
    }
}

/// Runs a job on the caches of the workspaces and prints its outcome.
fn run_job_here(
    context: &mut CommandContext<'_>,
    job: &Job,
    tier: Option<&CommandTier>,
) -> Result<JobReply> {
    let second_tier = tier.map(CommandTier::second_tier);
    let namespace = Local::new(context.home());
    let reply = run_job_with(job, &namespace, context.monitor, second_tier);
    for warning in &reply.warnings {
        context.monitor.warn(warning);
    }
    for warning in &reply.stale {
        context.monitor.warn(&warning.to_string());
    }
    let mut rendered = cargo_output::render(&reply);
    if let Some(tier) = tier {
        tier.report(&mut rendered);
    }
    context.print(&rendered.0, &rendered.1)?;
    check(&reply)?;
    Ok(reply)
}

fn job(context: &CommandContext<'_>, cargo: CargoTarget, task: Task) -> Job {
    Job {
        cache_root: context.cache_root.to_owned(),
        workspace: context.checkout().to_owned(),
        target: JobTarget::Cargo(Box::new(cargo)),
        task,
        housekeeping: Housekeeping::default(),
    }
}

fn project_target(
    context: &CommandContext<'_>,
    args: &ProjectArgs,
    workflow: &WorkflowContext,
) -> Result<CargoTarget> {
    let mut cargo = cargo_target(context, &args.workspaces, workflow)?;
    cargo.freshness = args.freshness;
    if let Some(job) = &args.job {
        cargo.job.clone_from(job);
    }
    Ok(cargo)
}

fn cargo_target(
    context: &CommandContext<'_>,
    args: &WorkspaceArgs,
    workflow: &WorkflowContext,
) -> Result<CargoTarget> {
    let env = context.env;
    let mut cargo = CargoTarget {
        workspaces: workspace_lines(context, &args.workspaces)?,
        job: env.text("GITHUB_JOB").unwrap_or_default().to_owned(),
        repository: repository_id(context, workflow),
        run: workflow.job_run_name(),
        only_projects: true,
        ..CargoTarget::default()
    };
    cargo.add_env(env.iter(), true);
    Ok(cargo)
}

/// The repository that a target directory belongs to. Two projects can have the same checkout on a
/// machine, one after the other, and one must not get the target directory of the other.
fn repository_id(context: &CommandContext<'_>, workflow: &WorkflowContext) -> String {
    match workflow.repository_id() {
        name if name.is_empty() => record::project_name(context).unwrap_or_default(),
        name => name,
    }
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

fn no_project() -> anyhow::Error {
    anyhow!("there is neither a Cargo.toml nor a Cargo.lock; name a Cargo project with --workspace")
}

/// Fails if the job or any of its caches failed.
fn check(reply: &JobReply) -> Result<()> {
    if let Some(error) = &reply.error {
        return Err(anyhow!(error.clone()));
    }
    if reply.caches.is_empty() {
        return Err(no_project());
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

/// Fails if there are stale units; warnings name them.
fn check_stale(stale: &[StaleUnit]) -> Result<()> {
    if stale.is_empty() {
        return Ok(());
    }
    let crates = plural(stale.len() as u64, "crate", "crates");
    bail!("{crates} may be stale, and --fail-on-stale is set");
}

#[cfg(test)]
mod tests {
    use super::super::failure::exit_code;
    use super::*;

    #[test]
    fn stale_crates_are_a_failure_and_none_are_not() {
        let stale = vec![StaleUnit::default(); 2];
        let error = check_stale(&stale).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 crates may be stale, and --fail-on-stale is set"
        );
        assert_eq!(exit_code(&error), Exit::Failed);
        assert!(check_stale(&[]).is_ok());
    }
}
