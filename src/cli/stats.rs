//! `local-cache stats`: what jobs gained from the cache.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use super::values::parse_duration;
use crate::stats::Stats;
use crate::stats::aggregate::aggregate;
use crate::stats::event;
use crate::stats::journal;
use crate::stats::render::{prometheus, text};
use crate::store::layout::Layout;

/// Show hits, time and bytes saved by the cache: by repository, kind and day
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache stats --since 30d\n  local-cache stats --format prometheus > /var/lib/node_exporter/local_cache.prom"
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
    match args.format {
        StatsFormat::Prometheus if !context.json => {
            context.write(prometheus::render(&stats).as_bytes())?;
        }
        StatsFormat::Text if !context.json => {
            context.write(text::render(&stats).as_bytes())?;
            if stats.events == 0 {
                let line = format!("   cache root: {}\n", context.cache_root.display());
                context.write(line.as_bytes())?;
            }
        }
        StatsFormat::Json | StatsFormat::Text | StatsFormat::Prometheus => {
            let json = serde_json::to_value(&stats)
                .unwrap_or_else(|error| json!({ "error": error.to_string() }));
            context.write(format!("{json:#}\n").as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

/// Aggregates the events in the store's journal.
pub(super) fn gather_stats(
    context: &CommandContext<'_>,
    since: Option<Duration>,
    repository: Option<&str>,
) -> Result<Stats> {
    let mut journal = journal::read(&Layout::new(context.cache_root).events())?;
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
