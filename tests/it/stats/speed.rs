//! How long many events take.

use std::fs;
use std::time::Instant;

use local_cache::events::Hit;

use super::{NOON, ended, restored};
use crate::support::Sandbox;

#[test]
fn statistics_of_a_hundred_thousand_events_take_half_a_second() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let events = sandbox.store().join("events");
    fs::create_dir_all(&events).unwrap();
    let mut lines = String::new();
    // An unoptimised build is asked for a tenth.
    let jobs: u64 = if cfg!(debug_assertions) { 5000 } else { 50_000 };
    for number in 0..jobs {
        let repository = format!("acme/repository-{}", number % 40);
        let kind = ["registry", "git", "target", "path"][usize::try_from(number % 4).unwrap()];
        let hit = [Hit::Exact, Hit::Prefix, Hit::Miss][usize::try_from(number % 3).unwrap()];
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
    fs::write(events.join("events.jsonl"), &lines).unwrap();
    let begun = Instant::now();
    let json = sandbox.run(&job, &["stats", "--json"]).done().json();
    let took = begun.elapsed();
    assert_eq!(json["events"], 2 * jobs);
    println!("stats over {} events, {} MB: {took:?}", 2 * jobs, lines.len() / 1_000_000);
    let limit = if cfg!(debug_assertions) { 10.0 } else { 0.5 };
    assert!(took.as_secs_f64() <= limit, "{took:?}");
}
