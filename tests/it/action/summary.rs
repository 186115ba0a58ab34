//! The job summary: a step writes it, and it is valid Markdown whatever the keys contain.

use local_cache::action::summary::{JobSummary, SummaryRow, escape, markdown};
use local_cache::job::PastRun;
use local_cache::ops::free_space::DiskUsage;
use local_cache::ops::second_tier::TierReport;
use local_cache::stats::event::{DiskState, LookupResult};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::support::machine::Machine;
use crate::support::step::{data_step, save_data};

/// The cells of all tables in a Markdown text as rendered, row by row, and all other elements that
/// are not plain text.
fn rendered(markdown: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    let mut cell: Option<String> = None;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => cell = Some(String::new()),
            Event::End(TagEnd::TableCell) => rows.last_mut().unwrap().push(cell.take().unwrap()),
            Event::Text(text) => {
                if let Some(cell) = &mut cell {
                    cell.push_str(&text);
                }
            }
            Event::InlineHtml(html) if matches!(&*html, "<code>" | "</code>") => {}
            Event::Start(
                Tag::Table(_)
                | Tag::Paragraph
                | Tag::Heading { .. }
                | Tag::BlockQuote(_)
                | Tag::CodeBlock(_),
            )
            | Event::End(_)
            | Event::SoftBreak => {}
            other => others.push(format!("{other:?}")),
        }
    }
    (rows, others)
}

fn row(key: &str) -> SummaryRow {
    SummaryRow {
        name: "target".into(),
        key: key.into(),
        hit: Some(LookupResult::Exact),
        from_remote: false,
        files: 1234,
        bytes: 5_000_000,
        written_bytes: 1000,
        restore_milliseconds: Some(340),
        saved: Some("is there already".into()),
    }
}

fn of(rows: &[SummaryRow]) -> String {
    markdown(&JobSummary {
        rows,
        ..JobSummary::default()
    })
    .unwrap()
}

#[test]
fn the_table_shows_what_was_found_written_and_saved() {
    let (rows, others) = rendered(&of(&[
        row("cargo-1"),
        SummaryRow {
            name: "git".into(),
            hit: Some(LookupResult::Miss),
            ..SummaryRow::default()
        },
    ]));
    assert_eq!(
        rows[0],
        [
            "cache",
            "key",
            "found",
            "files",
            "size",
            "written",
            "restored in",
            "saved"
        ]
    );
    assert_eq!(
        rows[1],
        [
            "target",
            "cargo-1",
            "exact",
            "1,234",
            "5.0 MB",
            "1.0 kB",
            "340 ms",
            "is there already"
        ]
    );
    assert_eq!(rows[2], ["git", "", "miss", "-", "-", "-", "-", "-"]);
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn what_came_from_the_remote_is_told_apart_and_summed_up() {
    let main = TierReport {
        place: "s3://bucket/a_b_c".into(),
        pulled_entries: 1,
        received_bytes: 5_000_000,
        requests: 4,
        milliseconds: 1000,
        ..TierReport::default()
    };
    let post = TierReport {
        pushed_entries: 2,
        sent_bytes: 7_000_000,
        requests: 6,
        milliseconds: 500,
        pulled_entries: 0,
        received_bytes: 0,
        ..main.clone()
    };
    let silent = TierReport {
        requests: 0,
        ..main.clone()
    };
    let text = |report: &TierReport| {
        let pulled = SummaryRow {
            from_remote: true,
            ..row("k")
        };
        markdown(&JobSummary {
            rows: &[pulled, row("k2")],
            remote: Some(report),
            ..JobSummary::default()
        })
        .unwrap()
    };
    let both = text(&main.clone().with(post));
    let (rows, others) = rendered(&both);
    assert_eq!((&*rows[1][2], &*rows[2][2]), ("exact, remote", "exact"));
    assert!(others.is_empty(), "{others:?}");
    let line = both.lines().find(|line| line.starts_with("Remote "));
    let escaped = line.unwrap().replace("&#46;", ".").replace("&#58;", ":");
    let expected =
        "1 entry pulled, 2 entries pushed, 5.0 MB received, 7.0 MB sent, 10 requests in 1.5 s.";
    assert!(escaped.ends_with(expected), "{escaped}");
    assert!(!text(&silent).contains("Remote "));
}

#[test]
fn keys_that_look_like_markdown_are_shown_as_text() {
    let keys = [
        "a|b",
        "</code></td><script>alert(1)</script>",
        "[x](https://example.org)",
        "**bold** _it_ ~~no~~",
        "`code` ``",
        "https://example.org/a?b=c&d=e",
        "www.example.org",
        "&lt;&#124;&amp;",
        "\\|\\",
        "<!-- x -->",
        "@user #12",
        "# heading",
        "- [ ] task",
        "$x^2$",
        "![i](u)",
        "a\\",
        "|---|---|",
        ":tada:",
        "{{ x }}",
    ];
    for key in keys {
        let (rows, others) = rendered(&of(&[row(key)]));
        assert_eq!(
            (rows.len(), rows[1].len(), rows[1][1].as_str()),
            (2, 8, key)
        );
        assert!(others.is_empty(), "{key}: {others:?}");
    }
    let (rows, _) = rendered(&of(&[row("a\nb\r\u{202e}c\0")]));
    assert_eq!(rows[1][1], "a\\u{a}b\\u{d}\\u{202e}c\\u{0}");
    assert_eq!(escape(&"x".repeat(10), 4), "xxxx…");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_key_gives_one_row_of_eight_cells(key in any::<String>(), name in any::<String>()) {
        let (rows, others) = rendered(&of(&[SummaryRow { name, ..row(&key) }]));
        prop_assert_eq!(rows.len(), 2);
        prop_assert_eq!(rows[1].len(), 8);
        prop_assert!(others.is_empty(), "{:?}", others);
    }
}

#[test]
fn a_summary_of_many_long_keys_stays_small() {
    let rows: Vec<SummaryRow> = (0..5000)
        .map(|number| row(&format!("{number}{}", "|é".repeat(10_000))))
        .collect();
    let notices = vec!["*".repeat(1 << 20); 50];
    let text = markdown(&JobSummary {
        rows: &rows,
        notices: &notices,
        ..JobSummary::default()
    });
    assert!(text.is_none_or(|text| text.len() <= 64 << 10));
    let some = of(&rows);
    assert!(some.contains("4960 more caches") && some.len() < 64 << 10);
    assert_eq!(markdown(&JobSummary::default()), None, "nothing to tell");
}

#[test]
fn the_chart_of_the_last_runs_contains_only_numbers() {
    let past = |seconds: u64, found| PastRun {
        job_milliseconds: seconds * 1000,
        found,
        is_control: false,
    };
    let trend: Vec<PastRun> = (0..30)
        .map(|n| {
            past(
                60 + n,
                Some(if n % 3 == 0 {
                    LookupResult::Miss
                } else {
                    LookupResult::Exact
                }),
            )
        })
        .collect();
    let chart = |trend: &[PastRun]| {
        markdown(&JobSummary {
            trend,
            ..JobSummary::default()
        })
    };
    let text = chart(&trend).unwrap();
    assert!(
        text.contains("```mermaid\n%%{init: ") && text.contains("%%\nxychart-beta\n    x-axis"),
        "{text}"
    );
    assert!(
        text.contains(
            "The last 20 runs of this job: 14 after a hit (blue), 6 after a miss (orange).\n"
        ),
        "{text}"
    );
    assert!(text.contains("y-axis \"seconds\" 0 --> 90\n"), "{text}");
    let bars = |number| -> Vec<&str> {
        let line = text.split("bar [").nth(number).unwrap();
        line.split(']').next().unwrap().split(", ").collect()
    };
    let (hits, misses) = (bars(1), bars(2));
    assert_eq!((hits.len(), hits[19], misses[19]), (20, "89.0", "0.0"));
    // Each run has one bar.
    for (hit, miss) in hits.iter().zip(&misses) {
        assert_eq!([hit, miss].iter().filter(|bar| ***bar != "0.0").count(), 1);
    }
    assert!(bars(3).iter().all(|bar| *bar == "0.0"));
    assert!(
        chart(&[past(200, None), past(400, None), past(100, None)])
            .unwrap()
            .contains("\"minutes\" 0 --> 7")
    );
    assert!(
        chart(&[past(200, None), past(400, None), past(100, None)])
            .unwrap()
            .contains("0 after a hit (blue), 0 after a miss (orange), 3 unknown (grey)")
    );
    assert_eq!(chart(&trend[..2]), None, "two are no trend");
}

#[test]
fn the_disk_is_shown_before_and_after() {
    let disk = |used_percent, free| DiskState {
        used_percent,
        free_bytes: free,
        store_bytes: 7_000_000_000,
    };
    let room = DiskUsage {
        used_percent: 85,
        free_bytes: 10_000_000_000,
        ..DiskUsage::default()
    };
    let text = markdown(&JobSummary {
        before: Some(room),
        after: Some(disk(60, 90_000_000_000)),
        ..JobSummary::default()
    });
    assert!(
        text.unwrap().contains(
            "Disk: 60 % used (was 85 %), 90 GB free (was 10 GB); the cache takes 7.0 GB."
        )
    );
}

#[test]
fn the_last_phase_of_a_step_writes_it_and_summary_false_does_not() {
    let machine = Machine::new();
    save_data(&machine, "k-1");
    for number in 2..6 {
        let job = machine.job().var("GITHUB_RUN_ID", number.to_string());
        let mut cache = data_step(&job, &format!("k-{number}")).with("restore-keys", "k-");
        cache.pre().passed();
        assert_eq!(cache.main().passed().summary, "");
        job.file("data/file", &number.to_string());
        let text = cache.post().passed().summary;
        let (rows, _) = rendered(&text);
        assert_eq!(
            rows[1][1..4],
            [format!("k-{number}"), "prefix".to_owned(), "1".to_owned()],
            "{text}"
        );
        assert!(rows[1][7].ends_with(" added"), "{text}");
        assert_eq!(text.contains("```mermaid"), number > 2, "{number}: {text}");
    }
    let job = machine.job();
    let mut quiet = data_step(&job, "k-1").with("summary", "false");
    quiet.main().passed();
    assert_eq!(quiet.post().passed().summary, "");
    let restored = job
        .restore()
        .with("path", "data")
        .with("key", "k-2")
        .main()
        .passed();
    assert!(restored.summary.contains("exact"), "{}", restored.summary);
}
