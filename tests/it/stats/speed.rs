//! The time that statistics of many events take, compared with only reading the events.

use std::fs;
use std::time::{Duration, Instant};

use local_cache::fs::BaseDir;
use local_cache::stats::aggregate::aggregate;
use local_cache::stats::event::LookupResult;
use local_cache::stats::journal;

use super::{NOON, ended, restored};

/// The journal of some jobs of forty repositories.
fn lines(jobs: u64) -> String {
    let mut lines = String::new();
    for number in 0..jobs {
        let repository = format!("acme/repository-{}", number % 40);
        let kind = ["registry", "git", "target", "path"][usize::try_from(number % 4).unwrap()];
        let hit = [
            LookupResult::Exact,
            LookupResult::Prefix,
            LookupResult::Miss,
        ][usize::try_from(number % 3).unwrap()];
        let mut main = restored(&repository, kind, hit, number * 1000);
        main.time = NOON + i64::try_from(number).unwrap() * 60_000;
        main.run.run_id = number;
        let mut post = ended(&repository, number, 100_000 + number % 1000, Some(number));
        post.time = main.time + 100_000;
        post.found = Some(hit);
        for event in [main, post] {
            lines.push_str(&serde_json::to_string(&event).unwrap());
            lines.push('\n');
        }
    }
    lines
}

/// The shortest of three runs: other programs only ever add time.
fn shortest(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..3).map(time).min().unwrap()
}

#[test]
fn statistics_of_a_hundred_thousand_events_take_at_most_twice_as_long_as_reading_them_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    // An unoptimised build gets a tenth of the events.
    let jobs: u64 = if cfg!(debug_assertions) { 5000 } else { 50_000 };
    let lines = lines(jobs);
    fs::write(dir.path().join("events.jsonl"), &lines).unwrap();
    let counted = shortest(|| {
        let journal = BaseDir::open(dir.path()).unwrap().unwrap();
        let stats = aggregate(&journal::read(&journal).unwrap(), None);
        assert_eq!((stats.events, stats.misses_and_hits.len()), (2 * jobs, 40));
    });
    let read = shortest(|| {
        let text = fs::read_to_string(dir.path().join("events.jsonl")).unwrap();
        let values = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert_eq!(
            values
                .map(|value| u64::from(value["time"].is_i64()))
                .sum::<u64>(),
            2 * jobs
        );
    });
    println!(
        "{} events: counted in {counted:?}, read one by one in {read:?}",
        2 * jobs
    );
    // The bound holds on two idle processors; one processor gets half as much again.
    assert!(counted < read * 2, "{counted:?}, {read:?}");
}
