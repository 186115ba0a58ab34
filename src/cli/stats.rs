//! `stats`: what jobs got out of the cache.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::commands::CommandContext;
use super::{Exit, Failure};
use crate::stats::Stats;
use crate::stats::aggregate::aggregate;
use crate::stats::event as events;
use crate::stats::journal;
use crate::stats::render::{prometheus, text};
use crate::store::layout::Layout;

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// Count nothing that is older, such as `30d` or `12h`
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration)]
    since: Option<Duration>,
    /// Count jobs of this repository alone
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// How to print it; `--json` is the same as `--format json`
    #[arg(long, value_enum, default_value = "text")]
    format: StatsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatsFormat {
    /// Tables
    Text,
    /// One JSON document
    Json,
    /// What Prometheus reads, for its node exporter's text file collector
    Prometheus,
}

pub(super) fn stats(context: &mut CommandContext<'_>, args: &StatsArgs) -> Result<Exit, Failure> {
    let stats = gathered(context, args.since, args.repository.as_deref())?;
    match args.format {
        StatsFormat::Prometheus if !context.common.json => {
            context
                .out
                .write_all(prometheus::render(&stats).as_bytes())?;
        }
        StatsFormat::Text if !context.common.json => {
            context.out.write_all(text::render(&stats).as_bytes())?;
            if stats.events == 0 {
                writeln!(
                    context.out,
                    "   looked in {}",
                    context.common.cache_root.display()
                )?;
            }
        }
        StatsFormat::Json | StatsFormat::Text | StatsFormat::Prometheus => {
            let json = serde_json::to_value(&stats)
                .unwrap_or_else(|error| json!({ "error": error.to_string() }));
            writeln!(context.out, "{json:#}")?;
        }
    }
    Ok(Exit::Done)
}

/// The statistics of the store's journal.
pub(super) fn gathered(
    context: &CommandContext<'_>,
    since: Option<Duration>,
    repository: Option<&str>,
) -> Result<Stats, Failure> {
    let mut read = journal::read(&Layout::new(&context.common.cache_root).events())?;
    if let Some(wanted) = repository {
        read.events
            .retain(|event| event.run.repository.eq_ignore_ascii_case(wanted));
    }
    let milliseconds = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let stats = aggregate(
        &read,
        since.map(|since| events::now().saturating_sub(milliseconds(since))),
    );
    // To free a hundred thousand events one by one takes a good part of what counting them does,
    // and the program ends.
    std::mem::forget(read);
    Ok(stats)
}
