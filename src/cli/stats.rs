//! `local-cache stats`: what jobs gained from the cache.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::context::{CommandContext, json_text, plain_lines};
use super::exit::Exit;
use super::values::parse_duration;
use crate::fs::files;
use crate::stats::Stats;
use crate::stats::aggregate::aggregate;
use crate::stats::event;
use crate::stats::journal::{self, JournalContents};
use crate::stats::render::{prometheus, text};
use crate::store::Store;

/// Show hits, time and bytes saved by the cache: by repository, kind and day
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache stats --since 30d\n  local-cache stats --format prometheus --output /var/lib/node_exporter/textfile/local_cache.prom"
)]
pub(super) struct StatsArgs {
    /// Only count jobs of the last `30d`, `12h` or any other duration
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Only count jobs of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Output format; `--json` is the same as `--format json`
    #[arg(long, value_enum, default_value = "text")]
    format: StatsFormat,
    /// Write to this file instead of standard output, at once: readers never see half of it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatsFormat {
    /// Tables for people
    Text,
    /// One JSON document
    Json,
    /// For the text file collector of Prometheus' node exporter
    Prometheus,
}

pub(super) fn stats(context: &mut CommandContext<'_>, args: &StatsArgs) -> Result<Exit> {
    let stats = gather_stats(context, args.since, args.repository.as_deref())?;
    let text = match args.format {
        StatsFormat::Prometheus if !context.json => prometheus::render(&stats),
        StatsFormat::Text if !context.json => {
            let mut text = text::render(&stats, context.terminal.output);
            if stats.events == 0 {
                // Writing to a string does not fail.
                let _ = writeln!(text, "   cache root: {}", context.cache_root.display());
            }
            plain_lines(&text)
        }
        StatsFormat::Json | StatsFormat::Text | StatsFormat::Prometheus => {
            let json = serde_json::to_value(&stats)
                .unwrap_or_else(|error| json!({ "error": error.to_string() }));
            json_text(&json)
        }
    };
    match &args.output {
        Some(file) => {
            let path = context.base.working_directory.join(file);
            files::write_atomically(&path, text.as_bytes())?;
        }
        None => context.write(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// Aggregates the events in the store's journal.
pub(super) fn gather_stats(
    context: &CommandContext<'_>,
    since: Option<Duration>,
    repository: Option<&str>,
) -> Result<Stats> {
    let mut journal = match Store::open_journal(context.cache_root)? {
        Some(journal) => journal::read(&journal)?,
        None => JournalContents::default(),
    };
    if let Some(repository) = repository {
        journal
            .events
            .retain(|event| event.run.repository.eq_ignore_ascii_case(repository));
    }
    let start = since.map(|since| {
        let milliseconds = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        event::now().saturating_sub(milliseconds)
    });
    let stats = aggregate(&journal, start);
    // The program ends soon, and freeing a hundred thousand events takes nearly as long as counting
    // them.
    std::mem::forget(journal);
    Ok(stats)
}
