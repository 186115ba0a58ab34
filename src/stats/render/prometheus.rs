//! Statistics in Prometheus's text format, version 0.0.4 (prometheus.io, "Exposition formats").
//!
//! Counts are of what the journal still holds. When its oldest file goes they fall, which
//! Prometheus takes for a restart.

use std::fmt::Write as _;

use crate::stats::{Cell, DurationSummary, Figures, Stats};

/// A family of samples: name, what it is, its type, the samples.
type Family<'s> = (&'static str, &'static str, &'static str, Vec<Sample<'s>>);

/// Names and values.
type Labels<'s> = Vec<(&'static str, &'s str)>;

struct Sample<'s> {
    labels: Labels<'s>,
    value: f64,
}

/// All of it.
pub fn render(stats: &Stats) -> String {
    let mut text = String::new();
    for (name, help, kind, samples) in of_cells(&stats.cells).into_iter().chain(of_all(stats)) {
        if samples.is_empty() {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "# HELP local_cache_{name} {help}\n# TYPE local_cache_{name} {kind}"
        );
        for Sample { labels, value } in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(text, "local_cache_{name}{labels} {value}");
        }
    }
    text
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows nothing but floating-point numbers"
)]
fn number(value: u64) -> f64 {
    value as f64
}

/// A counter: name, what it is, its value.
type Counter = (&'static str, &'static str, fn(&Figures) -> f64);

/// Counters by repository and kind.
const OF_CELLS: [Counter; 8] = [
    ("restores_total", "Restores.", |of| {
        number(of.restores.count)
    }),
    ("restore_seconds_total", "Time that restores took.", |of| {
        seconds(&of.restores)
    }),
    (
        "restored_bytes_total",
        "Bytes in what was restored.",
        |of| number(of.restored_bytes),
    ),
    (
        "not_copied_bytes_total",
        "Bytes of them that were in place already or put there by a rename.",
        |of| number(of.not_copied_bytes),
    ),
    ("saves_total", "Saves that made an entry.", |of| {
        number(of.saves.count)
    }),
    ("save_seconds_total", "Time that saves took.", |of| {
        seconds(&of.saves)
    }),
    ("saved_bytes_total", "Bytes in what was saved.", |of| {
        number(of.saved_bytes)
    }),
    (
        "added_bytes_total",
        "Bytes of them that the store did not have.",
        |of| number(of.added_bytes),
    ),
];

/// Counters by repository.
const OF_REPOSITORIES: [Counter; 5] = [
    ("jobs_total", "Jobs that ended.", |of| number(of.jobs.count)),
    (
        "job_seconds_total",
        "Time from the first phase of jobs to the last.",
        |of| seconds(&of.jobs),
    ),
    (
        "removed_entries_total",
        "Entries that were removed.",
        |of| number(of.removed_entries),
    ),
    ("freed_bytes_total", "Bytes that were given back.", |of| {
        number(of.freed_bytes)
    }),
    ("failures_total", "Phases that failed.", |of| {
        number(of.failures)
    }),
];

fn seconds(spread: &DurationSummary) -> f64 {
    number(spread.total_milliseconds) / 1000.0
}

fn counters<'s>(
    all: &[Counter],
    labelled: &(impl Iterator<Item = (Labels<'s>, &'s Figures)> + Clone),
) -> Vec<Family<'s>> {
    let family = |(name, help, value): &Counter| {
        let samples = labelled.clone().map(|(labels, of)| Sample {
            labels,
            value: value(of),
        });
        (*name, *help, "counter", samples.collect())
    };
    all.iter().map(family).collect()
}

fn of_cells(cells: &[Cell]) -> Vec<Family<'_>> {
    let mut lookups = Vec::new();
    for cell in cells {
        let figures = &cell.figures;
        for (result, value) in [
            ("exact", figures.exact),
            ("prefix", figures.prefix),
            ("miss", figures.miss),
        ] {
            let mut labels = labels(cell);
            labels.push(("result", result));
            lookups.push(Sample {
                labels,
                value: number(value),
            });
        }
    }
    let mut families = vec![(
        "lookups_total",
        "Lookups by what was found.",
        "counter",
        lookups,
    )];
    families.extend(counters(
        &OF_CELLS,
        &cells.iter().map(|cell| (labels(cell), &cell.figures)),
    ));
    families
}

fn labels(cell: &Cell) -> Labels<'_> {
    vec![("repository", &cell.repository), ("kind", &cell.kind)]
}

fn of_all(stats: &Stats) -> Vec<Family<'_>> {
    let repositories = stats.repositories.iter();
    let repositories =
        repositories.map(|named| (vec![("repository", named.name.as_str())], &named.figures));
    let mut families = counters(&OF_REPOSITORIES, &repositories);
    let mut gauge = |name, help, value: Option<f64>| {
        let samples = value.map(|value| Sample {
            labels: Vec::new(),
            value,
        });
        families.push((name, help, "gauge", samples.into_iter().collect()));
    };
    gauge(
        "disk_used_ratio",
        "Part of the store's filesystem that is used.",
        stats.disk.map(|disk| f64::from(disk.used_percent) / 100.0),
    );
    gauge(
        "disk_free_bytes",
        "Bytes free on the store's filesystem.",
        stats.disk.map(|disk| number(disk.free_bytes)),
    );
    gauge(
        "store_bytes",
        "Bytes that the store takes.",
        stats.disk.map(|disk| number(disk.store_bytes)),
    );
    gauge(
        "skipped_lines",
        "Lines of the journal that could not be read.",
        Some(number(stats.skipped_lines)),
    );
    families
}

/// The value of a label: backslash, quote and line feed are escaped, all other characters may stand
/// there.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
