//! Statistics as one page that needs nothing else: no network, no script, inline SVG, light and
//! dark, on a phone too.
//!
//! Names and keys are anybody's text; all of them pass [`escape`] on their way in. The page forbids
//! itself whatever it does not have (`Content-Security-Policy`), so that nothing could be loaded or
//! run even if one slipped through.

use std::fmt::Write as _;

use crate::fmt::human::{bytes, count, plural};
use crate::stats::compare::Comparison;
use crate::stats::render::charts;
use crate::stats::render::markup::{EntryRow, escape, name_of};
use crate::stats::render::text::{median, milliseconds, percent, verdict};
use crate::stats::{Experiment, Stats, ratio};

const STYLE: &str = include_str!("style.css");
/// Entries in the table of the largest.
const LARGEST: usize = 15;

/// The page.
pub fn render(stats: &Stats, held: &[EntryRow], made: &str) -> String {
    let mut body = String::new();
    // Writing to a string does not fail.
    let _ = write_body(stats, held, made, &mut body);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>local-cache</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn write_body(stats: &Stats, held: &[EntryRow], made: &str, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<h1>local-cache</h1>")?;
    let days = stats.days.first().zip(stats.days.last());
    let span = days.map_or_else(
        || "nothing recorded yet".to_owned(),
        |(first, last)| format!("{} to {}", first.name, last.name),
    );
    writeln!(
        out,
        "<p class=\"dim\">{}, {}; made {}</p>",
        escape(&span),
        plural(stats.events, "phase", "phases"),
        escape(made)
    )?;
    tiles(stats, held, out)?;
    writeln!(out, "<div class=\"cards\">")?;
    let days = &stats.days[stats.days.len().saturating_sub(charts::DAYS)..];
    card(
        "What lookups found, by day",
        "in percent of the lookups of each day",
        &charts::lookups(days),
        out,
    )?;
    card(
        "How long jobs take",
        "median of all jobs of a day, from the first phase to the last",
        &charts::jobs(days),
        out,
    )?;
    card(
        "Disk use by repository and kind",
        "",
        &charts::disk(held),
        out,
    )?;
    card(
        "Bytes restored, by day",
        "not copied: in place already, or put back by a rename",
        &charts::restored(days),
        out,
    )?;
    experiments(stats, out)?;
    largest(held, out)?;
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

fn tiles(stats: &Stats, held: &[EntryRow], out: &mut String) -> std::fmt::Result {
    let total = &stats.total;
    let mut all = vec![
        (
            percent(total.hit_rate()),
            format!("of {} found", plural(total.lookups(), "lookup", "lookups")),
        ),
        (
            median(&total.restores),
            format!(
                "median of {}",
                plural(total.restores.count, "restore", "restores")
            ),
        ),
        (
            bytes(total.restored_bytes),
            ratio(total.not_copied_bytes, total.restored_bytes).map_or_else(
                || "restored".to_owned(),
                |part| format!("restored, {} of it not copied", percent(Some(part))),
            ),
        ),
        (
            bytes(held.iter().map(|held| held.bytes).sum()),
            format!(
                "on disk in {}",
                plural(held.len() as u64, "entry", "entries")
            ),
        ),
    ];
    if let Some(disk) = stats.disk {
        all.push((
            format!("{} %", disk.used_percent),
            format!("of the disk used, {} free", bytes(disk.free_bytes)),
        ));
    }
    if let Some((saved, how)) = time_saved(stats) {
        all.push((saved, how));
    }
    writeln!(out, "<div class=\"tiles\">")?;
    for (value, what) in all {
        writeln!(
            out,
            "<section class=\"card tile\"><b>{}</b><span class=\"dim\">{}</span></section>",
            escape(&value),
            escape(&what)
        )?;
    }
    writeln!(out, "</div>")
}

/// The time that jobs with the cache were shorter by, from the best comparison there is; none where
/// there are too few.
fn time_saved(stats: &Stats) -> Option<(String, String)> {
    let sources = [
        (&stats.experiments, "the control group"),
        (&stats.misses_and_hits, "jobs after a miss"),
    ];
    sources.into_iter().find_map(|(experiments, compared)| {
        let known = experiments.iter().filter_map(|experiment| {
            let Comparison { saved, with, .. } = &experiment.comparison;
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
                milliseconds(sum),
                format!("of job time saved, against {compared}"),
            )
        })
    })
}

fn experiments(stats: &Stats, out: &mut String) -> std::fmt::Result {
    let (experiments, title, note) = if stats.experiments.is_empty() {
        (
            &stats.misses_and_hits,
            "Jobs after a miss and after a hit",
            "Whoever misses differs by more than the cache; an <code>experiment</code> compares runs drawn by chance.",
        )
    } else {
        (
            &stats.experiments,
            "Jobs without and with the cache",
            "The control group goes without restoring. The bar is the interval that holds the difference with 95 % confidence.",
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
        let Comparison {
            without,
            with,
            without_median,
            with_median,
            saved,
        } = comparison;
        let median = |median: &Option<u64>| median.map_or_else(|| "-".to_owned(), milliseconds);
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
        body = charts::empty("there are no jobs to compare yet");
    }
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>{title}</h2>\n<p class=\"dim\">{note}</p>\n{body}</section>"
    )
}

fn largest(held: &[EntryRow], out: &mut String) -> std::fmt::Result {
    let mut sorted: Vec<&EntryRow> = held.iter().collect();
    sorted.sort_by(|one, other| {
        other
            .bytes
            .cmp(&one.bytes)
            .then_with(|| one.key.cmp(&other.key))
    });
    let mut rows = String::new();
    for EntryRow {
        repository,
        kind,
        key,
        bytes: size,
        last_used: used,
    } in sorted.into_iter().take(LARGEST)
    {
        writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"key\">{}</td></tr>",
            escape(name_of(repository)),
            escape(kind),
            bytes(*size),
            escape(used),
            escape(key)
        )?;
    }
    let table = if rows.is_empty() {
        charts::empty("the store has no entries")
    } else {
        format!(
            "<div class=\"scroll\"><table><thead><tr><th>repository</th><th>kind</th><th class=\"number\">on disk</th>\
             <th class=\"number\">used</th><th>key</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    };
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>Largest entries</h2>\n{table}</section>"
    )
}

fn repositories(stats: &Stats, out: &mut String) -> std::fmt::Result {
    let mut rows = String::new();
    for cell in &stats.cells {
        let figures = &cell.figures;
        writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escape(name_of(&cell.repository)),
            escape(&cell.kind),
            count(figures.lookups()),
            percent(figures.hit_rate()),
            median(&figures.restores),
            median(&figures.saves),
            if figures.restores.count == 0 {
                "-".to_owned()
            } else {
                bytes(figures.restored_bytes)
            }
        )?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section class=\"card wide\">\n<h2>By repository and kind</h2>\n<div class=\"scroll\"><table><thead><tr>\
         <th>repository</th><th>kind</th><th class=\"number\">lookups</th><th class=\"number\">found</th>\
         <th class=\"number\">restore</th><th class=\"number\">save</th><th class=\"number\">restored</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></div></section>"
    )
}
