//! Statistics for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use crate::fmt::human::{bytes, count, elapsed};
use crate::fmt::table::Table;
use crate::stats::compare::{Comparison, MIN_RUNS, TimeSaved};
use crate::stats::{DurationSummary, Experiment, Figures, NamedFigures, Stats};

/// Days that are shown one by one; the JSON has all.
const DAYS: usize = 14;

/// All of it as lines of text.
pub fn render(stats: &Stats) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(stats, &mut out);
    out
}

fn write_all(stats: &Stats, out: &mut String) -> std::fmt::Result {
    if stats.events == 0 {
        writeln!(
            out,
            "💿 nothing is recorded yet: jobs that use the action leave a line for each phase, once one of them has saved"
        )?;
        return skipped(stats, out);
    }
    summary(&stats.total, out)?;
    if let Some(disk) = stats.disk {
        writeln!(
            out,
            "disk        {} % used, {} free; the store takes {}",
            disk.used_percent,
            bytes(disk.free_bytes),
            bytes(disk.store_bytes)
        )?;
    }
    figures("repository", &stats.repositories, out)?;
    figures("kind", &stats.kinds, out)?;
    figures(
        "day",
        &stats.days[stats.days.len().saturating_sub(DAYS)..],
        out,
    )?;
    let titles = [
        (
            "jobs without and with the cache (control group)",
            &stats.experiments,
        ),
        ("jobs after a miss and after a hit", &stats.misses_and_hits),
    ];
    for (title, experiments) in titles {
        if !experiments.is_empty() {
            writeln!(out, "\n{title}")?;
            experiments
                .iter()
                .try_for_each(|experiment| writeln!(out, "  {}", sentence(experiment)))?;
        }
    }
    skipped(stats, out)
}

fn skipped(stats: &Stats, out: &mut String) -> std::fmt::Result {
    match stats.skipped_lines {
        0 => Ok(()),
        lines => writeln!(
            out,
            "\n⚠️ {} of the journal could not be read and were skipped",
            lines_of(lines)
        ),
    }
}

fn lines_of(lines: u64) -> String {
    crate::fmt::human::plural(lines, "line", "lines")
}

fn summary(total: &Figures, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "lookups     {}: {} exact, {} prefix, {} missed ({} found)",
        count(total.lookups()),
        count(total.exact),
        count(total.prefix),
        count(total.miss),
        percent(total.hit_rate())
    )?;
    writeln!(
        out,
        "restored    {} in {}; {} of it not copied (in place already)",
        bytes(total.restored_bytes),
        spread(&total.restores),
        bytes(total.not_copied_bytes)
    )?;
    writeln!(
        out,
        "saved       {} in {}; {} of it new",
        bytes(total.saved_bytes),
        spread(&total.saves),
        bytes(total.added_bytes)
    )?;
    if total.jobs.count > 0 {
        writeln!(out, "jobs        {}", spread(&total.jobs))?;
    }
    if total.removed_entries > 0 {
        let entries = crate::fmt::human::plural(total.removed_entries, "entry", "entries");
        writeln!(
            out,
            "cleaned     {entries}, {} given back",
            bytes(total.freed_bytes)
        )?;
    }
    if total.failures > 0 {
        writeln!(
            out,
            "failed      {}",
            crate::fmt::human::plural(total.failures, "phase", "phases")
        )?;
    }
    Ok(())
}

fn figures(heading: &str, all: &[NamedFigures], out: &mut String) -> std::fmt::Result {
    let mut table = Table::new([
        heading,
        "lookups",
        "found",
        "exact",
        "restored",
        "not copied",
        "restore",
        "save",
        "new",
        "job",
    ])
    .align_right([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for NamedFigures { name, figures } in all {
        table.add_row([
            if name.is_empty() {
                "(none)".to_owned()
            } else {
                one_line(name)
            },
            count(figures.lookups()),
            percent(figures.hit_rate()),
            percent(crate::stats::ratio(figures.exact, figures.lookups())),
            bytes(figures.restored_bytes),
            bytes(figures.not_copied_bytes),
            median(&figures.restores),
            median(&figures.saves),
            bytes(figures.added_bytes),
            median(&figures.jobs),
        ]);
    }
    if table.is_empty() {
        Ok(())
    } else {
        write!(out, "\n{table}")
    }
}

/// A comparison in a sentence.
pub fn sentence(experiment: &Experiment) -> String {
    let Experiment {
        repository,
        workflow,
        job,
        comparison,
    } = experiment;
    let name = one_line(&format!("{repository} {workflow} / {job}"));
    let Comparison {
        without,
        with,
        without_median,
        with_median,
        saved,
    } = comparison;
    let median = |median: &Option<u64>| median.map_or_else(|| "-".to_owned(), milliseconds);
    let groups = format!(
        "{} ({}) without, {} ({}) with",
        median(without_median),
        runs(*without),
        median(with_median),
        runs(*with)
    );
    format!("{name}: {groups}; {}", verdict(saved.as_ref()))
}

fn runs(number: usize) -> String {
    crate::fmt::human::plural(number as u64, "run", "runs")
}

/// What an interval means, in words.
pub fn verdict(saved: Option<&TimeSaved>) -> String {
    match saved {
        None => format!("too few runs to say what the cache saves: {MIN_RUNS} of each are needed"),
        Some(TimeSaved { median, low, high }) if *low > 0 => {
            format!(
                "it saves {} a job ({} to {})",
                signed(*median),
                signed(*low),
                signed(*high)
            )
        }
        Some(TimeSaved { median, low, high }) if *high < 0 => {
            format!(
                "it costs {} a job ({} to {})",
                signed(-median),
                signed(-high),
                signed(-low)
            )
        }
        Some(TimeSaved { low, high, .. }) => {
            format!(
                "no difference can be told: it saves between {} and {} a job",
                signed(*low),
                signed(*high)
            )
        }
    }
}

fn signed(difference: i64) -> String {
    let sign = if difference < 0 { "-" } else { "" };
    format!("{sign}{}", milliseconds(difference.unsigned_abs()))
}

fn spread(spread: &DurationSummary) -> String {
    let DurationSummary {
        count: number,
        total_milliseconds,
        median_milliseconds,
        p90_milliseconds,
    } = spread;
    match number {
        0 => "0 runs".to_owned(),
        _ => format!(
            "{} runs, {} in all, median {}, nine of ten within {}",
            count(*number),
            milliseconds(*total_milliseconds),
            milliseconds(*median_milliseconds),
            milliseconds(*p90_milliseconds)
        ),
    }
}

/// A duration in milliseconds as people read it.
pub fn milliseconds(milliseconds: u64) -> String {
    elapsed(Duration::from_millis(milliseconds))
}

/// The median of durations as people read it; `-` where there are none.
pub fn median(spread: &DurationSummary) -> String {
    if spread.count == 0 {
        "-".to_owned()
    } else {
        milliseconds(spread.median_milliseconds)
    }
}

/// A part as a percentage; `-` for a part of nothing.
pub fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(
        || "-".to_owned(),
        |ratio| format!("{:.0} %", (ratio * 100.0).floor()),
    )
}

/// Names come from workflows: on one line, with nothing that a terminal would act on.
fn one_line(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}
