//! Eight jobs at once on one store, with every command, of one user and of two, and some of them
//! killed at any time.
//!
//! While they run, whatever is restored is exactly what was saved, and a command fails only because
//! others use the store. Afterwards the store is whole, every entry that is listed restores
//! exactly, and nothing unfinished stays.
//!
//! A run of all tests takes seconds. `LOCAL_CACHE_FAULTS=all cargo test --test it
//! store::concurrent::` takes three minutes for each test.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::users::{ALICE, BOB, Users, own};
use crate::support::compare::{Snapshot, difference, snapshot};
use crate::support::rng::Rng;
use crate::support::tools::{copy_tree, takes_all_faults};
use crate::support::{RunResult, Sandbox, trees};

const JOBS: usize = 8;
/// The trees that jobs save, each under keys of its own.
const TREES: u64 = 4;
/// Of so many commands, one is killed.
const KILLED: usize = 5;

/// Why a command may fail: others use the store, or removed the entry just now.
const REASONS: [&str; 2] = ["is in use by another process", "no entry"];

/// A machine on which jobs run. Each has its user and its directory.
trait Machine: Sync {
    fn sandbox(&self) -> &Sandbox;

    fn command(&self, job: usize, arguments: &[&str]) -> Command;

    /// Gives what the test made to the user of a job.
    fn give(&self, job: usize, path: &Path);
}

impl Machine for Sandbox {
    fn sandbox(&self) -> &Sandbox {
        self
    }

    fn command(&self, job: usize, arguments: &[&str]) -> Command {
        Sandbox::command(self, &self.path(&dir_of(job)), arguments)
    }

    fn give(&self, _job: usize, _path: &Path) {}
}

impl Machine for Users {
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn command(&self, job: usize, arguments: &[&str]) -> Command {
        Users::command(self, user_of(job), &dir_of(job), arguments)
    }

    fn give(&self, job: usize, path: &Path) {
        own(path, user_of(job));
    }
}

fn user_of(job: usize) -> u32 {
    [ALICE, BOB][job % 2]
}

fn dir_of(job: usize) -> String {
    format!("job-{job}")
}

/// What all jobs share.
struct World<'m> {
    machine: &'m dyn Machine,
    trees: Vec<Snapshot>,
    commands: AtomicUsize,
    kills: AtomicUsize,
    hits: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

/// One job: commands one after the other, chosen at random.
struct Job<'w> {
    world: &'w World<'w>,
    number: usize,
    rng: Rng,
}

impl World<'_> {
    fn tree(&self, number: u64) -> &Snapshot {
        &self.trees[usize::try_from(number).unwrap()]
    }

    fn note(&self, problem: String) {
        self.problems.lock().unwrap().push(problem);
    }
}

impl Job<'_> {
    fn step(&mut self) {
        let tree = self.rng.below(self.world.trees.len()) as u64;
        // Several generations of each tree.
        let key = format!("{tree}-{}", self.rng.below(3));
        match self.rng.below(20) {
            0..=3 => self.save(tree, &["save", "--key", &key, "tree"]),
            4..=5 => self.save(tree, &["save", "--refresh", "--key", &key, "tree"]),
            6..=7 => self.save(tree, &["save", "--move", "--key", &key, "tree"]),
            8..=12 => self.restore(tree, &key),
            13 => self.run(&["restore", "--lookup-only", "--key", &key, "tree"]),
            14 => self.run(&["prune", "--yes", "--any-key", "--keep", "6"]),
            15 => self.run(&["prune", "--yes", "--max-size", "2MB"]),
            16 => self.run(&["rm", "--yes", &key]),
            17 => self.run(&["verify"]),
            18 => self.run(&["verify", "--repair"]),
            _ => {
                let command = *self.rng.pick(&["list", "stats", "doctor"]);
                self.run(&[command]);
            }
        }
    }

    fn save(&mut self, tree: u64, arguments: &[&str]) {
        let sandbox = self.world.machine.sandbox();
        let job = sandbox.path(&dir_of(self.number));
        drop(fs::remove_dir_all(job.join("tree")));
        copy_tree(&sandbox.path(&format!("tree-{tree}")), &job.join("tree"));
        self.world.machine.give(self.number, &job);
        self.run(arguments);
    }

    fn restore(&mut self, tree: u64, key: &str) {
        let job = self.world.machine.sandbox().path(&dir_of(self.number));
        if self.rng.percent(50) {
            drop(fs::remove_dir_all(job.join("tree")));
        }
        let arguments = ["restore", "--json", "--mirror", "--key", key, "tree"];
        let Some(ran) = self.finish(&arguments) else {
            return;
        };
        if ran.code == Some(0) && ran.is_hit() {
            self.world.hits.fetch_add(1, Ordering::Relaxed);
            let (wanted, found) = (self.world.tree(tree), snapshot(&job.join("tree")));
            if found != *wanted {
                let difference = difference(wanted, &found);
                self.world.note(format!("restored {key}: {difference}"));
            }
        }
    }

    fn run(&mut self, arguments: &[&str]) {
        self.finish(arguments);
    }

    /// Runs a command; none if it was killed.
    fn finish(&mut self, arguments: &[&str]) -> Option<RunResult> {
        let world = self.world;
        let mut child = world
            .machine
            .command(self.number, arguments)
            .spawn()
            .unwrap();
        let is_killed = self.rng.below(KILLED) == 0;
        if is_killed {
            thread::sleep(Duration::from_micros(self.rng.below(60_000) as u64));
            child.kill().unwrap();
            world.kills.fetch_add(1, Ordering::Relaxed);
        }
        let ran = RunResult::wait_for(child);
        world.commands.fetch_add(1, Ordering::Relaxed);
        if is_killed {
            return None;
        }
        let is_reported = ran.code == Some(1)
            && REASONS.iter().any(|reason| ran.stderr.contains(reason))
            && ran.stderr.lines().count() == 1;
        // A doctor reports more than the store.
        let is_right = ran.code == Some(0) || is_reported || arguments == ["doctor"];
        // No kill damages anything.
        let reports_damage = ["damaged", "quarantined", "panicked"]
            .iter()
            .any(|word| ran.stderr.contains(word));
        if !is_right || reports_damage {
            world.note(format!("{arguments:?}: {ran:?}"));
        }
        Some(ran)
    }
}

fn run_jobs(machine: &dyn Machine) {
    let sandbox = machine.sandbox();
    let mut trees = Vec::new();
    for number in 0..TREES {
        let tree = sandbox.path(&format!("tree-{number}"));
        trees::small(&tree, number / 2);
        trees::write(&tree.join("own"), &trees::random_bytes(number, 300 << 10));
        trees::make_old(&tree);
        trees.push(snapshot(&tree));
    }
    for job in 0..JOBS {
        let path = sandbox.job(&dir_of(job));
        machine.give(job, &path);
    }
    let world = World {
        machine,
        trees,
        commands: AtomicUsize::default(),
        kills: AtomicUsize::default(),
        hits: AtomicUsize::default(),
        problems: Mutex::default(),
    };
    let seconds = if takes_all_faults() { 180 } else { 8 };
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for number in 0..JOBS {
            let world = &world;
            scope.spawn(move || {
                let rng = Rng::new(number as u64);
                let mut job = Job { world, number, rng };
                while Instant::now() < end {
                    job.step();
                }
            });
        }
    });
    let [commands, kills, hits] =
        [&world.commands, &world.kills, &world.hits].map(|count| count.load(Ordering::Relaxed));
    // Written directly: the test harness hides the output of print macros of passing tests.
    let line = format!("CONCURRENT commands: {commands}, {kills} killed, {hits} hits\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    assert!(kills > 5 && hits > 5, "{line}");
    let problems = world.problems.lock().unwrap();
    assert!(problems.is_empty(), "{line}{}", problems.join("\n"));
    drop(problems);
    store_is_right(&world);
}

/// Demands that the store is whole when all jobs are done.
fn store_is_right(world: &World<'_>) {
    let run = |arguments: &[&str]| {
        let ran = RunResult::of(&mut world.machine.command(0, arguments));
        assert!(ran.code == Some(0), "{arguments:?}: {ran:#?}");
        ran
    };
    run(&["verify"]);
    let job = world.machine.sandbox().path(&dir_of(0));
    let listed = run(&["list", "--json"]).json();
    for entry in listed.as_array().unwrap() {
        let key = entry["key"].as_str().unwrap();
        drop(fs::remove_dir_all(job.join("tree")));
        let restored = run(&["restore", "--json", "--key", key, "tree"]);
        assert!(restored.is_hit(), "{key} is listed and was not restored");
        let (number, _) = key.split_once('-').unwrap();
        let wanted = world.tree(number.parse().unwrap());
        let found = snapshot(&job.join("tree"));
        assert!(found == *wanted, "{key}: {}", difference(wanted, &found));
    }
    // What a killed command of the other user left, only that user can remove.
    for user in 0..2 {
        let arguments = ["prune", "--yes", "--any-key", "--keep", "9"];
        RunResult::of(&mut world.machine.command(user, &arguments)).exited(0);
    }
    run(&["verify"]);
    let tmp = world.machine.sandbox().store().join("tmp");
    let left: Vec<_> = fs::read_dir(tmp).unwrap().map(Result::unwrap).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn jobs_of_one_user_work_at_the_same_time() {
    let mut sandbox = Sandbox::new();
    sandbox.threads = 1;
    run_jobs(&sandbox);
}

#[test]
fn jobs_of_two_users_of_a_shared_store_work_at_the_same_time() {
    let Some(mut users) = Users::new() else {
        return;
    };
    users.sandbox.threads = 1;
    run_jobs(&users.with_root(0, 0o2770));
}
