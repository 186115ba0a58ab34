//! Statistics in Prometheus's text format, version 0.0.4 (prometheus.io, "Exposition formats").
//!
//! Counts are of what the journal still holds. When its oldest file goes they fall, which Prometheus takes for a
//! restart.

use std::fmt::Write as _;

use super::{Cell, Stats};

/// A family of samples: name, what it is, its type, the samples.
type Family<'s> = (&'static str, &'static str, &'static str, Vec<Sample<'s>>);

struct Sample<'s> {
    labels: Vec<(&'static str, &'s str)>,
    value: f64,
}

/// All of it.
pub fn prometheus(stats: &Stats) -> String {
    let mut text = String::new();
    for (name, help, kind, samples) in of_cells(&stats.cells).into_iter().chain(of_all(stats)) {
        if samples.is_empty() {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP local_cache_{name} {help}\n# TYPE local_cache_{name} {kind}");
        for Sample { labels, value } in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "local_cache_{name}{labels} {value}");
        }
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows nothing but floating-point numbers")]
fn number(value: u64) -> f64 {
    value as f64
}

fn of_cells(cells: &[Cell]) -> Vec<Family<'_>> {
    let each = |value: &dyn Fn(&Cell) -> f64| -> Vec<Sample<'_>> {
        let sample = |cell| Sample { labels: labels(cell), value: value(cell) };
        cells.iter().map(sample).collect()
    };
    let mut lookups = Vec::new();
    for cell in cells {
        let figures = &cell.figures;
        for (result, value) in [("exact", figures.exact), ("prefix", figures.prefix), ("miss", figures.miss)]
        {
            let mut labels = labels(cell);
            labels.push(("result", result));
            lookups.push(Sample { labels, value: number(value) });
        }
    }
    let seconds = |milliseconds: u64| number(milliseconds) / 1000.0;
    vec![
        ("lookups_total", "Lookups by what was found.", "counter", lookups),
        ("restores_total", "Restores.", "counter", each(&|cell| number(cell.figures.restores.count))),
        (
            "restore_seconds_total",
            "Time that restores took.",
            "counter",
            each(&|cell| seconds(cell.figures.restores.total_milliseconds)),
        ),
        (
            "restored_bytes_total",
            "Bytes in what was restored.",
            "counter",
            each(&|cell| number(cell.figures.restored_bytes)),
        ),
        (
            "not_copied_bytes_total",
            "Bytes of them that were in place already or put there by a rename.",
            "counter",
            each(&|cell| number(cell.figures.not_copied_bytes)),
        ),
        (
            "saves_total",
            "Saves that made an entry.",
            "counter",
            each(&|cell| number(cell.figures.saves.count)),
        ),
        (
            "save_seconds_total",
            "Time that saves took.",
            "counter",
            each(&|cell| seconds(cell.figures.saves.total_milliseconds)),
        ),
        (
            "saved_bytes_total",
            "Bytes in what was saved.",
            "counter",
            each(&|cell| number(cell.figures.saved_bytes)),
        ),
        (
            "added_bytes_total",
            "Bytes of them that the store did not have.",
            "counter",
            each(&|cell| number(cell.figures.added_bytes)),
        ),
    ]
}

fn labels(cell: &Cell) -> Vec<(&'static str, &str)> {
    vec![("repository", &cell.repository), ("kind", &cell.kind)]
}

fn of_all(stats: &Stats) -> Vec<Family<'_>> {
    let by_repository = |value: &dyn Fn(&super::Figures) -> f64| -> Vec<Sample<'_>> {
        let sample = |named: &'_ super::Named| value(&named.figures);
        let with_label = stats.repositories.iter().map(|named| (named.name.as_str(), sample(named)));
        with_label.map(|(name, value)| Sample { labels: vec![("repository", name)], value }).collect()
    };
    let one = |value: f64| vec![Sample { labels: Vec::new(), value }];
    let disk = |value: &dyn Fn(crate::events::Disk) -> f64| {
        stats.disk.map(|disk| one(value(disk))).unwrap_or_default()
    };
    vec![
        ("jobs_total", "Jobs that ended.", "counter", by_repository(&|figures| number(figures.jobs.count))),
        (
            "job_seconds_total",
            "Time from the first phase of jobs to the last.",
            "counter",
            by_repository(&|figures| number(figures.jobs.total_milliseconds) / 1000.0),
        ),
        (
            "removed_entries_total",
            "Entries that were removed.",
            "counter",
            by_repository(&|figures| number(figures.removed_entries)),
        ),
        (
            "freed_bytes_total",
            "Bytes that were given back.",
            "counter",
            by_repository(&|figures| number(figures.freed_bytes)),
        ),
        (
            "failures_total",
            "Phases that failed.",
            "counter",
            by_repository(&|figures| number(figures.failures)),
        ),
        (
            "disk_used_ratio",
            "Part of the store's filesystem that is used.",
            "gauge",
            disk(&|disk| f64::from(disk.used_percent) / 100.0),
        ),
        (
            "disk_free_bytes",
            "Bytes free on the store's filesystem.",
            "gauge",
            disk(&|disk| number(disk.free_bytes)),
        ),
        ("store_bytes", "Bytes that the store takes.", "gauge", disk(&|disk| number(disk.store_bytes))),
        (
            "skipped_lines",
            "Lines of the journal that could not be read.",
            "gauge",
            one(number(stats.skipped_lines)),
        ),
    ]
}

/// The value of a label: backslash, quote and line feed are escaped, all other characters may stand there.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
