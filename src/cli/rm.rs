//! `local-cache rm`: removes entries.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::entry_table::EntryTable;
use super::exit::Exit;
use super::failure::usage_error;
use super::list::entry_json;
use super::selection::{SelectionArgs, ShortIds};
use crate::error::Error;
use crate::fmt::human::{bytes, plural};
use crate::fmt::screen::Screen;
use crate::ops::entries::{self, ListedEntry};
use crate::ops::prune;
use crate::store::{EntryId, Store};

/// Remove entries and free their disk space
#[derive(Debug, Args)]
#[command(
    after_help = "On a terminal it shows the entries and asks. Elsewhere it needs --yes, unless each name is that of one entry.\n\nExamples:\n  local-cache rm 3f2a-91bc07\n  local-cache rm linux-1 linux-2\n  local-cache rm --repository acme/app --ref pull/7 --yes"
)]
pub(super) struct RmArgs {
    /// ID of an entry as `list` shows it, or a key; without one, all entries that the options
    /// select
    #[arg(value_name = "ENTRY|KEY")]
    names: Vec<String>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn rm(context: &mut CommandContext<'_>, args: &RmArgs) -> Result<Exit> {
    if args.names.is_empty() && args.selection.is_everything() {
        return Err(usage_error(
            "name an entry, or select some with --repository, --ref or --kind; \
             `local-cache prune` removes old entries of all repositories",
        ));
    }
    let store = context.open_store()?;
    let entries = match &store {
        Some(store) => entries::list(store, context.monitor)?,
        None => Vec::new(),
    };
    let doomed = select(args, &entries)?;
    let Some(store) = store.filter(|_| !doomed.is_empty()) else {
        context.print(
            "✅ no entry is selected, nothing to remove\n",
            &document(&[], 0, args.dry_run),
        )?;
        return Ok(Exit::Done);
    };
    let table = table(
        &doomed,
        &ShortIds::of(entries.iter().map(|listed| &listed.id)),
        context.terminal.output,
    );
    if args.dry_run {
        let count = plural(doomed.len() as u64, "entry", "entries");
        context.print(
            &format!("{table}\n🔍 {count} would be removed\n"),
            &document(&doomed, 0, true),
        )?;
        return Ok(Exit::Done);
    }
    confirm(context, args, &doomed, &table)?;
    let freed = remove(context, &store, &doomed)?;
    let count = plural(doomed.len() as u64, "entry", "entries");
    context.print(
        &format!("🧹 {count} removed, {} freed\n", bytes(freed)),
        &document(&doomed, freed, false),
    )?;
    Ok(Exit::Done)
}

fn select<'e>(args: &RmArgs, entries: &'e [ListedEntry]) -> Result<Vec<&'e ListedEntry>> {
    if args.names.is_empty() {
        let selected = entries.iter();
        let selected = selected.filter(|listed| args.selection.contains(&listed.entry));
        return Ok(selected.collect());
    }
    args.selection.named(entries, &args.names)
}

fn confirm(
    context: &mut CommandContext<'_>,
    args: &RmArgs,
    doomed: &[&ListedEntry],
    table: &str,
) -> Result<()> {
    let is_exact = doomed.len() <= args.names.len();
    if args.yes || (is_exact && !context.terminal.can_ask) {
        return Ok(());
    }
    if context.terminal.can_ask && !context.json {
        context.write(table.as_bytes())?;
    }
    let entries = plural(doomed.len() as u64, "entry", "entries");
    context.confirm(
        &format!("remove {entries}?"),
        "nobody can answer here: check with --dry-run, and add --yes",
    )
}

/// Returns the bytes that were freed.
fn remove(context: &CommandContext<'_>, store: &Store, doomed: &[&ListedEntry]) -> Result<u64> {
    let ids: Vec<EntryId> = doomed.iter().map(|listed| listed.id.clone()).collect();
    match prune::remove(store, &ids, context.monitor) {
        Err(error @ Error::Busy { .. }) => {
            bail!("{error}, so nothing was removed; try again when it is done")
        }
        other => Ok(other?.bytes),
    }
}

fn table(entries: &[&ListedEntry], ids: &ShortIds, screen: Screen) -> String {
    let mut table = EntryTable::new(ids, &[], &[]);
    for listed in entries {
        table.add(&listed.id, &listed.entry, &[]);
    }
    table.show(screen)
}

fn document(entries: &[&ListedEntry], freed_bytes: u64, dry_run: bool) -> Value {
    let removed: Vec<Value> = entries.iter().map(|listed| entry_json(listed)).collect();
    json!({ "dry-run": dry_run, "entries": removed, "freed-bytes": freed_bytes })
}
