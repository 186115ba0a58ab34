//! Prints statistics on a terminal.

use std::fmt::Write as _;

use crate::fmt::human::{bytes, count, elapsed_ms, one_line, plural};
use crate::fmt::screen::Screen;
use crate::fmt::table::Table;
use crate::stats::compare::{DurationComparison, MIN_RUNS, TimeSaved};
use crate::stats::{DurationSummary, Experiment, Failure, Figures, NamedFigures, Stats};

/// Number of days in the table of everything that is recorded. The JSON has all of them.
const MAX_DAYS: usize = 14;

pub fn render(stats: &Stats, screen: Screen) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(stats, screen, &mut out);
    out
}

fn write_all(stats: &Stats, screen: Screen, out: &mut String) -> std::fmt::Result {
    if stats.events == 0 {
        writeln!(
            out,
            "💿 nothing is recorded yet: from the first save on, each phase of a job that uses the action records an event"
        )?;
        return write_skipped_lines(stats, out);
    }
    write_summary(&stats.total, out)?;
    if let Some(disk) = stats.disk {
        writeln!(
            out,
            "disk        {} % used, {} free; the store uses {}",
            disk.used_percent,
            bytes(disk.free_bytes),
            bytes(disk.store_bytes)
        )?;
    }
    write_table("repository", &stats.repositories, screen, out)?;
    write_table("kind", &stats.kinds, screen, out)?;
    // Every day that was asked for.
    let skipped = if stats.is_limited {
        0
    } else {
        stats.days.len().saturating_sub(MAX_DAYS)
    };
    write_table("day", &stats.days[skipped..], screen, out)?;
    write_experiments(
        "jobs without and with the cache (control group)",
        &stats.experiments,
        out,
    )?;
    write_experiments(
        "jobs after a miss and after a hit",
        &stats.misses_and_hits,
        out,
    )?;
    write_failures(stats, out)?;
    write_skipped_lines(stats, out)
}

fn write_failures(stats: &Stats, out: &mut String) -> std::fmt::Result {
    if stats.failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfailed phases")?;
    stats.failures.iter().try_for_each(|failure| {
        let times = plural(failure.count, "time", "times");
        let Failure {
            reason, repository, ..
        } = failure;
        writeln!(
            out,
            "  {times}, last in {}: {}",
            one_line(repository),
            one_line(reason)
        )
    })
}

fn write_experiments(
    title: &str,
    experiments: &[Experiment],
    out: &mut String,
) -> std::fmt::Result {
    if experiments.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    experiments
        .iter()
        .try_for_each(|experiment| writeln!(out, "  {}", sentence(experiment)))
}

fn write_skipped_lines(stats: &Stats, out: &mut String) -> std::fmt::Result {
    match stats.skipped_lines {
        0 => Ok(()),
        lines => writeln!(
            out,
            "\n⚠️ {} of the journal could not be read and were skipped",
            plural(lines, "line", "lines")
        ),
    }
}

fn write_summary(total: &Figures, out: &mut String) -> std::fmt::Result {
    if let Some(rate) = total.job_hit_rate() {
        writeln!(
            out,
            "jobs        {} with a hit, {} with a miss ({} hits)",
            count(total.hit_jobs),
            count(total.missed_jobs),
            percent(Some(rate))
        )?;
    }
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
    write_optional_totals(total, out)
}

/// Lines that are skipped if there is nothing to count.
fn write_optional_totals(total: &Figures, out: &mut String) -> std::fmt::Result {
    if total.has_remote() {
        let entries = plural(total.remote_hits, "entry", "entries");
        writeln!(
            out,
            "remote      {entries} found there; {} received, {} sent in {}",
            bytes(total.received_bytes),
            bytes(total.sent_bytes),
            elapsed_ms(total.remote_milliseconds)
        )?;
        if total.remote_background_milliseconds > 0 {
            let time = elapsed_ms(total.remote_background_milliseconds);
            writeln!(out, "            and {time} in the background")?;
        }
    }
    if total.jobs.count > 0 {
        writeln!(out, "durations   {}", spread(&total.jobs))?;
    }
    if total.removed_entries > 0 {
        let entries = plural(total.removed_entries, "entry", "entries");
        writeln!(
            out,
            "removed     {entries}, {} freed",
            bytes(total.freed_bytes)
        )?;
    }
    if total.failures > 0 {
        writeln!(
            out,
            "failed      {}",
            plural(total.failures, "phase", "phases")
        )?;
    }
    Ok(())
}

fn write_table(
    heading: &str,
    all: &[NamedFigures],
    screen: Screen,
    out: &mut String,
) -> std::fmt::Result {
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
    .align_right([1, 2, 3, 4, 5, 6, 7, 8, 9])
    .flexible([0]);
    for named in all {
        table.add_row(table_row(named));
    }
    if table.is_empty() {
        Ok(())
    } else {
        write!(out, "\n{}", table.show(screen))
    }
}

fn table_row(NamedFigures { name, figures }: &NamedFigures) -> [String; 10] {
    let name = if name.is_empty() {
        "(none)".to_owned()
    } else {
        one_line(name)
    };
    [
        name,
        count(figures.lookups()),
        percent(figures.hit_rate()),
        percent(crate::stats::ratio(figures.exact, figures.lookups())),
        bytes(figures.restored_bytes),
        bytes(figures.not_copied_bytes),
        median(&figures.restores),
        median(&figures.saves),
        bytes(figures.added_bytes),
        median(&figures.jobs),
    ]
}

/// A comparison as one line.
pub(crate) fn sentence(experiment: &Experiment) -> String {
    let Experiment {
        repository,
        workflow,
        job,
        comparison,
    } = experiment;
    let name = one_line(&format!("{repository} {workflow} / {job}"));
    let DurationComparison {
        without,
        with,
        without_median,
        with_median,
        saved,
    } = comparison;
    let median = |median: &Option<u64>| median.map_or_else(|| "-".to_owned(), elapsed_ms);
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
    plural(number as u64, "run", "runs")
}

/// The meaning of a confidence interval, in words.
pub fn verdict(saved: Option<&TimeSaved>) -> String {
    match saved {
        None => {
            format!("too few runs to estimate what the cache saves; {MIN_RUNS} of each are needed")
        }
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
                "no clear difference: it saves between {} and {} a job",
                signed(*low),
                signed(*high)
            )
        }
    }
}

fn signed(difference: i64) -> String {
    let sign = if difference < 0 { "-" } else { "" };
    format!("{sign}{}", elapsed_ms(difference.unsigned_abs()))
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
            "{} runs, {} in total, median {}, 90 % within {}",
            count(*number),
            elapsed_ms(*total_milliseconds),
            elapsed_ms(*median_milliseconds),
            elapsed_ms(*p90_milliseconds)
        ),
    }
}

/// The median of durations; `-` if there are none.
pub fn median(spread: &DurationSummary) -> String {
    if spread.count == 0 {
        "-".to_owned()
    } else {
        elapsed_ms(spread.median_milliseconds)
    }
}

/// A ratio as a percentage, rounded down; `-` if there is none.
pub fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(
        || "-".to_owned(),
        |ratio| format!("{:.0} %", (ratio * 100.0).floor()),
    )
}
