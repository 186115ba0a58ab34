//! `local-cache list`: all entries as a table, the most recently used first.
use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::text::{Rendered, age_of, one_line};
use crate::fmt::human::{bytes, count};
use crate::fmt::table::Table;
use crate::ops::entries::{self, ListedEntry};
use crate::store::Entry;

/// List all entries
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache list --json")]
pub(super) struct ListArgs {}

pub(super) fn list(context: &mut CommandContext<'_>) -> Result<Exit> {
    let entries = match context.open_store()? {
        Some(store) => entries::list(&store, context.monitor)?,
        None => Vec::new(),
    };
    let (text, json) = render(&entries, context.cache_root);
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

fn render(entries: &[ListedEntry], cache_root: &Path) -> Rendered {
    let json = entries.iter().map(entry_json).collect();
    if entries.is_empty() {
        return (format!("💿 no entries in {}\n", cache_root.display()), json);
    }
    let mut table = Table::new([
        "entry", "kind", "files", "size", "added", "saved", "used", "key",
    ])
    .align_right([2, 3, 4]);
    for ListedEntry {
        id,
        entry,
        last_used,
    } in entries
    {
        table.add_row([
            id.to_string()[..24].to_owned(),
            entry.group.kind.to_string(),
            count(entry.files),
            bytes(entry.bytes),
            bytes(entry.added_bytes),
            age_of(entry.created),
            age_of(*last_used),
            one_line(&entry.key),
        ]);
    }
    (table.to_string(), json)
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
        ..
    } = &listed.entry;
    json!({
        "entry": listed.id,
        "kind": group.kind,
        "scope": group.scope,
        "ref": group.git_ref,
        "paths": group.paths,
        "key": key,
        "created": created.seconds,
        "last-used": listed.last_used.seconds,
        "files": files,
        "directories": directories,
        "bytes": bytes,
        "added-bytes": added_bytes,
    })
}
