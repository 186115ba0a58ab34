//! `local-cache save`: saves paths as an entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::record::{RecordedWork, record, run};
use super::scope::ScopeArgs;
use super::second_tier::{CommandTier, SecondTierArgs};
use super::text::{Rendered, files_and_bytes, one_line};
use super::values::{parse_key, parse_ready_limit};
use crate::fmt::human::{bytes, elapsed, plural};
use crate::fmt::whole_milliseconds;
use crate::fs::Local;
use crate::job::{CacheReply, PathsTarget};
use crate::ops::path_list::PathList;
use crate::ops::save::{self, IfExists, SaveOptions, SaveOutcome, SavedEntry};
use crate::ops::second_tier::SavedEntries;
use crate::stats::event::Phase;
use crate::store::ready_limit::ReadyLimit;
use crate::store::{CacheKind, CacheScope, EntryGroup, Store};

/// Save files and directories under a key
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  local-cache save --key linux-1 target ~/.cargo/registry '!target/**/incremental'"
)]
pub(super) struct SaveArgs {
    /// Key to save under
    #[arg(long)]
    key: String,
    /// Replace an existing entry with the same key
    #[arg(long)]
    refresh: bool,
    /// Move the directories into the store after saving, so that a restore can rename them back
    #[arg(long = "move")]
    keep_ready: bool,
    /// How many copies that were moved there stay for each directory: auto (as many as jobs used at
    /// once) or a number; 0 keeps none and removes those that exist
    #[arg(long = "ready-copies", value_name = "COUNT", default_value = "auto", value_parser = parse_ready_limit)]
    ready_limit: ReadyLimit,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Files, directories or patterns; a pattern with `!` in front excludes
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn save(context: &mut CommandContext<'_>, args: &SaveArgs) -> Result<Exit> {
    let start = Instant::now();
    let key = parse_key(&args.key)?;
    let paths = context.path_list(&args.paths)?;
    if args.keep_ready && paths.has_exclusions() {
        return Err(usage_error(
            "--move would also move what the `!` patterns exclude; use only one of the two",
        ));
    }
    let scopes = args.scope.resolve(context)?;
    let tier = CommandTier::of(context, &args.remote)?;
    let store = Store::create(context.cache_root)?;
    let roots = paths.resolve(&Local::default())?;
    let filter = roots.filter();
    let group = path_group(&scopes.write, &paths);
    let request = save::SaveRequest {
        group: &group,
        key,
        roots: &roots.roots,
        filter: filter.as_ref().map(|filter| filter as &_),
        options: save_options(args),
        steps: None,
        parts: BTreeMap::new(),
        parent: None,
        max_bytes: None,
    };
    let outcome = save::save(&store, &request, context.monitor)?;
    let mut rendered = render(&outcome, key);
    if let Some(tier) = &tier {
        // An entry that exists may have been saved while the remote did not work.
        if matches!(outcome, SaveOutcome::Saved(_) | SaveOutcome::Exists) {
            let id = group.entry_id(key);
            tier.second_tier().saved(SavedEntries {
                store: &store,
                ids: &[id],
                run: &run(context, &scopes.workflow),
                monitor: context.monitor,
            })?;
            tier.second_tier().finish(context.monitor)?;
        }
        tier.report(&mut rendered);
    }
    context.print(&rendered.0, &rendered.1)?;
    let is_nothing = matches!(outcome, SaveOutcome::NothingToSave);
    let cache = CacheReply {
        saved: Some(outcome.into()),
        ..CacheReply::new(PathsTarget::NAME, CacheKind::Path, key)
    };
    let work = RecordedWork {
        caches: cache.save_event().into_iter().collect(),
        remote: tier.as_ref().and_then(CommandTier::traffic),
    };
    record(context, Phase::Post, &scopes.workflow, work, start);
    if is_nothing {
        bail!("none of the paths exists, so nothing was saved; check their spelling");
    }
    Ok(Exit::Done)
}

fn save_options(args: &SaveArgs) -> SaveOptions {
    SaveOptions {
        if_exists: if args.refresh {
            IfExists::Replace
        } else {
            IfExists::Keep
        },
        keep_ready: args.keep_ready,
        ready_limit: args.ready_limit,
        allow_empty: false,
    }
}

/// The entries of a list of paths in a scope.
pub(super) fn path_group(scope: &CacheScope, paths: &PathList) -> EntryGroup {
    EntryGroup {
        scope: scope.scope.clone(),
        git_ref: scope.git_ref.clone(),
        kind: CacheKind::Path,
        paths: paths.identity(),
    }
}

fn render(outcome: &SaveOutcome, key: &str) -> Rendered {
    let shown_key = one_line(key);
    let (reason, text) = match outcome {
        SaveOutcome::Saved(saved) => return render_saved(saved, key),
        SaveOutcome::Exists => (
            "exists",
            format!("✅ an entry with key {shown_key} exists already; --refresh replaces it\n"),
        ),
        SaveOutcome::Unchanged => (
            "unchanged",
            format!("✅ unchanged since it was saved as {shown_key}\n"),
        ),
        SaveOutcome::InProgress => (
            "in-progress",
            format!("✅ another process is saving {shown_key} right now\n"),
        ),
        SaveOutcome::NothingToSave => ("nothing-there", String::new()),
        SaveOutcome::TooLarge(excess) => ("too-large", format!("not saved: {excess}\n")),
    };
    (
        text,
        json!({ "saved": false, "key": key, "reason": reason }),
    )
}

fn render_saved(saved: &SavedEntry, key: &str) -> Rendered {
    let entry = &saved.entry;
    let mut text = format!(
        "💾 saved {} in {}: {}, {} added to the store\n",
        one_line(key),
        elapsed(saved.elapsed),
        files_and_bytes(entry.files, entry.bytes),
        bytes(entry.added_bytes)
    );
    if saved.skipped_files > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "⚠️ {} skipped",
            plural(saved.skipped_files, "file was", "files were")
        );
    }
    let json = json!({
        "saved": true,
        "key": key,
        "entry": saved.id,
        "files": entry.files,
        "bytes": entry.bytes,
        "added-bytes": entry.added_bytes,
        "reused-files": saved.reused_files,
        "reused-bytes": saved.reused_bytes,
        "left-out-files": saved.skipped_files,
        "save-milliseconds": whole_milliseconds(saved.elapsed),
    });
    (text, json)
}
