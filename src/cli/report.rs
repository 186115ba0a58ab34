//! `local-cache report`: the statistics as a web page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use super::selection::{branch, repository};
use super::stats::gather_stats;
use super::text::age_of;
use super::values::parse_duration;
use crate::fmt::human::bytes;
use crate::fs::{Timestamp, files};
use crate::ops::entries::ListedEntry;
use crate::ops::entries::inventory;
use crate::stats::render::html::{self, PageOrigin};
use crate::stats::render::markup::EntryRow;

/// Write the statistics and the contents of the store to one HTML page with charts
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  local-cache report --html /var/www/html/local-cache.html --since 90d"
)]
pub(super) struct ReportArgs {
    /// File to write the page to; `-` for standard output
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// Only count jobs of the last `30d`, `12h` or any other duration
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
}

pub(super) fn report(context: &mut CommandContext<'_>, args: &ReportArgs) -> Result<Exit> {
    let stats = gather_stats(context, args.since, None)?;
    let entries = match context.open_store()? {
        Some(store) => inventory(&store, context.monitor)?,
        None => Vec::new(),
    };
    let rows: Vec<EntryRow> = entries.into_iter().map(row).collect();
    let origin = PageOrigin {
        host: host_name(),
        cache_root: context.cache_root.display().to_string(),
        created: now_text(),
    };
    let page = html::render(&stats, &rows, &origin);
    if args.html.as_os_str() == "-" {
        context.write(page.as_bytes())?;
        return Ok(Exit::Done);
    }
    write_page(context, &args.html, &page)?;
    Ok(Exit::Done)
}

fn write_page(context: &mut CommandContext<'_>, file: &Path, page: &str) -> Result<()> {
    let path = context.base.working_directory.join(file);
    files::write_atomically(&path, page.as_bytes())?;
    let text = format!(
        "✅ wrote {}, {}\n",
        path.display(),
        bytes(page.len() as u64)
    );
    context.print(
        &text,
        &json!({ "file": path.display().to_string(), "bytes": page.len() }),
    )
}

fn row((listed, bytes): (ListedEntry, u64)) -> EntryRow {
    EntryRow {
        repository: match repository(&listed.entry) {
            "-" => String::new(),
            name => name.to_owned(),
        },
        branch: branch(&listed.entry).to_owned(),
        kind: listed.entry.group.kind.to_string(),
        key: listed.entry.key,
        bytes,
        last_used: format!("{} ago", age_of(listed.last_used)),
    }
}

/// The name of this machine; empty if it is unknown.
fn host_name() -> String {
    let name = files::read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().to_owned()
}

/// The time as `2026-07-01 12:34:56 UTC`.
fn now_text() -> String {
    humantime::format_rfc3339_seconds(Timestamp::now().into())
        .to_string()
        .replace('T', " ")
        .replace('Z', " UTC")
}
