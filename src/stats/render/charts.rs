//! Charts as inline SVG. They are drawn for the width of a phone and scale up on wider pages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::fmt::human::{bytes, cut_middle, elapsed_ms};
use crate::stats::compare::TimeSaved;
use crate::stats::render::markup::{EntryRow, escape, name_of};
use crate::stats::{Experiment, Figures, NamedFigures};

/// Number of days that fit into a chart.
pub(crate) const MAX_DAYS: usize = 30;
/// Number of bars in the chart of repositories; the last one sums up the rest.
const MAX_REPOSITORIES: usize = 8;

pub(super) const WIDTH: f64 = 360.0;
pub(super) const HEIGHT: f64 = 150.0;
/// The y coordinate of the x axis.
pub(super) const FLOOR: f64 = 128.0;
pub(super) const TOP: f64 = 16.0;
/// The height of one row in a chart of horizontal bars.
const ROW: f64 = 34.0;

/// A text in place of a chart without data.
pub(crate) fn empty(why: &str) -> String {
    format!("<p class=\"dim\">{why}</p>\n")
}

pub(super) fn svg(height: f64, label: &str, body: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>\n",
        escape(label)
    )
}

pub(super) fn legend(items: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (class, name) in items {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "<li><svg viewBox=\"0 0 10 10\"><rect class=\"{class}\" width=\"10\" height=\"10\" rx=\"2\"/></svg>{name}</li>"
        );
    }
    format!("<ul class=\"legend\">{text}</ul>\n")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "coordinates need no more than 53 bits"
)]
pub(super) fn px(number: u64) -> f64 {
    number as f64
}

/// The labels of the x axis: the first and the last day.
pub(super) fn day_labels(first: &str, last: &str) -> String {
    let y = FLOOR + 16.0;
    let mut text = format!("<text x=\"0\" y=\"{y}\">{}</text>\n", escape(first));
    if first != last {
        let last = escape(last);
        let _ = writeln!(
            text,
            "<text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{last}</text>"
        );
    }
    text
}

/// The x axis, and a line at the top of the chart with the value that it stands for.
pub(super) fn frame(top: &str) -> String {
    format!(
        "<line class=\"axis\" x1=\"0\" y1=\"{FLOOR}\" x2=\"{WIDTH}\" y2=\"{FLOOR}\"/>\n\
         <line class=\"axis\" x1=\"0\" y1=\"{TOP}\" x2=\"{WIDTH}\" y2=\"{TOP}\"/>\n\
         <text x=\"0\" y=\"{}\">{}</text>\n",
        TOP - 4.0,
        escape(top)
    )
}

/// Stacked bars, one for each day: CSS classes with their values, from the bottom up.
fn stacked(
    days: &[NamedFigures],
    most: u64,
    top: &str,
    of: impl Fn(&NamedFigures) -> Vec<(&'static str, u64)>,
) -> String {
    let step = WIDTH / px(days.len().max(10) as u64);
    let scale = (FLOOR - TOP) / px(most.max(1));
    let mut body = frame(top);
    for (number, day) in days.iter().enumerate() {
        let x = px(number as u64) * step + step * 0.12;
        let mut floor = FLOOR;
        for (class, value) in of(day).into_iter().filter(|(_, value)| *value > 0) {
            let height = px(value) * scale;
            floor -= height;
            let _ = writeln!(
                body,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{floor:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                step * 0.76
            );
        }
    }
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => body + &day_labels(&first.name, &last.name),
        _ => body,
    }
}

/// Lookups by result, one bar of full height for each day.
pub(crate) fn lookups(days: &[NamedFigures]) -> String {
    const WHOLE: u64 = 1000;
    if days.iter().all(|day| day.figures.lookups() == 0) {
        return empty("no lookups yet");
    }
    let body = stacked(days, WHOLE, "100 %", |day| {
        lookup_shares(&day.figures, WHOLE)
    });
    legend(&[("exact", "exact"), ("prefix", "prefix"), ("miss", "miss")])
        + &svg(
            HEIGHT,
            "results of the lookups of each day, in percent",
            &body,
        )
}

/// The share of each result in `whole`.
fn lookup_shares(figures: &Figures, whole: u64) -> Vec<(&'static str, u64)> {
    let all = figures.lookups().max(1);
    let part = |count: u64| count * whole / all;
    let (prefix, miss) = (part(figures.prefix), part(figures.miss));
    // The rest, so that rounding leaves no gap at the top of the bar.
    let exact = if figures.exact == 0 {
        0
    } else {
        whole - prefix - miss
    };
    vec![("exact", exact), ("prefix", prefix), ("miss", miss)]
}

/// Restored bytes, one bar for each day.
pub(crate) fn restored(days: &[NamedFigures]) -> String {
    let most = days
        .iter()
        .map(|day| day.figures.restored_bytes)
        .max()
        .unwrap_or(0);
    if most == 0 {
        return empty("no restores yet");
    }
    let of = |day: &NamedFigures| {
        let figures = &day.figures;
        let written = figures
            .restored_bytes
            .saturating_sub(figures.not_copied_bytes);
        vec![("exact", figures.not_copied_bytes), ("miss", written)]
    };
    let body = stacked(days, most, &bytes(most), of);
    legend(&[("exact", "not copied"), ("miss", "written")])
        + &svg(HEIGHT, "bytes restored on each day", &body)
}

/// The kinds of entries; each is a CSS class too.
const KINDS: [&str; 4] = ["registry", "git", "target", "path"];

/// Bytes on disk, by [`KINDS`].
type KindSizes = [u64; KINDS.len()];

/// Disk use by kind, one bar for each repository.
pub(crate) fn disk(entries: &[EntryRow]) -> String {
    let rows = disk_rows(entries);
    let most = rows
        .iter()
        .map(|(_, sizes)| sizes.iter().sum::<u64>())
        .max()
        .unwrap_or(0);
    if most == 0 {
        return empty("the store is empty");
    }
    let mut body = String::new();
    for (number, (name, sizes)) in rows.iter().enumerate() {
        draw_disk_row(px(number as u64) * ROW, name, sizes, most, &mut body);
    }
    legend(&KINDS.map(|kind| (kind, kind)))
        + &svg(
            px(rows.len() as u64) * ROW,
            "disk use by repository and kind",
            &body,
        )
}

/// The sizes of each repository, the largest first; the last row sums up those that do not fit.
fn disk_rows(entries: &[EntryRow]) -> Vec<(String, KindSizes)> {
    let mut rows: Vec<(String, KindSizes)> = sizes_by_repository(entries)
        .into_iter()
        .map(|(name, sizes)| (name.to_owned(), sizes))
        .collect();
    rows.sort_by_key(|(_, sizes)| std::cmp::Reverse(sizes.iter().sum::<u64>()));
    if rows.len() > MAX_REPOSITORIES {
        let rest = rows.split_off(MAX_REPOSITORIES - 1);
        let sum = |kind: usize| rest.iter().map(|(_, sizes)| sizes[kind]).sum();
        let sums: KindSizes = std::array::from_fn(sum);
        rows.push((format!("{} others", rest.len()), sums));
    }
    rows
}

/// Unknown kinds count as the last one of [`KINDS`].
fn sizes_by_repository(entries: &[EntryRow]) -> BTreeMap<&str, KindSizes> {
    let mut repositories: BTreeMap<&str, KindSizes> = BTreeMap::new();
    for entry in entries {
        let kind = KINDS
            .iter()
            .position(|kind| *kind == entry.kind)
            .unwrap_or(KINDS.len() - 1);
        repositories.entry(name_of(&entry.repository)).or_default()[kind] += entry.bytes;
    }
    repositories
}

/// A repository's name and total, and below them its bar, `most` bytes being the whole width.
fn draw_disk_row(y: f64, name: &str, sizes: &KindSizes, most: u64, body: &mut String) {
    let total = bytes(sizes.iter().sum());
    let _ = writeln!(
        body,
        "<text class=\"strong\" x=\"0\" y=\"{:.1}\">{}</text>\n<text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{total}</text>",
        y + 12.0,
        escape(&shortened(name)),
        y + 12.0
    );
    let mut x = 0.0;
    for (kind, size) in KINDS.iter().zip(sizes).filter(|(_, size)| **size > 0) {
        let width = px(*size) * WIDTH / px(most);
        let _ = writeln!(
            body,
            "<rect class=\"{kind}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"10\"/>",
            y + 17.0
        );
        x += width;
    }
}

/// The x axis of a chart of differences in milliseconds.
struct DifferenceScale {
    low: i64,
    high: i64,
}

impl DifferenceScale {
    /// Zero is always on the axis.
    fn of(experiments: &[(&Experiment, TimeSaved)]) -> Self {
        let lows = experiments.iter().map(|(_, saved)| saved.low);
        let highs = experiments.iter().map(|(_, saved)| saved.high);
        Self {
            low: lows.min().unwrap_or(0).min(0),
            high: highs.max().unwrap_or(0).max(1),
        }
    }

    fn x(&self, difference: i64) -> f64 {
        let span = px(self.high.abs_diff(self.low).max(1));
        px(difference.abs_diff(self.low)) * (WIDTH - 16.0) / span + 8.0
    }
}

/// The time that the cache saves per job, with its confidence interval.
pub(crate) fn differences(experiments: &[Experiment]) -> String {
    let known: Vec<_> = experiments
        .iter()
        .filter_map(|experiment| Some((experiment, experiment.comparison.saved?)))
        .collect();
    if known.is_empty() {
        return String::new();
    }
    let scale = DifferenceScale::of(&known);
    let mut body = String::new();
    for (number, (experiment, saved)) in known.iter().enumerate() {
        let name = format!("{} {}", experiment.repository, experiment.job);
        draw_difference(px(number as u64) * ROW, &name, saved, &scale, &mut body);
    }
    let height = px(known.len() as u64) * ROW + 20.0;
    draw_difference_axis(height - 4.0, &scale, &mut body);
    svg(
        height,
        "time saved by the cache, with confidence interval",
        &body,
    )
}

/// The labels of zero and of the greatest difference.
fn draw_difference_axis(y: f64, scale: &DifferenceScale, body: &mut String) {
    let zero = scale.x(0);
    let high = escape(&elapsed_ms(scale.high.unsigned_abs()));
    let _ = writeln!(
        body,
        "<text x=\"{zero:.1}\" y=\"{y:.1}\">0</text>\n<text x=\"{WIDTH}\" y=\"{y:.1}\" text-anchor=\"end\">{high} saved</text>"
    );
}

/// The CSS class of a difference that is clear, after a space.
fn verdict_class(saved: &TimeSaved) -> &'static str {
    if saved.low > 0 {
        " good"
    } else if saved.high < 0 {
        " bad"
    } else {
        ""
    }
}

/// A job's name, and below it the zero line, the confidence interval and the median.
fn draw_difference(
    y: f64,
    name: &str,
    saved: &TimeSaved,
    scale: &DifferenceScale,
    body: &mut String,
) {
    let class = verdict_class(saved);
    let [zero, low, high, median] =
        [0, saved.low, saved.high, saved.median].map(|difference| scale.x(difference));
    let (text_y, line_top, line_end, middle) = (y + 12.0, y + 17.0, y + 30.0, y + 23.0);
    let name = escape(&shortened(name));
    for element in [
        format!("<text class=\"strong\" x=\"0\" y=\"{text_y:.1}\">{name}</text>"),
        format!(
            "<line class=\"axis\" x1=\"{zero:.1}\" y1=\"{line_top:.1}\" x2=\"{zero:.1}\" y2=\"{line_end:.1}\"/>"
        ),
        format!(
            "<line class=\"range{class}\" x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\"/>"
        ),
        format!("<circle class=\"dot\" cx=\"{median:.1}\" cy=\"{middle:.1}\" r=\"4\"/>"),
    ] {
        let _ = writeln!(body, "{element}");
    }
}

/// A name that fits next to a number.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    cut_middle(name, 40)
}
