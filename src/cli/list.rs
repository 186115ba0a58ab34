//! `local-cache list`: entries as a table, with what they take on disk.

use std::cmp::Reverse;
use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::context::CommandContext;
use super::entry_table::EntryTable;
use super::exit::Exit;
use super::selection::{SelectionArgs, ShortIds, branch, repository};
use super::text::{age_of, one_line};
use crate::fmt::human::{bytes, plural};
use crate::fmt::screen::Screen;
use crate::ops::entries::{self, ListedEntry};
use crate::store::{Entry, Store};

/// How many repositories the last line names.
const NAMED_REPOSITORIES: usize = 5;

/// List entries with their repository, branch and size
#[derive(Debug, Args)]
#[command(
    after_help = "`size` is that of the files of an entry. `disk` is the entry's part of the store, with its ready copy; what several entries share is divided among them.\n\nExamples:\n  local-cache list --sort disk --limit 10\n  local-cache list --repository acme/app --ref main --kind target\n  local-cache list --json"
)]
pub(super) struct ListArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Order of the entries
    #[arg(long, value_enum, default_value = "used")]
    sort: Sort,
    /// List only the first entries in this order
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Print only the IDs and keys, one per line
    #[arg(long)]
    names: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The last used first
    Used,
    /// The newest first
    Saved,
    /// The one with the most bytes first
    Size,
    /// The one that takes the most space on disk first
    Disk,
    /// By repository and branch
    Repository,
    /// By key
    Key,
}

/// An entry and its share of the store, in bytes.
type Row = (ListedEntry, u64);

pub(super) fn list(context: &mut CommandContext<'_>, args: &ListArgs) -> Result<Exit> {
    let needs_shares = !args.names || args.sort == Sort::Disk;
    let (all, shares) = match context.open_store()? {
        Some(store) => find(context, &store, needs_shares)?,
        None => (Vec::new(), Vec::new()),
    };
    let ids = ShortIds::of(all.iter().map(|listed| &listed.id));
    let is_empty = all.is_empty();
    let rows = all.into_iter().zip(shares);
    let mut rows: Vec<Row> = rows
        .filter(|(listed, _)| args.selection.contains(&listed.entry))
        .collect();
    sort(&mut rows, args.sort);
    let selected = rows.len();
    let total = total_line(&rows);
    rows.truncate(args.limit.unwrap_or(usize::MAX));
    if args.names && !context.json {
        context.write(names(&rows, &ids).as_bytes())?;
        return Ok(Exit::Done);
    }
    let json: Value = rows.iter().map(row_json).collect();
    let text = if is_empty {
        no_entries(context.cache_root)
    } else if selected == 0 {
        "💿 no entry is selected; `local-cache list` shows all entries\n".to_owned()
    } else {
        let screen = context.terminal.output;
        let shown = if rows.len() < selected {
            format!("the first {} of ", rows.len())
        } else {
            String::new()
        };
        format!("{}\n{shown}{total}\n", table(&rows, &ids, screen))
    };
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

/// All entries, and what each takes of the store. A shell that completes a name does not wait for the
/// shares, which need every manifest; they are zero then.
fn find(
    context: &CommandContext<'_>,
    store: &Store,
    needs_shares: bool,
) -> Result<(Vec<ListedEntry>, Vec<u64>)> {
    if needs_shares {
        let all = entries::inventory(store, context.monitor)?;
        return Ok(all.into_iter().unzip());
    }
    let all = entries::list(store, context.monitor)?;
    let shares = vec![0; all.len()];
    Ok((all, shares))
}

/// What `show` and `rm` take, for completions and scripts.
fn names(rows: &[Row], ids: &ShortIds) -> String {
    let ids = rows.iter().map(|(listed, _)| ids.show(&listed.id));
    let mut keys: Vec<String> = rows.iter().map(|(it, _)| one_line(&it.entry.key)).collect();
    keys.sort_unstable();
    keys.dedup();
    ids.chain(keys).map(|name| name + "\n").collect()
}

fn no_entries(cache_root: &Path) -> String {
    format!("💿 no entries in {}\n", cache_root.display())
}

/// Sorts rows that are in the order of their last use.
fn sort(rows: &mut [Row], order: Sort) {
    match order {
        Sort::Used => {}
        Sort::Saved => rows.sort_by_key(|(it, _)| Reverse(it.entry.created)),
        Sort::Size => rows.sort_by_key(|(it, _)| Reverse(it.entry.bytes)),
        Sort::Disk => rows.sort_by_key(|(_, share)| Reverse(*share)),
        Sort::Repository => {
            let name = |entry: &Entry| (repository(entry).to_owned(), branch(entry).to_owned());
            rows.sort_by_cached_key(|(it, _)| name(&it.entry));
        }
        Sort::Key => rows.sort_by(|(a, _), (b, _)| a.entry.key.cmp(&b.entry.key)),
    }
}

fn table(rows: &[Row], ids: &ShortIds, screen: Screen) -> String {
    let mut table = EntryTable::new(ids, &["disk", "saved", "used"], &[]);
    for (listed, share) in rows {
        let cells = [
            bytes(*share),
            age_of(listed.entry.created),
            age_of(listed.last_used),
        ];
        table.add(&listed.id, &listed.entry, &cells);
    }
    table.show(screen)
}

/// `12 entries, 4.2 GB; 1.3 GB on disk: acme/app 1.1 GB, acme/lib 200 MB`
fn total_line(rows: &[Row]) -> String {
    let entries = plural(rows.len() as u64, "entry", "entries");
    let size = bytes(rows.iter().map(|(it, _)| it.entry.bytes).sum());
    let disk = bytes(rows.iter().map(|(_, share)| share).sum());
    let mut of_repositories: Vec<(&str, u64)> = Vec::new();
    for (listed, share) in rows {
        let name = repository(&listed.entry);
        match of_repositories.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += share,
            None => of_repositories.push((name, *share)),
        }
    }
    of_repositories.sort_by_key(|(name, sum)| (Reverse(*sum), name.to_owned()));
    let more = of_repositories.len().saturating_sub(NAMED_REPOSITORIES);
    let mut named: Vec<String> = of_repositories
        .iter()
        .take(NAMED_REPOSITORIES)
        .map(|(name, sum)| format!("{} {}", one_line(name), bytes(*sum)))
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let named = if of_repositories.len() > 1 {
        format!(": {}", named.join(", "))
    } else {
        String::new()
    };
    format!("{entries}, {size}; {disk} on disk{named}")
}

fn row_json((listed, share): &Row) -> Value {
    let mut value = entry_json(listed);
    value["disk-bytes"] = json!(share);
    value
}

pub(super) fn entry_json(listed: &ListedEntry) -> Value {
    let Entry {
        group,
        key,
        created,
        files,
        directories,
        bytes,
        added_bytes,
        parts,
        ..
    } = &listed.entry;
    json!({
        "entry": listed.id,
        "kind": group.kind,
        "scope": group.scope,
        "ref": group.git_ref,
        "paths": group.paths,
        "key": key,
        "parts": parts,
        "created": created.seconds,
        "last-used": listed.last_used.seconds,
        "files": files,
        "directories": directories,
        "bytes": bytes,
        "added-bytes": added_bytes,
    })
}
