//! Statistics as one self-contained HTML page: no network, no script, inline SVG, light and dark,
//! also for phones.
//!
//! Names and keys are untrusted; all of them are escaped. As a second line of defence, the
//! `Content-Security-Policy` of the page forbids loading and running anything.

use std::fmt::Write as _;

use crate::fmt::human::{bytes, count, cut_middle, elapsed_ms, plural};
use crate::stats::compare::DurationComparison;
use crate::stats::periods::{date, day_of};
use crate::stats::render::markup::{EntryRow, NUMBER, TEXT, escape, name_of, table};
use crate::stats::render::text::{median, percent, verdict};
use crate::stats::render::{charts, tiers, timeline};
use crate::stats::{Experiment, Failure, Figures, Stats, ratio};

const STYLE: &str = include_str!("style.css");
/// Number of rows in the table of the largest entries.
const MAX_LARGEST: usize = 15;
/// Keys differ at their ends; what is between them is in the tooltip.
const MAX_KEY_CHARS: usize = 48;

/// Where and when a page was made, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOrigin {
    pub host: String,
    pub cache_root: String,
    pub created: String,
}

pub fn render(stats: &Stats, entries: &[EntryRow], origin: &PageOrigin) -> String {
    let mut body = String::new();
    // Writing to a string does not fail.
    let _ = write_body(stats, entries, origin, &mut body);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>local-cache</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn write_body(
    stats: &Stats,
    entries: &[EntryRow],
    origin: &PageOrigin,
    out: &mut String,
) -> std::fmt::Result {
    heading(stats, origin, out)?;
    tiles(stats, entries, out)?;
    writeln!(out, "<div class=\"cards\">")?;
    chart_cards(stats, entries, out)?;
    tier_card(&stats.total, out)?;
    trends(stats, out)?;
    failures(stats, out)?;
    experiments(stats, out)?;
    largest(entries, out)?;
    repositories(stats, out)?;
    writeln!(out, "</div>")?;
    if stats.skipped_lines > 0 {
        let lines = plural(stats.skipped_lines, "line", "lines");
        writeln!(
            out,
            "<p class=\"dim\">{lines} of the journal could not be read and were skipped.</p>"
        )?;
    }
    Ok(())
}

fn heading(stats: &Stats, origin: &PageOrigin, out: &mut String) -> std::fmt::Result {
    let days = stats.days.first().zip(stats.days.last());
    let span = days.map_or_else(
        || "nothing recorded yet".to_owned(),
        |(first, last)| format!("{} to {}", first.name, last.name),
    );
    let phases = plural(stats.events, "phase", "phases");
    writeln!(
        out,
        "<h1>local-cache on {}</h1>\n<p class=\"dim\">{}: {}, {phases}; created {}</p>",
        escape(&origin.host),
        escape(&origin.cache_root),
        escape(&span),
        escape(&origin.created)
    )
}

fn chart_cards(stats: &Stats, entries: &[EntryRow], out: &mut String) -> std::fmt::Result {
    // Every day that was asked for.
    let skipped = if stats.is_limited {
        0
    } else {
        stats.days.len().saturating_sub(charts::MAX_DAYS)
    };
    let days = &stats.days[skipped..];
    card(
        "Lookup results by day",
        "percentage of the lookups of each day",
        &charts::lookups(days),
        out,
    )?;
    card(
        "Disk used",
        "at the end of each day; the dashed line is the limit of the last job",
        &timeline::disk(&stats.disk_days, stats.limits),
        out,
    )?;
    card(
        "Size of the store",
        "at the end of each day",
        &timeline::store(&stats.disk_days, stats.limits),
        out,
    )?;
    card(
        "Disk use by repository and kind",
        "",
        &charts::disk(entries),
        out,
    )?;
    card(
        "Bytes restored, by day",
        "not copied: in place already or restored by a rename",
        &charts::restored(days),
        out,
    )
}

fn card(title: &str, note: &str, chart: &str, out: &mut String) -> std::fmt::Result {
    let note = if note.is_empty() {
        String::new()
    } else {
        format!("<p class=\"dim\">{note}</p>\n")
    };
    writeln!(
        out,
        "<section class=\"card\">\n<h2>{title}</h2>\n{note}{chart}</section>"
    )
}

fn tiles(stats: &Stats, entries: &[EntryRow], out: &mut String) -> std::fmt::Result {
    writeln!(out, "<div class=\"tiles\">")?;
    for (value, what) in tile_texts(stats, entries) {
        writeln!(
            out,
            "<section class=\"card tile\"><b>{}</b><span class=\"dim\">{}</span></section>",
            escape(&value),
            escape(&what)
        )?;
    }
    writeln!(out, "</div>")
}

/// The figure of each tile, and what it counts.
fn tile_texts(stats: &Stats, entries: &[EntryRow]) -> Vec<(String, String)> {
    let total = &stats.total;
    let lookups = plural(total.lookups(), "lookup", "lookups");
    let restores = plural(total.restores.count, "restore", "restores");
    let restored = match ratio(total.not_copied_bytes, total.restored_bytes) {
        Some(part) => format!("restored, {} of it not copied", percent(Some(part))),
        None => "restored".to_owned(),
    };
    let on_disk = bytes(entries.iter().map(|entry| entry.bytes).sum());
    let entries = plural(entries.len() as u64, "entry", "entries");
    let mut texts = Vec::new();
    if let Some(rate) = total.job_hit_rate() {
        let jobs = plural(total.hit_jobs + total.missed_jobs, "job", "jobs");
        texts.push((percent(Some(rate)), format!("of {jobs} with a hit")));
    }
    texts.extend([
        (percent(total.hit_rate()), format!("of {lookups} found")),
        (median(&total.restores), format!("median of {restores}")),
        (bytes(total.restored_bytes), restored),
        (on_disk, format!("on disk in {entries}")),
    ]);
    if let Some(disk) = stats.disk {
        let free = bytes(disk.free_bytes);
        let used = format!("{} %", disk.used_percent);
        texts.push((used, format!("of the disk used, {free} free")));
    }
    texts.extend(time_saved(stats));
    texts
}

/// The total time that the cache saved, from the better comparison of the two; none if there are
/// too few runs.
fn time_saved(stats: &Stats) -> Option<(String, String)> {
    let sources = [
        (&stats.experiments, "the control group"),
        (&stats.misses_and_hits, "jobs after a miss"),
    ];
    sources.into_iter().find_map(|(experiments, baseline)| {
        let known = experiments.iter().filter_map(|experiment| {
            let DurationComparison { saved, with, .. } = &experiment.comparison;
            Some(
                saved
                    .as_ref()?
                    .median
                    .max(0)
                    .unsigned_abs()
                    .saturating_mul(*with as u64),
            )
        });
        let parts: Vec<u64> = known.collect();
        let sum: u64 = parts.iter().sum();
        (!parts.is_empty()).then(|| {
            (
                elapsed_ms(sum),
                format!("of job time saved, compared with {baseline}"),
            )
        })
    })
}

fn tier_card(total: &Figures, out: &mut String) -> std::fmt::Result {
    if !total.has_remote() {
        return Ok(());
    }
    card(
        "Store and remote",
        "where lookups found their entries, and what went over the network",
        &tiers::tables(total),
        out,
    )
}

/// The durations of each job's last runs: jobs differ too much for one median of all.
fn trends(stats: &Stats, out: &mut String) -> std::fmt::Result {
    let body = if stats.job_trends.is_empty() {
        charts::empty("no finished jobs yet")
    } else {
        timeline::trends(&stats.job_trends)
    };
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>Duration of jobs</h2>\n\
         <p class=\"dim\">the last runs of each job, from the first phase to the last</p>\n{body}</section>"
    )
}

fn failures(stats: &Stats, out: &mut String) -> std::fmt::Result {
    if stats.failures.is_empty() {
        return Ok(());
    }
    let mut rows = String::new();
    for Failure {
        reason,
        count: times,
        last,
        repository,
    } in &stats.failures
    {
        writeln!(
            rows,
            "<tr><td class=\"number\">{}</td><td>{}</td><td>{}</td><td class=\"key\">{}</td></tr>",
            count(*times),
            date(day_of(*last)),
            escape(name_of(repository)),
            escape(reason)
        )?;
    }
    let columns = [
        ("times", NUMBER),
        ("last", TEXT),
        ("in", TEXT),
        ("reason", TEXT),
    ];
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>Failed phases</h2>\n{}\n</section>",
        table(&columns, &rows)
    )
}

fn experiments(stats: &Stats, out: &mut String) -> std::fmt::Result {
    let (experiments, title, note) = if stats.experiments.is_empty() {
        (
            &stats.misses_and_hits,
            "Jobs after a miss and after a hit",
            "Runs with a miss also differ in other ways; an <code>experiment</code> compares randomly chosen runs.",
        )
    } else {
        (
            &stats.experiments,
            "Jobs without and with the cache",
            "The control group does not restore. The bar is the 95 % confidence interval of the difference.",
        )
    };
    let mut body = charts::differences(experiments);
    for Experiment {
        repository,
        workflow,
        job,
        comparison,
    } in experiments
    {
        let DurationComparison {
            without,
            with,
            without_median,
            with_median,
            saved,
        } = comparison;
        let median = |median: &Option<u64>| median.map_or_else(|| "-".to_owned(), elapsed_ms);
        writeln!(
            body,
            "<p><b>{}</b><br><span class=\"dim\">{} in {} without, {} in {} with: {}</span></p>",
            escape(&format!("{repository} {workflow} / {job}")),
            median(without_median),
            plural(*without as u64, "run", "runs"),
            median(with_median),
            plural(*with as u64, "run", "runs"),
            escape(&verdict(saved.as_ref()))
        )?;
    }
    if experiments.is_empty() {
        body = charts::empty("no jobs to compare yet");
    }
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>{title}</h2>\n<p class=\"dim\">{note}</p>\n{body}</section>"
    )
}

fn largest(entries: &[EntryRow], out: &mut String) -> std::fmt::Result {
    let mut sorted: Vec<&EntryRow> = entries.iter().collect();
    sorted.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.key.cmp(&b.key)));
    let mut rows = String::new();
    for EntryRow {
        repository,
        branch,
        kind,
        key,
        bytes: size,
        last_used: used,
    } in sorted.into_iter().take(MAX_LARGEST)
    {
        writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"key\" title=\"{}\">{}</td></tr>",
            escape(name_of(repository)),
            escape(branch),
            escape(kind),
            bytes(*size),
            escape(used),
            escape(key),
            escape(&cut_middle(key, MAX_KEY_CHARS))
        )?;
    }
    let table = if rows.is_empty() {
        charts::empty("the store has no entries")
    } else {
        let columns = [
            ("repository", TEXT),
            ("branch", TEXT),
            ("kind", TEXT),
            ("on disk", NUMBER),
            ("used", NUMBER),
            ("key", TEXT),
        ];
        table(&columns, &rows) + "\n"
    };
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>Largest entries</h2>\n{table}</section>"
    )
}

fn repositories(stats: &Stats, out: &mut String) -> std::fmt::Result {
    if stats.cells.is_empty() {
        return Ok(());
    }
    let mut rows = String::new();
    for cell in &stats.cells {
        write!(rows, "<tr>")?;
        for name in [name_of(&cell.repository), &cell.kind] {
            write!(rows, "<td>{}</td>", escape(name))?;
        }
        for figure in cell_figures(&cell.figures) {
            write!(rows, "<td class=\"number\">{figure}</td>")?;
        }
        writeln!(rows, "</tr>")?;
    }
    let columns = [
        ("repository", TEXT),
        ("kind", TEXT),
        ("lookups", NUMBER),
        ("found", NUMBER),
        ("restore", NUMBER),
        ("save", NUMBER),
        ("restored", NUMBER),
    ];
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>By repository and kind</h2>\n{}</section>",
        table(&columns, &rows)
    )
}

fn cell_figures(figures: &Figures) -> [String; 5] {
    let restored = if figures.restores.count == 0 {
        "-".to_owned()
    } else {
        bytes(figures.restored_bytes)
    };
    [
        count(figures.lookups()),
        percent(figures.hit_rate()),
        median(&figures.restores),
        median(&figures.saves),
        restored,
    ]
}
