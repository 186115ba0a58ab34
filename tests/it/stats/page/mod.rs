//! The HTML page with charts.

mod browser;

use std::fs;

use local_cache::stats::event::{Arm, DiskState, LookupResult};
use local_cache::store::disk_limits::DiskLimits;

use crate::stats::{NOON, ended, restored};
use crate::support::{Sandbox, trees};

/// A store with entries, and a month of events of several repositories with names of all kinds.
pub(crate) fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    for number in 0..6 {
        trees::write(
            &job.join("tree/file"),
            &trees::random_bytes(number, 100_000 * (usize::try_from(number).unwrap() + 1)),
        );
        sandbox
            .save(&job, &format!("linux-stable-{number:040x}"))
            .succeeded();
    }
    sandbox
        .save(&job, "</td><script>alert('key')</script>\u{202e}&")
        .succeeded();
    let mut lines = String::new();
    let mut push = |event: &local_cache::stats::event::Event| {
        lines.push_str(&serde_json::to_string(event).unwrap());
        lines.push('\n');
    };
    for day in 0..30_u64 {
        let time = NOON + i64::try_from(day).unwrap() * 86_400_000;
        for number in 0..(4 + day % 7) {
            let repository = [
                "acme/widget",
                "acme/gadget",
                "acme/<img src=x onerror=alert(1)>",
            ][usize::try_from(number % 3).unwrap()];
            let kind = ["registry", "git", "target", "path"][usize::try_from(number % 4).unwrap()];
            let hit = match (number + day) % 5 {
                0 => LookupResult::Miss,
                1 => LookupResult::Prefix,
                _ => LookupResult::Exact,
            };
            let mut main = restored(repository, kind, hit, 300_000_000 + 7_000_000 * day);
            main.time = time;
            push(&main);
            let control = number % 4 == 0;
            let minutes = if control { 9 } else { 4 };
            let mut post = ended(
                repository,
                day * 100 + number,
                minutes * 60_000 + (day * 7919 + number * 104_729) % 90_000,
                Some(90_000_000),
            );
            post.time = time + 300_000;
            post.found = Some(hit);
            post.disk = Some(DiskState {
                used_percent: u8::try_from(60 + day % 25).unwrap(),
                free_bytes: (90 - day) * 1_000_000_000,
                store_bytes: (20 + day) * 1_000_000_000,
            });
            post.limits = Some(DiskLimits {
                used_percent: Some(80),
                free_bytes: 20_000_000_000,
                store_bytes: Some(60_000_000_000),
            });
            post.error = (day % 10 == 3).then(|| "the disk is full".to_owned());
            post.experiment = Some(if control { Arm::Control } else { Arm::Cached });
            push(&post);
        }
    }
    let events = sandbox.store().join("events");
    fs::create_dir_all(&events).unwrap();
    fs::write(events.join("events.jsonl"), lines).unwrap();
    sandbox
}

#[test]
fn the_page_loads_nothing_else_and_shows_all_values_as_text() {
    let sandbox = filled();
    let job = sandbox.job("job");
    let page = sandbox
        .run(&job, &["report", "--html", "-"])
        .succeeded()
        .stdout;
    for forbidden in [
        "<script",
        "<img",
        "<link rel=\"stylesheet",
        "http://",
        "https://",
        "url(",
        "@import",
        "\u{202e}",
    ] {
        assert!(!page.contains(forbidden), "{forbidden} is in the page");
    }
    for wanted in [
        "Content-Security-Policy",
        "prefers-color-scheme: dark",
        "width=device-width",
        "Lookup results by day",
        "Disk use by repository and kind",
        "Largest entries",
        "Jobs without and with the cache",
        "<h1>local-cache on ",
        "limit 80 %",
        "limit 60 GB",
        "20 GB are kept free",
        "Failed phases",
        "the disk is full",
        "linux-stable-00000000000…",
        "&lt;/td&gt;&lt;script&gt;",
        "of job time saved, compared with the control group",
        "<svg viewBox",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in the page");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.len() < 200_000);
}

#[test]
fn a_page_without_events_says_so() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let ran = sandbox
        .run(&job, &["report", "--html", "page.html"])
        .succeeded();
    assert!(ran.stdout.contains("wrote"), "{ran:?}");
    let page = fs::read_to_string(job.join("page.html")).unwrap();
    for wanted in [
        "nothing recorded yet",
        "no lookups yet",
        "the store has no entries",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    sandbox
        .run(&job, &["report", "--html", "no/such/page.html"])
        .failed(1);
    sandbox.run(&job, &["report"]).exited(2);
}
