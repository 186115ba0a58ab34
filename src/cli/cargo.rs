//! `local-cache cargo`: the caches of Cargo workspaces, by the same engine as the action's.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::CargoCommand;
use super::commands::CommandContext;
use super::{Exit, Failure, args};
use crate::action::{self, Env, inputs};
use crate::cargo::mtimes::replay::ReplayStats;
use crate::fmt::human::{bytes, elapsed, plural};
use crate::fs::Local;
use crate::job::{
    CacheReply, CargoTarget, FoundEntry, Housekeeping, Job, JobReply, JobTarget, RestoreTask,
    SaveReply, SaveTask, Task, WorkspaceLine, run_job,
};
use crate::ops::restore::RestoreOptions;
use crate::ops::save::{IfExists, SaveOptions};
use crate::store::CacheScope;
use crate::tree::plan::Extraneous;

pub(super) fn cargo(
    context: &mut CommandContext<'_>,
    args: &args::CargoArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let (workspaces, task, miss) = match &args.command {
        CargoCommand::Restore(restore) => {
            let task = RestoreTask {
                read: vec![CacheScope::default()],
                options: RestoreOptions {
                    extraneous: Extraneous::for_mirror(!restore.no_mirror),
                    verify: !restore.finding.no_verify,
                    lookup_only: restore.finding.lookup_only,
                },
                record_as: None,
            };
            (
                &restore.workspaces,
                Task::Restore(task),
                restore.finding.fail_on_cache_miss,
            )
        }
        // Nothing was noted down, so what is there goes by the key that it has now.
        CargoCommand::Save(save) => {
            let task = SaveTask {
                options: SaveOptions {
                    if_exists: IfExists::ReplaceIfChanged,
                    keep_ready: save.keep_ready,
                    ..SaveOptions::default()
                },
                ..SaveTask::default()
            };
            (&save.workspaces, Task::Save(task), false)
        }
    };
    let directory = &context.base.working_directory;
    // In a job, the directory that the action would see as the checkout.
    let checkout = env
        .path("GITHUB_WORKSPACE")
        .filter(|checkout| directory.starts_with(checkout));
    let mut cargo = CargoTarget {
        workspaces: lines(context, &workspaces.workspaces)?,
        job: env.text("GITHUB_JOB").unwrap_or_default().to_owned(),
        run: action::WorkflowContext::from_env(env).job_run_name(),
        only_projects: true,
        ..CargoTarget::default()
    };
    cargo.add_env(env.iter(), true);
    let job = Job {
        cache_root: context.common.cache_root.clone(),
        workspace: checkout.unwrap_or(directory).to_owned(),
        target: JobTarget::Cargo(Box::new(cargo)),
        task,
        housekeeping: Housekeeping::default(),
    };
    let home = Some(context.base.home.clone()).filter(|home| home.is_absolute());
    let reply = run_job(&job, &Local::new(home), context.monitor);
    for warning in &reply.warnings {
        context.monitor.warn(warning);
    }
    show(context, &reply)?;
    outcome(&reply, miss)
}

/// The workspaces as the action reads them, seen from the current directory.
fn lines(context: &CommandContext<'_>, given: &[String]) -> Result<Vec<WorkspaceLine>, Failure> {
    let text = if given.is_empty() {
        ".".to_owned()
    } else {
        given.join("\n")
    };
    let lines = inputs::workspaces(&text)
        .ok_or_else(|| Failure::Usage("--workspace takes `DIR` or `DIR -> TARGET`".to_owned()))?;
    let directory = &context.base.working_directory;
    let line = |line: WorkspaceLine| WorkspaceLine {
        root: directory.join(line.root).display().to_string(),
        ..line
    };
    Ok(lines.into_iter().map(line).collect())
}

fn outcome(reply: &JobReply, fail_on_cache_miss: bool) -> Result<Exit, Failure> {
    if let Some(error) = &reply.error {
        return Err(Failure::Other(error.clone()));
    }
    if reply.caches.is_empty() {
        return Err(Failure::Other(
            "there is neither a Cargo.toml nor a Cargo.lock; name a Cargo project with --workspace"
                .to_owned(),
        ));
    }
    let errors: Vec<&str> = reply
        .caches
        .iter()
        .filter_map(|cache| cache.error.as_deref())
        .collect();
    if !errors.is_empty() {
        return Err(Failure::Other(errors.join("; ")));
    }
    let is_miss = reply.caches.iter().all(|cache| cache.found.is_none());
    Ok(if fail_on_cache_miss && is_miss {
        Exit::Miss
    } else {
        Exit::Done
    })
}

fn show(context: &mut CommandContext<'_>, reply: &JobReply) -> Result<(), Failure> {
    let mut text = String::new();
    for cache in reply.caches.iter().filter(|cache| cache.error.is_none()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line(cache));
    }
    if let Some(given_back) = reply.mtime_replay {
        let ReplayStats {
            same, different, ..
        } = given_back;
        let _ = writeln!(
            text,
            "🚀 sources: {} fresh again, {} not as they were",
            plural(same, "file", "files"),
            plural(different, "file", "files")
        );
    }
    let caches: Vec<Value> = reply.caches.iter().map(document).collect();
    let document =
        json!({ "caches": caches, "sources": reply.mtime_replay, "warnings": reply.warnings });
    context.print(&text, &document)
}

fn line(cache: &CacheReply) -> String {
    let CacheReply { name, key, .. } = cache;
    let size =
        |files: &u64, size: &u64| format!("{}, {}", plural(*files, "file", "files"), bytes(*size));
    let took = |milliseconds: &u64| elapsed(Duration::from_millis(*milliseconds));
    match (&cache.found, &cache.saved) {
        (Some(found), _) => {
            let FoundEntry {
                files,
                bytes: of_it,
                written_files,
                milliseconds,
                ..
            } = found;
            let how = if found.exact { "exact" } else { "prefix" };
            format!(
                "🚀 {name}: {} from {} ({how} match) in {}, {} written",
                size(files, of_it),
                found.key,
                took(milliseconds),
                plural(*written_files, "file", "files")
            )
        }
        (
            None,
            Some(SaveReply::Done {
                files,
                bytes: of_it,
                added_bytes,
                milliseconds,
            }),
        ) => format!(
            "💾 {name}: {} saved as {key} in {}; {} added to the store",
            size(files, of_it),
            took(milliseconds),
            bytes(*added_bytes)
        ),
        (None, Some(SaveReply::Unchanged | SaveReply::Exists { .. })) => {
            format!("✅ {name}: {key} is saved as it is already")
        }
        (None, Some(SaveReply::InProgress)) => {
            format!("✅ {name}: {key} is being saved by another process right now")
        }
        (None, Some(SaveReply::NothingToSave)) => format!("✅ {name}: there is nothing to save"),
        (None, None) => format!("💿 {name}: nothing found for {key}"),
    }
}

/// The same words as those of `restore` and `save`.
fn document(cache: &CacheReply) -> Value {
    let mut value = json!({
        "name": cache.name, "kind": cache.kind.to_string(), "key": cache.key, "error": cache.error,
    });
    match (&cache.found, &cache.saved) {
        (Some(found), _) => {
            value["cache-hit"] = json!(if found.exact { "exact" } else { "prefix" });
            value["cache-matched-key"] = json!(found.key);
            value["entry"] = json!(found.entry);
            value["files"] = json!(found.files);
            value["bytes"] = json!(found.bytes);
            value["written-files"] = json!(found.written_files);
            value["written-bytes"] = json!(found.written_bytes);
            value["restore-milliseconds"] = json!(found.milliseconds);
        }
        (
            None,
            Some(SaveReply::Done {
                files,
                bytes,
                added_bytes,
                milliseconds,
            }),
        ) => {
            value["saved"] = json!(true);
            value["files"] = json!(files);
            value["bytes"] = json!(bytes);
            value["added-bytes"] = json!(added_bytes);
            value["save-milliseconds"] = json!(milliseconds);
        }
        (None, Some(saved)) => {
            value["saved"] = json!(false);
            value["reason"] = json!(match saved {
                SaveReply::InProgress => "in-progress",
                SaveReply::NothingToSave => "nothing-there",
                SaveReply::Exists { .. } => "exists",
                SaveReply::Done { .. } | SaveReply::Unchanged => "unchanged",
            });
        }
        (None, None) => value["cache-hit"] = json!("miss"),
    }
    value
}
