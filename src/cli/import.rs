//! `import`: what rsync workflows kept, taken over or removed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::commands::CommandContext;
use super::show::one_line;
use super::{Exit, Failure};
use crate::action::Env;
use crate::fmt::human::{bytes, plural};
use crate::fmt::table::Table;
use crate::fs::Local;
use crate::fs::files;
use crate::job::{
    CargoTarget, Housekeeping, Job, JobTarget, RestoreTask, SaveReply, Task, import as import_cache,
};
use crate::ops::import::{self, LegacyCache};
use crate::store::CacheScope;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Only show what is there, with sizes
    #[arg(long)]
    dry_run: bool,
    /// Remove the directories instead of taking them over
    #[arg(long, conflicts_with = "dry_run")]
    remove: bool,
    /// Repository that the entries are for; by default the one that the directories' path names
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Branch that the entries are for: all branches fall back to those of the default branch
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// Job whose target directories they are to stand in for, by its id in the workflow; may be
    /// given several times
    #[arg(long = "job", value_name = "ID")]
    jobs: Vec<String>,
    /// The Cargo project whose keys they are to stand in for; the current directory if not given
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

pub(super) fn import(
    context: &mut CommandContext<'_>,
    args: &ImportArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let root = context
        .base
        .working_directory
        .join(&context.common.cache_root);
    let sized = find_sized(&root, args.repository.as_deref())?;
    // The sizes come first, whatever follows.
    if !context.common.json {
        write!(context.out, "{}", table(&sized))?;
    }
    let done = if args.dry_run || sized.is_empty() {
        Vec::new()
    } else if args.remove {
        sized
            .iter()
            .try_for_each(|(foreign, _)| import::remove(&root, foreign))?;
        Vec::new()
    } else {
        take_over(context, args, env, &sized)?
    };
    let total = sized.iter().map(|(_, size)| size).sum();
    let count = plural(sized.len() as u64, "directory", "directories");
    let verdict = match (args.dry_run, args.remove) {
        _ if sized.is_empty() => "✅ there is nothing of rsync workflows here\n".to_owned(),
        (true, _) => format!("🔍 {count}, {}; nothing was changed\n", bytes(total)),
        (_, true) => format!("🧹 removed {count}, {} given back\n", bytes(total)),
        _ => format!(
            "💾 {} saved from {count}; `local-cache import --remove` removes the directories\n",
            plural(
                done.iter().filter(|done| done["saved"] == true).count() as u64,
                "entry",
                "entries"
            )
        ),
    };
    let directories: Vec<Value> = sized
        .iter()
        .map(|(foreign, size)| {
            json!({
                "path": foreign.path.display().to_string(), "repository": foreign.repository,
                "holds": foreign.kind.directory(), "key": foreign.key, "bytes": size,
            })
        })
        .collect();
    let json = json!({
        "dry-run": args.dry_run, "removed": args.remove, "directories": directories, "bytes": total, "entries": done,
    });
    context.print(&verdict, &json)?;
    Ok(Exit::Done)
}

/// The directories of a repository, or of all, with their sizes. The newest comes last: it is taken
/// over last, and so found first.
fn find_sized(root: &Path, repository: Option<&str>) -> Result<Vec<(LegacyCache, u64)>, Failure> {
    let is_meant = |foreign: &LegacyCache| {
        let other = &foreign.repository;
        repository.is_none_or(|wanted| other.is_empty() || other.eq_ignore_ascii_case(wanted))
    };
    let mut sized = Vec::new();
    for foreign in import::find(root)?.into_iter().filter(is_meant) {
        let size = import::size(&foreign)?;
        let modified = files::mtime(&foreign.path)?.unwrap_or_default();
        sized.push((modified, foreign, size));
    }
    sized.sort();
    Ok(sized
        .into_iter()
        .map(|(_, foreign, size)| (foreign, size))
        .collect())
}

fn table(sized: &[(LegacyCache, u64)]) -> String {
    let mut table = Table::new(["repository", "holds", "size", "key"]).align_right([2]);
    for (foreign, size) in sized {
        let repository = if foreign.repository.is_empty() {
            "-"
        } else {
            &foreign.repository
        };
        table.add_row([
            one_line(repository),
            foreign.kind.directory().to_owned(),
            bytes(*size),
            one_line(&foreign.key),
        ]);
    }
    if table.is_empty() {
        String::new()
    } else {
        format!("{table}\n")
    }
}

fn take_over(
    context: &mut CommandContext<'_>,
    args: &ImportArgs,
    env: &Env,
    sized: &[(LegacyCache, u64)],
) -> Result<Vec<Value>, Failure> {
    let directory = &context.base.working_directory;
    let workspace = args
        .workspace
        .as_ref()
        .map_or_else(|| directory.clone(), |path| directory.join(path));
    let jobs = jobs(context, args, env, &workspace);
    let home = Some(context.base.home.as_path()).filter(|home| home.is_absolute());
    let mut done = Vec::new();
    for (foreign, _) in sized {
        let scope = args
            .repository
            .as_deref()
            .unwrap_or(&foreign.repository)
            .to_ascii_lowercase();
        if !scope.contains('/') {
            return Err(Failure::Usage(format!(
                "nothing says whose {} is; name the repository with --repository OWNER/NAME",
                foreign.path.display()
            )));
        }
        let scope = CacheScope::branch(scope, &args.branch);
        let mut caches = Vec::new();
        for job in &jobs {
            caches.extend(import_cache(
                job,
                foreign,
                &scope,
                &Local::new(home.map(Path::to_owned)),
                context.monitor,
            )?);
        }
        if caches.is_empty() {
            return Err(Failure::Other(format!(
                "{} can't be taken over: nothing in it is of a Cargo project in {}; name the project with --workspace, \
                 or remove the directory",
                foreign.path.display(),
                workspace.display()
            )));
        }
        for cache in caches {
            let saved = matches!(cache.saved, Some(SaveReply::Done { .. }));
            done.push(json!({ "cache": cache.name, "kind": cache.kind, "key": cache.key, "saved": saved }));
        }
    }
    Ok(done)
}

/// The jobs that the entries are to stand in for. A job's id is a part of the keys of target
/// directories, so each needs entries of its own.
fn jobs(context: &CommandContext<'_>, args: &ImportArgs, env: &Env, workspace: &Path) -> Vec<Job> {
    let ids = if args.jobs.is_empty() {
        vec![env.text("GITHUB_JOB").unwrap_or_default().to_owned()]
    } else {
        args.jobs.clone()
    };
    let job = |id| {
        let mut cargo = CargoTarget {
            job: id,
            only_projects: true,
            ..CargoTarget::default()
        };
        cargo.add_env(env.iter(), true);
        Job {
            cache_root: context
                .base
                .working_directory
                .join(&context.common.cache_root),
            workspace: workspace.to_owned(),
            target: JobTarget::Cargo(Box::new(cargo)),
            task: Task::Restore(RestoreTask::default()),
            housekeeping: Housekeeping::default(),
        }
    };
    ids.into_iter().map(job).collect()
}
