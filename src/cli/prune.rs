//! `local-cache prune`: removes old entries and explains why.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::entry_table::EntryTable;
use super::exit::Exit;
use super::selection::ShortIds;
use super::text::{Rendered, age_of};
use super::values::{KeepCount, keep_counts, parse_duration, parse_keep_count, parse_size};
use crate::error::Error;
use crate::fmt::human::{bytes, plural};
use crate::fmt::screen::Screen;
use crate::ops::prune::{self, Pruned};
use crate::store::Entry;
use crate::store::retention::{RetentionDecision, RetentionPolicy, family};

/// Remove old entries and free their disk space
#[derive(Debug, Args)]
#[command(
    after_help = "Without --keep, --max-age and --max-size, the default numbers of generations are kept. The generations of a cache are the entries whose keys differ only in digests, dates and run numbers. The 5 most recently used generations of registry, git and path caches are kept, and 3 of target directories. Of the same paths, at most four times as many entries are kept, whatever their keys.\n\nExamples:\n  local-cache prune --dry-run\n  local-cache prune --keep 5 --keep target=3 --max-age 7d --max-size 50GB"
)]
pub(super) struct PruneArgs {
    /// Show what would be removed and why, but remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Number of generations to keep, for all kinds of caches or for one (path, registry, git,
    /// target) such as `target=3`; can be given several times
    #[arg(long, value_name = "[KIND=]COUNT", value_parser = parse_keep_count)]
    keep: Vec<KeepCount>,
    /// Count all entries of the same paths as generations of one cache, whatever their keys
    #[arg(long)]
    any_key: bool,
    /// Remove entries not used for this long, such as `7d` or `12h`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// Remove the least recently used entries until the store is at most this large, such as `50GB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    /// Do not ask before removing all entries
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn prune(context: &mut CommandContext<'_>, args: &PruneArgs) -> Result<Exit> {
    let policy = policy(args);
    if removes_everything(args) && !args.dry_run && !args.yes {
        context.confirm(
            "remove all entries, whatever repository they belong to?",
            "nobody can answer here: check with --dry-run, and add --yes",
        )?;
    }
    let pruned = match context.open_store()? {
        None => Pruned {
            decisions: Vec::new(),
            evicted_bytes: None,
            collected: None,
        },
        Some(store) => match prune::prune(&store, &policy, args.dry_run, context.monitor) {
            Err(error @ Error::Busy { .. }) => {
                bail!("{error}, so nothing was removed; try again when it is done")
            }
            other => other?,
        },
    };
    let (text, json) = render(&pruned, args.dry_run, context.terminal.output);
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

/// Whether a limit of zero was given, which no entry is within.
fn removes_everything(args: &PruneArgs) -> bool {
    args.keep.iter().any(|keep| keep.count == 0)
        || args.max_age.is_some_and(|age| age.is_zero())
        || args.max_size == Some(0)
}

fn policy(args: &PruneArgs) -> RetentionPolicy {
    let mut keep = keep_counts(&args.keep);
    if args.keep.is_empty() && args.max_age.is_none() && args.max_size.is_none() {
        keep.extend(RetentionPolicy::DEFAULT_KEEP);
    }
    RetentionPolicy {
        keep,
        as_one_family: args.any_key,
        max_age: args.max_age,
        max_bytes: args.max_size,
        ..RetentionPolicy::default()
    }
}

fn render(pruned: &Pruned, dry_run: bool, screen: Screen) -> Rendered {
    let is_evicted = |(decision, _): &&(RetentionDecision, Entry)| decision.evict.is_some();
    let evicted = pruned.decisions.iter().filter(is_evicted).count() as u64;
    let text = table(&pruned.decisions, screen) + &conclusion(pruned, evicted, dry_run);
    let decisions: Vec<Value> = pruned.decisions.iter().map(decision_json).collect();
    let json = json!({
        "dry-run": dry_run,
        "decisions": decisions,
        "evicted-entries": evicted,
        "evicted-bytes": pruned.evicted_bytes,
        "removed-entries": if dry_run { 0 } else { evicted },
        "freed-bytes": pruned.collected.map_or(0, |collected| collected.bytes),
        "rewritten-packs": pruned.collected.map_or(0, |collected| collected.rewritten),
    });
    (text, json)
}

fn conclusion(pruned: &Pruned, evicted: u64, dry_run: bool) -> String {
    let retained = plural(pruned.decisions.len() as u64 - evicted, "entry", "entries");
    let removed = plural(evicted, "entry", "entries");
    match pruned.collected {
        Some(collected) => format!(
            "🧹 {removed} removed, {} freed; {retained} kept\n",
            bytes(collected.bytes)
        ),
        None if dry_run => format!(
            "🔍 {removed} would be removed, which frees {}; {retained} kept\n",
            bytes(pruned.evicted_bytes.unwrap_or_default())
        ),
        None => "🧹 nothing to remove\n".to_owned(),
    }
}

/// The decisions as a table with an empty line after it; nothing if there are none.
fn table(decisions: &[(RetentionDecision, Entry)], screen: Screen) -> String {
    if decisions.is_empty() {
        return String::new();
    }
    let ids = ShortIds::of(decisions.iter().map(|(decision, _)| &decision.id));
    let mut table = EntryTable::new(&ids, &["used"], &["rank", "decision"]);
    for (decision, entry) in decisions {
        let evict = decision.evict.as_ref();
        let cells = [
            age_of(decision.last_used),
            format!("{}.", decision.rank),
            evict.map_or_else(|| "keep".to_owned(), |reason| format!("remove: {reason}")),
        ];
        table.add(&decision.id, entry, &cells);
    }
    format!("{}\n", table.show(screen))
}

fn decision_json((decision, entry): &(RetentionDecision, Entry)) -> Value {
    json!({
        "entry": decision.id,
        "scope": entry.group.scope,
        "ref": entry.group.git_ref,
        "kind": entry.group.kind,
        "key": entry.key,
        "bytes": entry.bytes,
        "keep": decision.evict.is_none(),
        "reason": decision.evict.as_ref().map(ToString::to_string),
        "rank": decision.rank,
        "family": family(&entry.key),
    })
}
