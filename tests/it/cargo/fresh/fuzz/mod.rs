//! Random jobs on random workspaces, each build compared with one from an empty target directory.
//!
//! A seed makes a workspace (`world`, `scripts`) and some jobs (`job`, `change`). `run` runs them at
//! one place with the program, and each build a second time in a copy of the place without target
//! directories, which is renamed to the same path. Success, the output of all programs, examples
//! and tests, warnings, the sources after the build, and the names in the target directory must be
//! the same. Where they are not, the job is repeated without a cache: what cargo alone gets wrong
//! too, such as an edit with an old time between two builds, is no difference. A change after the
//! restore that cargo cannot notice is counted separately; the jobs after it must be right.
//!
//! A job that restores, builds and saves, after another one of this kind, compiles only packages
//! that changed and their dependants (`least`).

mod change;
mod job;
mod least;
mod run;
mod scripts;
mod whole;
mod world;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use run::{Cache, Counts, Mode, run};

/// Seeds that each run of the tests starts with after the kept ones.
const FIXED: u64 = 8;
/// No seed is started later than this in a run of all tests.
const SHORT: Duration = Duration::from_secs(45);

/// A variable that says how to fuzz.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_str().expect("a number or a seed").to_owned())
}

/// A seed as `MODE SEED` or `MODE:SEED`.
fn parse(text: &str) -> (Mode, u64) {
    let (mode, seed) = text.split_once([' ', ':']).expect("MODE:SEED");
    let mode = match mode {
        "safe" => Mode::Safe,
        "cargo" => Mode::Cargo,
        other => panic!("{other} is no mode"),
    };
    let digits = seed.split_whitespace().next().unwrap();
    (mode, digits.parse().unwrap())
}

/// The kept seeds, then fixed ones, of which one in four is for the mode `cargo`.
fn seeds() -> Vec<(Mode, u64)> {
    let kept = include_str!("seeds.txt").lines();
    let mut seeds: Vec<_> = kept
        .filter(|line| !line.starts_with('#'))
        .map(parse)
        .collect();
    seeds.extend((1..=FIXED).map(|seed| (mode_of(seed), seed)));
    seeds
}

fn mode_of(seed: u64) -> Mode {
    if seed.is_multiple_of(4) {
        Mode::Cargo
    } else {
        Mode::Safe
    }
}

/// Seeds, and how long more are started.
struct Plan {
    seeds: Vec<(Mode, u64)>,
    /// The first of the seeds that follow.
    more_from: Option<u64>,
    time: Duration,
}

impl Plan {
    /// The seeds of a run: for some part of the time that a variable gives, or only `seeds`.
    fn of(seeds: Vec<(Mode, u64)>, part: u64) -> Self {
        let seconds: Option<u64> =
            variable("LOCAL_CACHE_FUZZ_SECONDS").map(|text| text.parse().unwrap());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // CI runs the same seeds each time, so that a failure comes from a change.
        let first = match variable("CI") {
            Some(_) => 1,
            None => now.unwrap().as_secs() * 1000,
        };
        Self {
            seeds,
            more_from: seconds.map(|_| first),
            time: seconds.map_or(SHORT, |seconds| Duration::from_secs(seconds / part)),
        }
    }
}

/// Runs seeds on two threads until they are used up, the time is, or a seed fails.
fn run_all(plan: &Plan, cache: Cache) -> (Counts, Vec<String>) {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let done = Mutex::new((Counts::default(), Vec::new()));
    let work = || {
        while start.elapsed() < plan.time && done.lock().unwrap().1.is_empty() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let random = plan.more_from.map(|from| from + number as u64);
            let random = random.map(|seed| (mode_of(seed), seed));
            let Some((mode, seed)) = plan.seeds.get(number).copied().or(random) else {
                return;
            };
            let result = run(seed, mode, cache);
            let mut done = done.lock().unwrap();
            match result {
                Ok(counts) => done.0.add(&counts),
                Err(report) => done.1.push(report),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    done.into_inner().unwrap()
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.builds += other.builds;
        self.hits += other.hits;
        self.minimal += other.minimal;
        self.wrong_by_cargo += other.wrong_by_cargo;
        self.excused += other.excused;
    }
}

/// Demands that no seed of a plan finds a difference.
fn demand_none(plan: &Plan, cache: Cache) -> Counts {
    let (counts, failures) = run_all(plan, cache);
    // Written directly: the test harness hides the output of print macros of passing tests.
    let line = format!("FUZZED with {cache:?}: {counts:?}\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(counts.builds > 0);
    counts
}

/// `LOCAL_CACHE_FUZZ_SECONDS` fuzzes for so long; `LOCAL_CACHE_FUZZ_SEED=MODE:SEED` runs one seed.
#[test]
fn random_jobs_end_like_clean_builds() {
    let plan = match variable("LOCAL_CACHE_FUZZ_SEED") {
        Some(seed) => Plan {
            seeds: vec![parse(&seed)],
            more_from: None,
            time: Duration::MAX,
        },
        None => Plan::of(seeds(), 1),
    };
    assert!(
        demand_none(&plan, Cache::Program).hits > 0,
        "no build used the cache"
    );
}

#[test]
fn random_jobs_without_a_cache_do_not_differ() {
    let plan = Plan::of(vec![(Mode::Safe, 1), (Mode::Cargo, 2)], 10);
    demand_none(&plan, Cache::Nothing);
}

#[test]
fn random_jobs_with_a_cache_of_unchanged_projects_do_not_differ() {
    let counts = demand_none(
        &Plan::of(vec![(Mode::Safe, 1), (Mode::Safe, 3)], 10),
        Cache::Whole,
    );
    assert!(counts.hits > 0, "no build used the cache");
}

#[test]
fn a_cache_that_makes_all_sources_old_is_found_out() {
    let found = (1..=10).find_map(|seed| run(seed, Mode::Safe, Cache::OldTimes).err());
    let report = found.expect("a difference within ten seeds");
    assert!(report.contains("a clean build"), "{report}");
}
