//! What statistics count and how they show it.

use local_cache::fmt::screen::Screen;
use local_cache::stats::aggregate::aggregate;
use local_cache::stats::event::{Arm, Event, LookupResult, RemoteTraffic};
use local_cache::stats::journal::JournalContents;
use local_cache::stats::render::html::{self, PageOrigin};
use local_cache::stats::render::{prometheus, text};

use super::{NOON, ended, restored};
use crate::support::Sandbox;

fn read(events: Vec<Event>) -> JournalContents {
    JournalContents {
        events,
        skipped_lines: 0,
    }
}

fn some() -> Vec<Event> {
    let mut next_day = restored("acme/gadget", "registry", LookupResult::Prefix, 5000);
    next_day.time += 86_400_000;
    let mut failed = restored("acme/gadget", "target", LookupResult::Miss, 0);
    failed.error = Some("the disk is full".to_owned());
    failed.removed_entries = 3;
    failed.freed_bytes = 700;
    vec![
        restored("acme/widget", "target", LookupResult::Exact, 1000),
        restored("acme/widget", "target", LookupResult::Miss, 0),
        ended("acme/widget", 1, 60_000, Some(400)),
        ended("acme/widget", 2, 90_000, None),
        next_day,
        failed,
    ]
}

#[test]
fn lookups_bytes_and_times_are_counted_by_repository_kind_and_day() {
    let stats = aggregate(&read(some()), None);
    let total = &stats.total;
    assert_eq!((total.exact, total.prefix, total.miss), (1, 1, 2));
    assert_eq!(total.hit_rate(), Some(0.5));
    assert_eq!((total.restored_bytes, total.not_copied_bytes), (6000, 5400));
    assert_eq!(
        (total.restores.count, total.restores.total_milliseconds),
        (2, 2000)
    );
    assert_eq!(
        (total.saves.count, total.saved_bytes, total.added_bytes),
        (1, 400, 200)
    );
    assert_eq!(
        (
            total.jobs.count,
            total.jobs.median_milliseconds,
            total.jobs.p90_milliseconds
        ),
        (2, 60_000, 90_000)
    );
    assert_eq!(
        (total.removed_entries, total.freed_bytes, total.failures),
        (3, 700, 1)
    );
    let names = |all: &[local_cache::stats::NamedFigures]| -> Vec<String> {
        all.iter()
            .map(|named| format!("{} {}", named.name, named.figures.lookups()))
            .collect()
    };
    assert_eq!(
        names(&stats.repositories),
        ["acme/gadget 2", "acme/widget 2"]
    );
    assert_eq!(names(&stats.kinds), ["registry 1", "target 3"]);
    assert_eq!(names(&stats.days), ["2026-11-23 3", "2026-11-24 1"]);
    let cells: Vec<_> = stats
        .cells
        .iter()
        .map(|cell| (cell.repository.as_str(), cell.kind.as_str()))
        .collect();
    assert_eq!(
        cells,
        [
            ("acme/gadget", "registry"),
            ("acme/gadget", "target"),
            ("acme/widget", "target")
        ]
    );
    assert_eq!(stats.disk.unwrap().used_percent, 40);
}

#[test]
fn what_came_from_the_remote_is_counted_by_hits_bytes_and_time() {
    let mut pulled = restored("acme/widget", "target", LookupResult::Prefix, 1000);
    pulled.caches[0].from_remote = true;
    let mut saved = ended("acme/widget", 1, 60_000, Some(400));
    for (event, received_bytes, sent_bytes) in [(&mut pulled, 700, 0), (&mut saved, 20, 300)] {
        event.remote = Some(RemoteTraffic {
            requests: 5,
            received_bytes,
            sent_bytes,
            milliseconds: 1500,
            background_milliseconds: 0,
        });
    }
    let local = restored("acme/widget", "target", LookupResult::Exact, 1000);
    let only_local = aggregate(&read(vec![local.clone()]), None);
    let shown = text::render(&only_local, Screen::default());
    assert!(!shown.contains("\nremote "), "{shown}");
    let page = |stats| html::render(stats, &[], &PageOrigin::default());
    assert!(!page(&only_local).contains("remote"));
    let stats = aggregate(&read(vec![local, pulled, saved]), None);
    let figures = [&stats.total, &stats.repositories[0].figures];
    for of in figures {
        assert_eq!((of.remote_hits, of.remote_milliseconds), (1, 3000));
        assert_eq!(of.remote_save_milliseconds, 1500);
        assert_eq!((of.received_bytes, of.sent_bytes), (720, 300));
    }
    assert_eq!(stats.cells[0].figures.remote_hits, 1);
    let shown = text::render(&stats, Screen::default());
    let line = shown.lines().find(|line| line.starts_with("remote "));
    let expected = "remote      1 entry found there; 720 B received, 300 B sent in 3.0 s";
    assert_eq!(line, Some(expected), "{shown}");
    let shown = page(&stats);
    for row in [
        ["in the store", "1", "50 %"],
        ["on the remote", "1", "50 %"],
        ["nowhere", "0", "0 %"],
        ["from the remote", "720 B", "1.5 s"],
        ["to the remote", "300 B", "1.5 s"],
    ] {
        let [name, first, second] = row;
        let number = |text| format!("<td class=\"number\">{text}</td>");
        let row = format!(
            "<tr><td>{name}</td>{}{}</tr>",
            number(first),
            number(second)
        );
        assert!(shown.contains(&row), "{row}\n{shown}");
    }
    let metrics = prometheus::render(&stats);
    for line in [
        r#"local_cache_remote_hits_total{repository="acme/widget",kind="target"} 1"#,
        r#"local_cache_remote_received_bytes_total{repository="acme/widget"} 720"#,
        r#"local_cache_remote_sent_bytes_total{repository="acme/widget"} 300"#,
        r#"local_cache_remote_seconds_total{repository="acme/widget"} 3"#,
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
}

#[test]
fn events_before_the_period_do_not_count() {
    let stats = aggregate(&read(some()), Some(NOON + 80_000_000));
    assert_eq!((stats.events, stats.total.lookups()), (1, 1));
    assert_eq!(aggregate(&read(some()), Some(i64::MAX)).events, 0);
}

#[test]
fn a_job_measured_by_a_jumping_clock_has_no_duration() {
    let mut events = vec![
        ended("acme/widget", 1, u64::MAX / 2, None),
        ended("acme/widget", 2, 1000, None),
    ];
    events[1].time = -5;
    events[0].time = i64::MAX;
    let stats = aggregate(&read(events), None);
    assert_eq!(
        (stats.total.jobs.count, stats.total.jobs.total_milliseconds),
        (1, 1000)
    );
    assert_eq!(stats.days[0].name, "1969-12-31");
}

#[test]
fn the_control_group_is_compared_job_by_job_and_failed_jobs_do_not_count() {
    let mut events = Vec::new();
    for number in 0..40 {
        for (arm, milliseconds) in [(Arm::Control, 600_000), (Arm::Cached, 200_000)] {
            let mut event = ended("acme/widget", number, milliseconds + number * 100, None);
            event.experiment = Some(arm);
            event.found = Some(if arm == Arm::Control || number < 20 {
                LookupResult::Miss
            } else {
                LookupResult::Exact
            });
            events.push(event.clone());
            event.job_status = Some("failure".to_owned());
            event.job_milliseconds = Some(1);
            events.push(event);
        }
    }
    let mut other = ended("acme/gadget", 1, 5, None);
    other.experiment = Some(Arm::Control);
    events.push(other.clone());
    events.push(Event {
        experiment: Some(Arm::Cached),
        ..other
    });
    let stats = aggregate(&read(events), None);
    let shown: Vec<_> = stats
        .experiments
        .iter()
        .map(|found| found.repository.as_str())
        .collect();
    assert_eq!(shown, ["acme/gadget", "acme/widget"]);
    assert_eq!(stats.experiments[0].comparison.saved, None);
    let saved = stats.experiments[1].comparison.saved.unwrap();
    assert_eq!(saved.median, 400_000);
    assert!(saved.low > 0 && saved.low <= 400_000 && saved.high >= 400_000);
    // Runs of the control group found nothing because they do not look up entries.
    let observed = &stats.misses_and_hits[0].comparison;
    assert_eq!((observed.without, observed.with), (20, 20));
    let text = text::render(&stats, Screen::default());
    assert!(
        text.contains("acme/widget CI / build: 10 min 1 s (40 runs) without"),
        "{text}"
    );
    assert!(text.contains("it saves 6 min 40 s a job"), "{text}");
    assert!(text.contains("too few runs"), "{text}");
}

#[test]
fn a_prometheus_parser_reads_the_output() {
    let mut events = some();
    events.push(restored(
        "acme/we\"ird\\na\nme",
        "path",
        LookupResult::Exact,
        7,
    ));
    let text = prometheus::render(&aggregate(&read(events), None));
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(
        scrape.samples.len(),
        samples,
        "a line was not understood:\n{text}"
    );
    let value = |name: &str, labels: &[(&str, &str)]| -> f64 {
        let found = scrape.samples.iter().filter(|sample| {
            sample.metric == format!("local_cache_{name}")
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(label) == Some(*value))
        });
        let values: Vec<f64> = found
            .map(|sample| match sample.value {
                prometheus_parse::Value::Counter(value) | prometheus_parse::Value::Gauge(value) => {
                    value
                }
                ref other => panic!("{name} is {other:?}"),
            })
            .collect();
        assert_eq!(values.len(), 1, "{name} {labels:?}");
        values[0]
    };
    let widget = ("repository", "acme/widget");
    let is =
        |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    is(
        value(
            "lookups_total",
            &[widget, ("kind", "target"), ("result", "miss")],
        ),
        1.0,
    );
    is(
        value("restored_bytes_total", &[widget, ("kind", "target")]),
        1000.0,
    );
    is(
        value("restore_seconds_total", &[widget, ("kind", "target")]),
        1.0,
    );
    is(value("job_seconds_total", &[widget]), 150.0);
    is(value("disk_used_ratio", &[]), 0.4);
    is(value("store_bytes", &[]), 5e9);
    assert!(
        text.contains(r#"repository="acme/we\"ird\\na\nme""#),
        "{text}"
    );
    // Each metric family is declared once, followed by its samples.
    let mut families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert!(count == families.len() && count > 10);
}

#[test]
fn the_command_prints_text_json_and_prometheus() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let empty = sandbox.run(&job, &["stats"]).succeeded();
    assert!(
        empty.stdout.contains("nothing is recorded yet"),
        "{empty:?}"
    );
    assert_eq!(
        sandbox.run(&job, &["stats", "--json"]).succeeded().json()["events"],
        0
    );
    let events = sandbox.store().join("events");
    std::fs::create_dir_all(&events).unwrap();
    let lines: Vec<String> = some()
        .iter()
        .map(|event| serde_json::to_string(event).unwrap() + "\n")
        .collect();
    std::fs::write(events.join("events.jsonl"), lines.concat() + "garbage\n").unwrap();
    let text = sandbox.run(&job, &["stats"]).succeeded().stdout;
    for part in [
        "4: 1 exact, 1 prefix, 2 missed (50 % found)",
        "acme/gadget",
        "2026-11-24",
        "1 line of the journal",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let json = sandbox
        .run(&job, &["stats", "--format", "json"])
        .succeeded()
        .json();
    assert_eq!(
        (&json["total"]["exact"], &json["skipped-lines"]),
        (&1.into(), &1.into())
    );
    assert_eq!(json["repositories"][0]["name"], "acme/gadget");
    let one = sandbox
        .run(&job, &["stats", "--json", "--repository", "ACME/Widget"])
        .succeeded()
        .json();
    assert_eq!(one["total"]["exact"], 1);
    assert_eq!(one["total"]["prefix"], 0);
    let prometheus = sandbox
        .run(&job, &["stats", "--format", "prometheus"])
        .succeeded()
        .stdout;
    assert!(
        prometheus.contains("# TYPE local_cache_lookups_total counter"),
        "{prometheus}"
    );
    let none = sandbox
        .run(&job, &["stats", "--json", "--since", "1s"])
        .succeeded()
        .json();
    assert!(none["events"].as_u64().unwrap() <= 6);
    sandbox
        .run(&job, &["stats", "--since", "yesterday"])
        .exited(2);
}
