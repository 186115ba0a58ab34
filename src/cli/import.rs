//! `local-cache import`: imports or removes the directories of rsync workflows.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::text::one_line;
use crate::fmt::human::{bytes, plural};
use crate::fmt::table::Table;
use crate::fs::Local;
use crate::fs::files;
use crate::job::{
    CacheReply, CargoTarget, Housekeeping, Job, JobTarget, RestoreTask, SaveReply, Task,
    import as import_cache,
};
use crate::ops::import::{self, LegacyCache};
use crate::store::CacheScope;

/// Import or remove the caches of rsync workflows in the cache root (`cargo/<key>`, `target/<key>`)
#[derive(Debug, Args)]
#[command(
    after_help = "An imported cache becomes an entry that a restore finds as a prefix match. The directories stay until you remove them.\n\nExamples:\n  local-cache import --dry-run\n  local-cache import --repository acme/widget --workspace ~/src/widget --job build --job test\n  local-cache import --remove"
)]
pub(super) struct ImportArgs {
    /// Show the directories and their sizes, but change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove the directories instead of importing them
    #[arg(long, conflicts_with = "dry_run")]
    remove: bool,
    /// Repository of the entries [default: the repository that the path of a directory names]
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Branch of the entries; all branches can restore entries of the default branch
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// ID of the job that restores the target directories; can be given several times
    #[arg(long = "job", value_name = "ID")]
    jobs: Vec<String>,
    /// The Cargo project to compute keys for, in the checkout of the runner: a target directory
    /// belongs to its checkout [default: current directory]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

/// A directory of an rsync workflow, and the bytes in it.
struct SizedCache {
    cache: LegacyCache,
    bytes: u64,
}

pub(super) fn import(context: &mut CommandContext<'_>, args: &ImportArgs) -> Result<Exit> {
    let root = context.cache_root;
    let found = find_sized(root, args.repository.as_deref())?;
    // Before the work, so that the table is there even if the import fails.
    if !context.json {
        context.print_text(&table(&found))?;
    }
    let entries = import_or_remove(context, args, root, &found)?;
    let directories: Vec<Value> = found.iter().map(directory_json).collect();
    let json = json!({
        "dry-run": args.dry_run,
        "removed": args.remove,
        "directories": directories,
        "bytes": total_bytes(&found),
        "entries": entries.iter().map(entry_json).collect::<Vec<_>>(),
    });
    context.print(&conclusion(args, &found, &entries), &json)?;
    Ok(Exit::Done)
}

fn import_or_remove(
    context: &CommandContext<'_>,
    args: &ImportArgs,
    root: &Path,
    found: &[SizedCache],
) -> Result<Vec<CacheReply>> {
    if args.dry_run || found.is_empty() {
        return Ok(Vec::new());
    }
    if !args.remove {
        return import_all(context, args, found);
    }
    for sized in found {
        import::remove(root, &sized.cache)?;
    }
    Ok(Vec::new())
}

/// The directories of one repository, or of all. The newest comes last, so that it becomes the
/// newest entry, which a restore prefers.
fn find_sized(root: &Path, repository: Option<&str>) -> Result<Vec<SizedCache>> {
    let matches = |cache: &LegacyCache| {
        let own = &cache.repository;
        repository.is_none_or(|wanted| own.is_empty() || own.eq_ignore_ascii_case(wanted))
    };
    let mut found = Vec::new();
    for cache in import::find(root)?.into_iter().filter(matches) {
        let bytes = import::size(&cache)?;
        let mtime = files::mtime(&cache.path)?.unwrap_or_default();
        found.push((mtime, cache, bytes));
    }
    found.sort();
    Ok(found
        .into_iter()
        .map(|(_, cache, bytes)| SizedCache { cache, bytes })
        .collect())
}

/// Imports each directory once per job.
fn import_all(
    context: &CommandContext<'_>,
    args: &ImportArgs,
    found: &[SizedCache],
) -> Result<Vec<CacheReply>> {
    let workspace = workspace(context, args);
    let jobs = jobs(context, args, &workspace);
    let mut entries = Vec::new();
    for SizedCache { cache, .. } in found {
        let scope = scope(args, cache)?;
        let before = entries.len();
        for job in &jobs {
            let ground = Local::new(context.home());
            entries.extend(import_cache(job, cache, &scope, &ground, context.monitor)?);
        }
        if entries.len() == before {
            bail!(
                "cannot import {}: it contains nothing of the Cargo project in {}; \
                 name the project with --workspace, or remove the directory",
                cache.path.display(),
                workspace.display()
            );
        }
    }
    Ok(entries)
}

fn workspace(context: &CommandContext<'_>, args: &ImportArgs) -> PathBuf {
    let directory = &context.base.working_directory;
    args.workspace
        .as_ref()
        .map_or_else(|| directory.clone(), |path| directory.join(path))
}

/// The repository and the branch of the entries.
fn scope(args: &ImportArgs, cache: &LegacyCache) -> Result<CacheScope> {
    let repository = args
        .repository
        .as_deref()
        .unwrap_or(&cache.repository)
        .to_ascii_lowercase();
    if !repository.contains('/') {
        return Err(usage_error(format!(
            "cannot tell which repository {} belongs to; name it with --repository OWNER/NAME",
            cache.path.display()
        )));
    }
    Ok(CacheScope::new(
        repository,
        format!("refs/heads/{}", args.branch),
    ))
}

/// One request per job: the keys of target directories contain the ID of the job.
fn jobs(context: &CommandContext<'_>, args: &ImportArgs, workspace: &Path) -> Vec<Job> {
    let ids = if args.jobs.is_empty() {
        vec![
            context
                .env
                .text("GITHUB_JOB")
                .unwrap_or_default()
                .to_owned(),
        ]
    } else {
        args.jobs.clone()
    };
    let job = |id| {
        let mut cargo = CargoTarget {
            job: id,
            only_projects: true,
            ..CargoTarget::default()
        };
        cargo.add_env(context.env.iter(), true);
        Job {
            cache_root: context.cache_root.to_owned(),
            workspace: workspace.to_owned(),
            target: JobTarget::Cargo(Box::new(cargo)),
            task: Task::Restore(RestoreTask::default()),
            housekeeping: Housekeeping::default(),
        }
    };
    ids.into_iter().map(job).collect()
}

/// The directories as a table with an empty line after it; nothing if there are none.
fn table(found: &[SizedCache]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["repository", "kind", "size", "key"]).align_right([2]);
    for SizedCache { cache, bytes: size } in found {
        let repository = match cache.repository.as_str() {
            "" => "-",
            repository => repository,
        };
        table.add_row([
            one_line(repository),
            cache.kind.directory().to_owned(),
            bytes(*size),
            one_line(&cache.key),
        ]);
    }
    format!("{table}\n")
}

fn conclusion(args: &ImportArgs, found: &[SizedCache], entries: &[CacheReply]) -> String {
    let directories = plural(found.len() as u64, "directory", "directories");
    let size = bytes(total_bytes(found));
    if found.is_empty() {
        "✅ no caches of rsync workflows found\n".to_owned()
    } else if args.dry_run {
        format!("🔍 {directories}, {size}; nothing was changed\n")
    } else if args.remove {
        format!("🧹 removed {directories}, {size} freed\n")
    } else {
        let saved = entries.iter().filter(|entry| is_saved(entry)).count();
        format!(
            "💾 imported {directories} as {}; `local-cache import --remove` removes the directories\n",
            plural(saved as u64, "entry", "entries")
        )
    }
}

fn total_bytes(found: &[SizedCache]) -> u64 {
    found.iter().map(|sized| sized.bytes).sum()
}

fn is_saved(reply: &CacheReply) -> bool {
    matches!(reply.saved, Some(SaveReply::Done { .. }))
}

fn directory_json(SizedCache { cache, bytes }: &SizedCache) -> Value {
    json!({
        "path": cache.path.display().to_string(),
        "repository": cache.repository,
        "holds": cache.kind.directory(),
        "key": cache.key,
        "bytes": bytes,
    })
}

fn entry_json(reply: &CacheReply) -> Value {
    json!({
        "cache": reply.name,
        "kind": reply.kind,
        "key": reply.key,
        "saved": is_saved(reply),
    })
}
