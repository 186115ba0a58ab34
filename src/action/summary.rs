//! The job summary: what the caches of a step did, as Markdown that GitHub renders (pure).
//!
//! Keys and names are untrusted. Every character with a meaning in Markdown or HTML becomes a
//! numeric entity, which ends no cell, opens no tag and starts no link, and invisible characters
//! are shown as escapes. The chart contains numbers only.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::fmt::human::{bytes, count, cut_middle, elapsed_ms};
use crate::job::PastRun;
use crate::ops::free_space::DiskUsage;
use crate::ops::second_tier::TierReport;
use crate::stats::event::{DiskState, LookupResult};

/// Far below the runner's limit of 1 MiB.
const MAX_BYTES: usize = 64 << 10;
const MAX_KEY_CHARS: usize = 120;
const MAX_ROWS: usize = 40;
pub(crate) const TREND_RUNS: usize = 20;

/// What a step did with one cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryRow {
    pub name: String,
    pub key: String,
    /// None if nothing was looked up.
    pub hit: Option<LookupResult>,
    /// Whether the remote had the entry, and the store did not.
    #[serde(default)]
    pub from_remote: bool,
    pub files: u64,
    pub bytes: u64,
    pub written_bytes: u64,
    pub restore_milliseconds: Option<u64>,
    /// The result of saving, in a few words.
    pub saved: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct JobSummary<'a> {
    /// Whether the cache worked, in one line.
    pub verdict: Option<&'a str>,
    pub rows: &'a [SummaryRow],
    /// The disk before the job.
    pub before: Option<DiskUsage>,
    pub after: Option<DiskState>,
    /// What the remote did in all phases of the step.
    pub remote: Option<&'a TierReport>,
    pub notices: &'a [String],
    /// Runs of the job, the latest last.
    pub trend: &'a [PastRun],
}

/// The Markdown of a summary; none if it would be empty.
pub fn markdown(summary: &JobSummary<'_>) -> Option<String> {
    let mut text = String::from("### local-cache\n\n");
    let empty = text.len();
    // Writing to a string does not fail.
    let _ = write_all(summary, &mut text);
    (text.len() > empty && text.len() <= MAX_BYTES).then_some(text)
}

fn write_all(summary: &JobSummary<'_>, text: &mut String) -> std::fmt::Result {
    if let Some(verdict) = summary.verdict {
        writeln!(text, "**{}**\n", escape(verdict, 4 * MAX_KEY_CHARS))?;
    }
    if !summary.rows.is_empty() {
        table(summary.rows, text)?;
    }
    for notice in summary.notices.iter().take(MAX_ROWS) {
        writeln!(text, "> {}\n", escape(notice, 4 * MAX_KEY_CHARS))?;
    }
    if let Some(remote) = summary.remote.filter(|remote| !remote.is_empty()) {
        let line = escape(&remote.to_string(), 4 * MAX_KEY_CHARS);
        writeln!(text, "Remote {line}.\n")?;
    }
    disk(summary.before, summary.after, text)?;
    chart(
        &summary.trend[summary.trend.len().saturating_sub(TREND_RUNS)..],
        text,
    )
}

fn table(rows: &[SummaryRow], text: &mut String) -> std::fmt::Result {
    text.push_str("| cache | key | found | files | size | written | restored in | saved |\n");
    text.push_str("| --- | --- | --- | ---: | ---: | ---: | ---: | --- |\n");
    for row in rows.iter().take(MAX_ROWS) {
        write_row(row, text)?;
    }
    if rows.len() > MAX_ROWS {
        writeln!(text, "\n{} more caches", rows.len() - MAX_ROWS)?;
    }
    text.push('\n');
    Ok(())
}

fn write_row(row: &SummaryRow, text: &mut String) -> std::fmt::Result {
    let found = match row.hit {
        Some(LookupResult::Exact) => "exact",
        Some(LookupResult::Prefix) => "prefix",
        Some(LookupResult::Miss) => "miss",
        None => "-",
    };
    let from = if row.from_remote { ", remote" } else { "" };
    let is_hit = is_hit(row.hit);
    let has_size = row.files > 0 || row.bytes > 0;
    let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    writeln!(
        text,
        "| {} | <code>{}</code> | {found}{from} | {} | {} | {} | {} | {} |",
        escape(&row.name, MAX_KEY_CHARS),
        escape(&cut_middle(&row.key, MAX_KEY_CHARS), MAX_KEY_CHARS),
        cell(has_size.then(|| count(row.files))),
        cell(has_size.then(|| bytes(row.bytes))),
        cell(is_hit.then(|| bytes(row.written_bytes))),
        cell(row.restore_milliseconds.filter(|_| is_hit).map(elapsed_ms)),
        cell(row.saved.as_ref().map(|saved| escape(saved, MAX_KEY_CHARS))),
    )
}

fn disk(
    before: Option<DiskUsage>,
    after: Option<DiskState>,
    text: &mut String,
) -> std::fmt::Result {
    let Some(after) = after else { return Ok(()) };
    let was = |now: String, what: &str, then: Option<String>| match then {
        Some(then) if then != now => format!("{now} {what} (was {then})"),
        _ => format!("{now} {what}"),
    };
    writeln!(
        text,
        "Disk: {}, {}; the cache takes {}.\n",
        was(
            format!("{} %", after.used_percent),
            "used",
            before.map(|disk| format!("{} %", disk.used_percent))
        ),
        was(
            bytes(after.free_bytes),
            "free",
            before.map(|disk| bytes(disk.free_bytes))
        ),
        bytes(after.store_bytes),
    )
}

/// Colours of hits, misses and unknown runs that show on light and dark pages; Mermaid's own is
/// nearly white.
const BARS: &str = r##"%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#4c8bd0, #d9822b, #8c95a3"}}}}%%"##;

/// The durations of the last runs, if there are at least three.
fn chart(trend: &[PastRun], text: &mut String) -> std::fmt::Result {
    if trend.len() < 3 {
        return Ok(());
    }
    let longest = trend.iter().map(|run| run.job_milliseconds).max();
    let longest = longest.unwrap_or(0);
    let (unit, milliseconds_of_unit) = chart_unit(longest);
    // Tenths of the unit, so that no rounding error shows.
    let tenths = |milliseconds: u64| milliseconds.saturating_mul(10) / milliseconds_of_unit;
    let number = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    let kinds = [is_hit, is_miss, is_unknown];
    let count =
        |of: fn(Option<LookupResult>) -> bool| trend.iter().filter(|run| of(run.found)).count();
    let ago: Vec<String> = (0..trend.len())
        .rev()
        .map(|ago| format!("\"{ago}\""))
        .collect();
    let [hits, misses, unknown] = kinds.map(count);
    let unknown = match unknown {
        0 => String::new(),
        _ => format!(", {unknown} unknown (grey)"),
    };
    writeln!(
        text,
        "The last {} runs of this job: {hits} after a hit (blue), {misses} after a miss (orange){unknown}.\n",
        trend.len()
    )?;
    writeln!(text, "```mermaid\n{BARS}\nxychart-beta")?;
    writeln!(text, "    x-axis \"runs ago\" [{}]", ago.join(", "))?;
    writeln!(
        text,
        "    y-axis \"{unit}\" 0 --> {}",
        tenths(longest) / 10 + 1
    )?;
    // The bars of one kind for each line, and zeros in place of the others.
    for of in kinds {
        let bar = |run: &PastRun| {
            if of(run.found) {
                run.job_milliseconds
            } else {
                0
            }
        };
        let values: Vec<String> = trend.iter().map(|run| number(tenths(bar(run)))).collect();
        writeln!(text, "    bar [{}]", values.join(", "))?;
    }
    writeln!(text, "```\n")
}

/// The unit in which this many milliseconds are easy to read, and its length in milliseconds.
fn chart_unit(longest: u64) -> (&'static str, u64) {
    if longest < 180_000 {
        ("seconds", 1000)
    } else {
        ("minutes", 60_000)
    }
}

fn is_hit(found: Option<LookupResult>) -> bool {
    matches!(found, Some(LookupResult::Exact | LookupResult::Prefix))
}

fn is_miss(found: Option<LookupResult>) -> bool {
    found == Some(LookupResult::Miss)
}

fn is_unknown(found: Option<LookupResult>) -> bool {
    found.is_none()
}

/// Escapes text for Markdown, tables and HTML, and cuts it after `most` characters.
pub fn escape(text: &str, most: usize) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for (at, character) in text.chars().enumerate() {
        if at == most {
            safe.push('…');
            break;
        }
        let turns = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || turns {
            // The braces and the backslash of an escape must be escaped, too.
            for part in character.escape_unicode() {
                push(part, &mut safe);
            }
        } else {
            push(character, &mut safe);
        }
    }
    safe
}

fn push(character: char, safe: &mut String) {
    if character.is_ascii_punctuation() && !matches!(character, ',' | ';' | '%' | '/') {
        let _ = write!(safe, "&#{};", u32::from(character));
    } else {
        safe.push(character);
    }
}
