//! `local-cache remote`: what is on the remote, and moving entries there and back by hand.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::remote_config::{configured, trust};
use super::remote_status::{add_background, render_status};
use super::second_tier::SecondTierArgs;
use super::text::{Rendered, one_line};
use super::values::{KeepCount, keep_counts, parse_duration, parse_keep_count};
use crate::error::Error;
use crate::fmt::human::{age, bytes, elapsed, plural};
use crate::ops::entries;
use crate::remote::{
    PushOutcome, PushStats, Remote, RemoteGcOptions, RemoteGcStats, RemoteVerifyOptions,
    RemoteVerifyReport, SHORTEST_GRACE,
};
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheKind, Entry, Store};

/// Inspect and maintain the entries on S3-compatible storage
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "The remote is that of --remote, LOCAL_CACHE_REMOTE or `remote = \"...\"` in config.toml. Credentials are taken from the AWS_* variables.\n\nExamples:\n  local-cache remote status --remote 's3://bucket/ci?endpoint=https://s3.example:9000'\n  local-cache remote push\n  local-cache remote gc --keep 5 --max-age 30d"
)]
pub(super) struct RemoteArgs {
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(Debug, Subcommand)]
enum RemoteCommand {
    /// List the entries on the remote and what they take
    #[command(after_help = "Example:\n  local-cache remote status --json")]
    Status(RemoteStatusArgs),
    /// Copy entries of the store to the remote
    #[command(
        after_help = "Examples:\n  local-cache remote push\n  local-cache remote push linux-1"
    )]
    Push(RemotePushArgs),
    /// Copy the newest entries with these keys from the remote into the store
    #[command(after_help = "Example:\n  local-cache remote pull linux-1")]
    Pull(RemotePullArgs),
    /// Check that every entry on the remote has all its data
    #[command(after_help = "Example:\n  local-cache remote verify --contents --repair")]
    Verify(RemoteVerifyArgs),
    /// Remove old entries, and data that no entry has needed for the grace period
    #[command(
        after_help = "Run it from one place at a time, for example once a day. Data is removed by the second run that finds it unneeded, if the two are --grace apart.\n\nExample:\n  local-cache remote gc --keep 5 --keep target=3 --max-age 30d"
    )]
    Gc(RemoteGcArgs),
}

#[derive(Debug, Args)]
struct RemoteStatusArgs {
    #[command(flatten)]
    remote: SecondTierArgs,
}

#[derive(Debug, Args)]
struct RemotePushArgs {
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Keys of the entries; all entries of the store if none is given
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
}

#[derive(Debug, Args)]
struct RemotePullArgs {
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Keys of the entries
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

#[derive(Debug, Args)]
struct RemoteVerifyArgs {
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Download all data and compare it with its digests
    #[arg(long)]
    contents: bool,
    /// Remove damaged entries
    #[arg(long)]
    repair: bool,
}

#[derive(Debug, Args)]
struct RemoteGcArgs {
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Number of generations to keep, as for `prune`; can be given several times
    #[arg(long, value_name = "[KIND=]COUNT", value_parser = parse_keep_count)]
    keep: Vec<KeepCount>,
    /// Remove entries pushed longer ago, such as `30d`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// How long unneeded data stays, for pushes that are under way; at least 4h
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = parse_grace)]
    grace: Duration,
    /// Show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,
}

fn parse_grace(text: &str) -> Result<Duration, String> {
    let grace = parse_duration(text)?;
    if grace < SHORTEST_GRACE {
        return Err(format!(
            "too short: a push may take hours; use at least {}",
            age(SHORTEST_GRACE)
        ));
    }
    Ok(grace)
}

pub(super) fn remote(context: &mut CommandContext<'_>, args: &RemoteArgs) -> Result<Exit> {
    match &args.command {
        RemoteCommand::Status(args) => {
            let remote = open(context, &args.remote)?;
            let status = remote.status(context.monitor)?;
            let mut rendered = render_status(&remote, &status);
            let store = context.open_store()?;
            if let Some(last) = store.and_then(|store| store.background_push()) {
                add_background(&mut rendered, &last);
            }
            print(context, rendered, Exit::Done)
        }
        RemoteCommand::Push(args) => push(context, args),
        RemoteCommand::Pull(args) => pull(context, args),
        RemoteCommand::Verify(args) => {
            let remote = open(context, &args.remote)?;
            let options = RemoteVerifyOptions {
                contents: args.contents,
                repair: args.repair,
            };
            let report = remote.verify(options, context.monitor)?;
            let exit = if report.damaged.is_empty() || report.repaired {
                Exit::Done
            } else {
                Exit::Failed
            };
            print(context, render_verify(&report), exit)
        }
        RemoteCommand::Gc(args) => {
            let remote = open(context, &args.remote)?;
            let options = RemoteGcOptions {
                policy: policy(args),
                grace: args.grace,
                dry_run: args.dry_run,
            };
            let stats = remote.gc(&options, context.monitor)?;
            print(context, render_gc(&stats, args), Exit::Done)
        }
    }
}

fn open(context: &CommandContext<'_>, args: &SecondTierArgs) -> Result<Remote> {
    let config = configured(context, args.remote.as_deref())?.ok_or_else(|| {
        usage_error(
            "no remote is set; give one with --remote s3://bucket/prefix, LOCAL_CACHE_REMOTE or config.toml",
        )
    })?;
    Ok(Remote::new(&config, context.env, trust(context))?)
}

fn print(context: &mut CommandContext<'_>, (text, json): Rendered, exit: Exit) -> Result<Exit> {
    context.print(&text, &json)?;
    Ok(exit)
}

fn policy(args: &RemoteGcArgs) -> RetentionPolicy {
    let mut keep: HashMap<CacheKind, usize> = RetentionPolicy::DEFAULT_KEEP.into();
    keep.extend(keep_counts(&args.keep));
    RetentionPolicy {
        keep,
        max_age: args.max_age,
        ..RetentionPolicy::default()
    }
}

fn push(context: &mut CommandContext<'_>, args: &RemotePushArgs) -> Result<Exit> {
    let remote = open(context, &args.remote)?;
    let Some(store) = context.open_store()? else {
        bail!("there is no store in {}", context.cache_root.display());
    };
    let mut entries: Vec<Entry> = entries::list(&store, context.monitor)?
        .into_iter()
        .map(|listed| listed.entry)
        .collect();
    if !args.keys.is_empty() {
        let unknown = |key: &&String| !entries.iter().any(|entry| entry.key == **key);
        if let Some(key) = args.keys.iter().find(unknown) {
            bail!("the store has no entry with key {}", one_line(key));
        }
        entries.retain(|entry| args.keys.contains(&entry.key));
    }
    let (mut text, mut values) = (String::new(), Vec::new());
    for entry in &entries {
        let outcome = remote.push(&store, entry, context.monitor)?;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", push_line(&remote, entry, &outcome));
        values.push(push_json(entry, &outcome));
    }
    if entries.is_empty() {
        text = format!("💿 no entries in {}\n", context.cache_root.display());
    }
    let json = json!({ "entries": values, "requests": remote.traffic().requests });
    print(context, (text, json), Exit::Done)
}

fn push_line(remote: &Remote, entry: &Entry, outcome: &PushOutcome) -> String {
    let key = one_line(&entry.key);
    match outcome {
        PushOutcome::Exists => format!("✅ {} has {key} already", remote.place()),
        PushOutcome::Pushed(stats) => format!(
            "☁️ pushed {key} to {} in {}: {} uploaded, {} were there",
            remote.place(),
            elapsed(stats.elapsed),
            bytes(stats.uploaded_bytes),
            bytes(stats.reused_bytes)
        ),
    }
}

fn push_json(entry: &Entry, outcome: &PushOutcome) -> Value {
    let mut value = json!({ "key": entry.key, "pushed": false });
    if let PushOutcome::Pushed(PushStats {
        segments,
        uploaded_bytes,
        reused_bytes,
        ..
    }) = outcome
    {
        value["pushed"] = json!(true);
        value["segments"] = json!(segments);
        value["uploaded-bytes"] = json!(uploaded_bytes);
        value["reused-bytes"] = json!(reused_bytes);
    }
    value
}

fn pull(context: &mut CommandContext<'_>, args: &RemotePullArgs) -> Result<Exit> {
    let remote = open(context, &args.remote)?;
    let store = Store::create(context.cache_root)?;
    let (mut text, mut values) = (String::new(), Vec::new());
    let pulled = remote.pull(&store, &args.keys, context.monitor)?;
    let is_missing = |key: &&String| !pulled.iter().any(|(entry, _)| entry.key == **key);
    if let Some(key) = args.keys.iter().find(is_missing) {
        bail!("{} has no entry with key {}", remote.place(), one_line(key));
    }
    for (entry, stats) in pulled {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "☁️ pulled {} in {}: {} downloaded, {} were in the store",
            one_line(&entry.key),
            elapsed(stats.elapsed),
            bytes(stats.downloaded_bytes),
            bytes(stats.reused_bytes)
        );
        values.push(json!({
            "key": entry.key,
            "entry": entry.id(),
            "downloaded-bytes": stats.downloaded_bytes,
            "reused-bytes": stats.reused_bytes,
        }));
    }
    let json = json!({ "entries": values, "requests": remote.traffic().requests });
    print(context, (text, json), Exit::Done)
}

fn render_verify(report: &RemoteVerifyReport) -> Rendered {
    let mut text = String::new();
    for (_, error) in report.damaged.iter().chain(&report.refused) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "⚠️ {error}");
    }
    let intact = plural(report.intact, "entry", "entries");
    let _ = if report.damaged.is_empty() {
        writeln!(text, "✅ {intact} intact, {} read", bytes(report.bytes))
    } else if report.repaired {
        writeln!(text, "🧹 {intact} intact; the damaged ones were removed")
    } else {
        writeln!(
            text,
            "⚠️ {intact} intact; `local-cache remote verify --repair` removes the damaged ones"
        )
    };
    if report.newer > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "   {} of a newer local-cache not checked",
            plural(report.newer, "entry", "entries")
        );
    }
    if !report.refused.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "⚠️ {} not checked and not used here, because no key of the option trust signed them",
            plural(report.refused.len() as u64, "entry", "entries")
        );
    }
    let reasons = |records: &[(String, Error)]| -> Vec<Value> {
        let reason = |(record, error): &(String, Error)| json!({ "record": record, "reason": error.to_string() });
        records.iter().map(reason).collect()
    };
    let json = json!({
        "intact": report.intact,
        "newer": report.newer,
        "damaged": reasons(&report.damaged),
        "refused": reasons(&report.refused),
        "read-bytes": report.bytes,
        "repaired": report.repaired,
    });
    (text, json)
}

fn render_gc(stats: &RemoteGcStats, args: &RemoteGcArgs) -> Rendered {
    let removed = plural(stats.removed_entries, "entry", "entries");
    let kept = plural(stats.kept_entries, "entry", "entries");
    let freed = bytes(stats.removed_bytes);
    let mut text = if args.dry_run {
        format!("🔍 {removed} would be removed and {freed} freed; {kept} would be kept\n")
    } else {
        format!("🧹 {removed} removed, {freed} freed; {kept} kept\n")
    };
    if stats.waiting_bytes > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "   {} not needed any more; a run in {} removes it",
            bytes(stats.waiting_bytes),
            age(args.grace)
        );
    }
    if stats.skipped_groups > 0 {
        let _ = writeln!(
            text,
            "⚠️ nothing was removed from {} with entries that cannot be read; `local-cache remote verify --repair` removes those that are damaged",
            plural(stats.skipped_groups, "group", "groups")
        );
    }
    let json = json!({
        "dry-run": args.dry_run,
        "removed-entries": stats.removed_entries,
        "kept-entries": stats.kept_entries,
        "removed-objects": stats.removed_objects,
        "freed-bytes": stats.removed_bytes,
        "waiting-bytes": stats.waiting_bytes,
        "skipped-groups": stats.skipped_groups,
    });
    (text, json)
}
