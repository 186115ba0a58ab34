//! Statistics in Prometheus's text format, version 0.0.4 (prometheus.io, "Exposition formats").
//!
//! Counters cover the events that are still in the journal. When its oldest file is removed they
//! decrease, which Prometheus treats as a restart.

use std::fmt::Write as _;

use crate::stats::{Cell, DurationSummary, Figures, Stats};

/// A metric family: name, help text, type and samples.
type Family<'s> = (&'static str, &'static str, &'static str, Vec<Sample<'s>>);

type Labels<'s> = Vec<(&'static str, &'s str)>;

struct Sample<'s> {
    labels: Labels<'s>,
    value: f64,
}

pub fn render(stats: &Stats) -> String {
    let mut text = String::new();
    for (name, help, kind, samples) in cell_families(&stats.cells)
        .into_iter()
        .chain(other_families(stats))
    {
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

/// A counter: name, help text and value.
type CounterSpec = (&'static str, &'static str, fn(&Figures) -> f64);

/// Counters with the labels `repository` and `kind`.
const CELL_COUNTERS: [CounterSpec; 9] = [
    (
        "remote_hits_total",
        "Lookups that found their entry on the remote.",
        |of| number(of.remote_hits),
    ),
    ("restores_total", "Number of restores.", |of| {
        number(of.restores.count)
    }),
    (
        "restore_seconds_total",
        "Total duration of restores.",
        |of| seconds(&of.restores),
    ),
    ("restored_bytes_total", "Size of restored entries.", |of| {
        number(of.restored_bytes)
    }),
    (
        "not_copied_bytes_total",
        "Restored bytes that were in place already or restored by a rename.",
        |of| number(of.not_copied_bytes),
    ),
    ("saves_total", "Saves that created an entry.", |of| {
        number(of.saves.count)
    }),
    ("save_seconds_total", "Total duration of saves.", |of| {
        seconds(&of.saves)
    }),
    ("saved_bytes_total", "Size of saved entries.", |of| {
        number(of.saved_bytes)
    }),
    (
        "added_bytes_total",
        "Saved bytes that the store did not have before.",
        |of| number(of.added_bytes),
    ),
];

/// Counters with the label `repository`.
const REPOSITORY_COUNTERS: [CounterSpec; 8] = [
    ("jobs_total", "Finished jobs.", |of| number(of.jobs.count)),
    (
        "job_seconds_total",
        "Total time from the first phase of a job to the last.",
        |of| seconds(&of.jobs),
    ),
    ("removed_entries_total", "Removed entries.", |of| {
        number(of.removed_entries)
    }),
    ("freed_bytes_total", "Bytes freed by removals.", |of| {
        number(of.freed_bytes)
    }),
    ("failures_total", "Failed phases.", |of| number(of.failures)),
    (
        "remote_received_bytes_total",
        "Bytes that came from the remote.",
        |of| number(of.received_bytes),
    ),
    (
        "remote_sent_bytes_total",
        "Bytes that went to the remote.",
        |of| number(of.sent_bytes),
    ),
    (
        "remote_seconds_total",
        "Time in which restores and saves waited for the remote.",
        |of| number(of.remote_milliseconds) / 1000.0,
    ),
];

fn seconds(spread: &DurationSummary) -> f64 {
    number(spread.total_milliseconds) / 1000.0
}

fn counters<'s>(
    all: &[CounterSpec],
    labelled: &(impl Iterator<Item = (Labels<'s>, &'s Figures)> + Clone),
) -> Vec<Family<'s>> {
    let family = |(name, help, value): &CounterSpec| {
        let samples = labelled.clone().map(|(labels, of)| Sample {
            labels,
            value: value(of),
        });
        (*name, *help, "counter", samples.collect())
    };
    all.iter().map(family).collect()
}

fn cell_families(cells: &[Cell]) -> Vec<Family<'_>> {
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
    let mut families = vec![("lookups_total", "Lookups by result.", "counter", lookups)];
    families.extend(counters(
        &CELL_COUNTERS,
        &cells.iter().map(|cell| (labels(cell), &cell.figures)),
    ));
    families
}

fn labels(cell: &Cell) -> Labels<'_> {
    vec![("repository", &cell.repository), ("kind", &cell.kind)]
}

fn other_families(stats: &Stats) -> Vec<Family<'_>> {
    let repositories = stats.repositories.iter();
    let repositories =
        repositories.map(|named| (vec![("repository", named.name.as_str())], &named.figures));
    let mut families = counters(&REPOSITORY_COUNTERS, &repositories);
    let job_lookups = stats.repositories.iter().flat_map(|named| {
        let results = [
            ("hit", named.figures.hit_jobs),
            ("miss", named.figures.missed_jobs),
        ];
        results.map(|(result, value)| Sample {
            labels: vec![("repository", named.name.as_str()), ("result", result)],
            value: number(value),
        })
    });
    families.push((
        "job_lookups_total",
        "Jobs by result; a job with target directories is judged by them.",
        "counter",
        job_lookups.collect(),
    ));
    let mut gauge = |name, help, value: Option<f64>| {
        let samples = value.map(|value| Sample {
            labels: Vec::new(),
            value,
        });
        families.push((name, help, "gauge", samples.into_iter().collect()));
    };
    gauge(
        "disk_used_ratio",
        "Used share of the store's filesystem.",
        stats.disk.map(|disk| f64::from(disk.used_percent) / 100.0),
    );
    gauge(
        "disk_free_bytes",
        "Free bytes on the store's filesystem.",
        stats.disk.map(|disk| number(disk.free_bytes)),
    );
    gauge(
        "store_bytes",
        "Size of the store.",
        stats.disk.map(|disk| number(disk.store_bytes)),
    );
    gauge(
        "skipped_lines",
        "Lines of the journal that could not be read.",
        Some(number(stats.skipped_lines)),
    );
    families
}

/// Escapes a label value: backslash, quote and line feed. All other characters are allowed.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
