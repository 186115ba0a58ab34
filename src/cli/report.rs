//! `report`: statistics as a page.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::commands::CommandContext;
use super::{Exit, Failure};
use crate::fmt::human::{age, bytes};
use crate::fs::{Timestamp, files};
use crate::ops::inventory::inventory;
use crate::stats::render::html;
use crate::stats::render::markup::EntryRow;
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// File to write the page to; `-` for standard output
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// Count nothing that is older, such as `30d` or `12h`
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration)]
    since: Option<Duration>,
}

pub(super) fn report(context: &mut CommandContext<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let stats = super::stats::gathered(context, args.since, None)?;
    let entries = match Store::open(&context.common.cache_root)? {
        Some(store) => inventory(&store, context.monitor)?,
        None => Vec::new(),
    };
    let now = Timestamp::now();
    let held: Vec<EntryRow> = entries
        .into_iter()
        .map(|(listed, bytes)| {
            let seconds = now.seconds.saturating_sub(listed.last_used.seconds);
            EntryRow {
                repository: listed.entry.group.scope,
                kind: listed.entry.group.kind.to_string(),
                key: listed.entry.key,
                bytes,
                last_used: format!(
                    "{} ago",
                    age(Duration::from_secs(
                        u64::try_from(seconds).unwrap_or_default()
                    ))
                ),
            }
        })
        .collect();
    let made = humantime::format_rfc3339_seconds(now.into())
        .to_string()
        .replace('T', " ")
        .replace('Z', " UTC");
    let page = html::render(&stats, &held, &made);
    if args.html.as_os_str() == "-" {
        context.out.write_all(page.as_bytes())?;
        return Ok(Exit::Done);
    }
    let path = context.base.working_directory.join(&args.html);
    files::write_atomically(&path, page.as_bytes())?;
    let text = format!(
        "✅ wrote {}, {}\n",
        path.display(),
        bytes(page.len() as u64)
    );
    context.print(
        &text,
        &json!({ "file": path.display().to_string(), "bytes": page.len() }),
    )?;
    Ok(Exit::Done)
}
