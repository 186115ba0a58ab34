//! Charts over time as inline SVG: the disk with its limits, and the runs of each job.

use std::fmt::Write as _;

use crate::fmt::human::{bytes, elapsed_ms};
use crate::stats::event::LookupResult;
use crate::stats::render::charts::{
    FLOOR, HEIGHT, TOP, WIDTH, day_labels, empty, frame, legend, px, shortened, svg,
};
use crate::stats::render::markup::escape;
use crate::stats::{DiskDay, JobTrend, TrendRun};
use crate::store::disk_limits::DiskLimits;

/// The height of the bars of a job.
const BAR_HEIGHT: f64 = 44.0;

/// How full the disk is, in percent.
pub(super) fn disk(days: &[DiskDay], limits: Option<DiskLimits>) -> String {
    let Some(last) = days.last() else {
        return empty("the disk was not measured yet");
    };
    let values: Vec<u64> = days
        .iter()
        .map(|day| day.disk.used_percent.into())
        .collect();
    let limit = limits.and_then(|limits| limits.used_percent).map(u64::from);
    let percent = |value: u64| format!("{value} %");
    let mut text = svg(
        HEIGHT,
        "percentage of the disk that was used at the end of each day",
        &line_chart(
            days,
            &values,
            (100, "100 %"),
            limit.map(|it| (it, percent(it))),
        ),
    );
    let required = limits.map_or(0, |limits| limits.free_bytes);
    let free = bytes(last.disk.free_bytes);
    let required = match required {
        0 => String::new(),
        required => format!("; {} are kept free", bytes(required)),
    };
    let _ = writeln!(text, "<p class=\"dim\">{free} free{required}</p>");
    text
}

/// The size of the store.
pub(super) fn store(days: &[DiskDay], limits: Option<DiskLimits>) -> String {
    if days.is_empty() {
        return empty("the store was not measured yet");
    }
    let values: Vec<u64> = days.iter().map(|day| day.disk.store_bytes).collect();
    let limit = limits.and_then(|limits| limits.store_bytes);
    let most = values.iter().copied().chain(limit).max().unwrap_or(0);
    svg(
        HEIGHT,
        "size of the store at the end of each day",
        &line_chart(
            days,
            &values,
            (most, &bytes(most)),
            limit.map(|it| (it, bytes(it))),
        ),
    )
}

/// A line with a dot for each day, and a dashed line for the limit. `most` is the value at the top,
/// with its text.
fn line_chart(
    days: &[DiskDay],
    values: &[u64],
    (most, top): (u64, &str),
    limit: Option<(u64, String)>,
) -> String {
    let y = |value: u64| FLOOR - px(value) * (FLOOR - TOP) / px(most.max(1));
    let step = WIDTH / px(values.len().max(2) as u64);
    let at = |number: usize| px(number as u64) * step + step / 2.0;
    let mut text = frame(top);
    if let Some((limit, label)) = limit {
        let y = y(limit);
        // Beside the value at the top: there the line of the values never covers it.
        let label_y = TOP - 4.0;
        let _ = writeln!(
            text,
            "<line class=\"limit\" x1=\"0\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\"/>\n\
             <text x=\"{WIDTH}\" y=\"{label_y:.1}\" text-anchor=\"end\">limit {label}</text>"
        );
    }
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(number, value)| format!("{:.1},{:.1}", at(number), y(*value)))
        .collect();
    let _ = writeln!(
        text,
        "<polyline class=\"trend\" points=\"{}\"/>",
        points.join(" ")
    );
    for (number, (day, value)) in days.iter().zip(values).enumerate() {
        let _ = writeln!(
            text,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.2\"><title>{}</title></circle>",
            at(number),
            y(*value),
            escape(&day.name)
        );
    }
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => text + &day_labels(&first.name, &last.name),
        _ => text,
    }
}

/// One small chart for each job: a bar for each run, by what its lookup found.
pub(super) fn trends(trends: &[JobTrend]) -> String {
    let mut text = legend(&[("exact", "hit"), ("miss", "miss"), ("unknown", "not known")]);
    text.push_str("<div class=\"jobs\">\n");
    for trend in trends {
        text.push_str(&job(trend));
    }
    text + "</div>\n"
}

fn job(trend: &JobTrend) -> String {
    let JobTrend {
        repository,
        workflow,
        job,
        runs,
    } = trend;
    let most = runs
        .iter()
        .map(|run| run.job_milliseconds)
        .max()
        .unwrap_or(0);
    let step = WIDTH / px(runs.len().max(20) as u64);
    let mut body = String::new();
    for (number, run) in runs.iter().enumerate() {
        let height = px(run.job_milliseconds) * BAR_HEIGHT / px(most.max(1));
        let _ = writeln!(
            body,
            "<rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
            class(run),
            px(number as u64) * step,
            BAR_HEIGHT - height,
            step * 0.8,
            elapsed_ms(run.job_milliseconds)
        );
    }
    let name = format!("{repository} {workflow} / {job}");
    let last = runs.last().map_or(0, |run| run.job_milliseconds);
    format!(
        "<div><p><b title=\"{}\">{}</b><span class=\"dim\">longest {}, last {}</span></p>\n{}</div>\n",
        escape(&name),
        escape(&shortened(&name)),
        elapsed_ms(most),
        elapsed_ms(last),
        svg(
            BAR_HEIGHT,
            &format!("durations of the last runs of {name}"),
            &body
        )
    )
}

/// The CSS class of a run.
fn class(run: &TrendRun) -> &'static str {
    match run.found {
        Some(LookupResult::Exact | LookupResult::Prefix) => "exact",
        Some(LookupResult::Miss) => "miss",
        None => "unknown",
    }
}
