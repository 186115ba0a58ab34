//! Power cuts: the store flushes nothing, so what an operation wrote may be lost, in part and in any
//! order.
//!
//! Each operation is killed at some of the calls that change names, or not at all. From the store
//! before it and the store that it leaves, [`lost_writes`] makes states that a power cut may leave.
//! In the next boot, each of them opens; what is listed restores exactly or is a miss; the next
//! saves make it whole again, and repair and pruning leave nothing damaged or unfinished.
//!
//! A run of all tests takes a sample. `LOCAL_CACHE_FAULTS=all cargo test --test it store::power::`
//! takes all.

mod lost_writes;

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, difference, snapshot};
use crate::support::mounts::later_boot;
use crate::support::rng::Rng;
use crate::support::tools::{copy_tree, is_installed, takes_all_faults};
use crate::support::{RunResult, Sandbox, strace, trees};
use lost_writes::{LOSSES, PowerCut};

/// The calls that change names.
const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat";
const KEYS: [&str; 3] = ["1", "2", "3"];
/// A run of all tests takes one of so many losses at each of the calls it takes.
const SAMPLE: usize = 2;
/// A run of everything takes so many states of each loss.
const STATES: usize = 3;

struct Operation {
    arguments: &'static [&'static str],
    /// How many generations are in the store before.
    generations: usize,
    /// Whether contents of the newest generation are damaged before.
    is_damaged: bool,
}

const FIRST_SAVE: Operation = Operation {
    arguments: &["save", "--key", "3", "tree"],
    generations: 0,
    is_damaged: false,
};
const SAVE: Operation = Operation {
    generations: 2,
    ..FIRST_SAVE
};
const REFRESH: Operation = Operation {
    arguments: &["save", "--refresh", "--key", "2", "tree"],
    ..SAVE
};
const MOVE: Operation = Operation {
    arguments: &["save", "--move", "--key", "3", "tree"],
    ..SAVE
};
const RESTORE: Operation = Operation {
    arguments: &["restore", "--mirror", "--key", "1", "tree"],
    ..SAVE
};
const PRUNE: Operation = Operation {
    arguments: &["prune", "--any-key", "--keep", "1", "--yes"],
    ..SAVE
};
const REPAIR: Operation = Operation {
    arguments: &["verify", "--repair"],
    is_damaged: true,
    ..SAVE
};

/// Generations share small and large files. Most of what the first one has is dead without it.
fn write_generation(tree: &Path, number: u64) {
    trees::small(tree, 1);
    let write = |name: &str, seed, length| {
        trees::write(&tree.join(name), &trees::random_bytes(seed, length));
    };
    write("src/3.rs", number, 3000);
    write("large-too", 70 + number, 300 << 10);
    if number == 1 {
        for file in 0..6 {
            write(&format!("first/{file}"), 60 + file, 250 << 10);
        }
    }
    trees::make_old(tree);
}

/// The store before an operation, and copies of it.
struct World {
    sandbox: Sandbox,
    operation: &'static Operation,
    /// The trees of the generations.
    trees: Vec<Snapshot>,
    /// The words before a command in the next boot.
    later_boot: Vec<String>,
    /// How many entries were restored after a power cut.
    hits: Cell<usize>,
    misses: Cell<usize>,
}

impl World {
    /// None if a later boot can't be simulated.
    fn new(operation: &'static Operation) -> Option<Self> {
        let mut sandbox = Sandbox::new();
        // Each save writes one pack, which a prune rewrites.
        sandbox.threads = 1;
        let later_boot = later_boot(&sandbox.path("boot"), "power cuts")?;
        let job = sandbox.job("template");
        let mut trees = Vec::new();
        for number in 1..=3 {
            drop(fs::remove_dir_all(job.join("tree")));
            write_generation(&job.join("tree"), number);
            trees.push(snapshot(&job.join("tree")));
            if trees.len() <= operation.generations {
                let key = KEYS[trees.len() - 1];
                sandbox.save(&job, key).succeeded();
            }
        }
        fs::create_dir_all(sandbox.cache()).unwrap();
        trees::set_mode(sandbox.cache(), 0o700);
        if operation.is_damaged {
            damage_blob(&sandbox, 72);
        }
        fs::rename(sandbox.cache(), sandbox.path("before")).unwrap();
        Some(Self {
            sandbox,
            operation,
            trees,
            later_boot,
            hits: Cell::default(),
            misses: Cell::default(),
        })
    }

    /// Runs the operation on a copy of the store, killed at a call. Returns whether it was killed.
    fn interrupt(&self, at: usize) -> bool {
        let job = self.empty_job();
        copy_tree(&self.sandbox.path("template/tree"), &job.join("tree"));
        drop(fs::remove_dir_all(self.sandbox.cache()));
        copy_tree(&self.sandbox.path("before"), self.sandbox.cache());
        let starter = strace::kill(CALLS, at);
        let arguments = self.operation.arguments;
        let mut command = self.sandbox.command_behind(&starter, &job, arguments);
        let ran = RunResult::of(&mut command);
        let after = self.sandbox.path("after");
        drop(fs::remove_dir_all(&after));
        fs::rename(self.sandbox.cache(), after).unwrap();
        ran.code.is_none_or(|code| code >= 128)
    }

    fn cut_power(&self, cut: &mut PowerCut<'_>) {
        let (before, after) = (self.sandbox.path("before"), self.sandbox.path("after"));
        drop(fs::remove_dir_all(self.sandbox.cache()));
        cut.between(&before, &after, self.sandbox.cache());
    }

    fn empty_job(&self) -> PathBuf {
        drop(fs::remove_dir_all(self.sandbox.path("job")));
        self.sandbox.job("job")
    }

    /// Runs a command in the next boot.
    fn run(&self, job: &Path, arguments: &[&str]) -> Result<RunResult, String> {
        let mut command = self
            .sandbox
            .command_behind(&self.later_boot, job, arguments);
        let ran = RunResult::of(&mut command);
        let is_right = matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked");
        is_right
            .then_some(ran)
            .ok_or_else(|| format!("{arguments:?} ended badly"))
    }

    fn succeed(&self, job: &Path, arguments: &[&str]) -> Result<RunResult, String> {
        let ran = self.run(job, arguments)?;
        if ran.code == Some(0) {
            Ok(ran)
        } else {
            Err(format!("{arguments:?} failed: {ran:?}"))
        }
    }

    /// Demands everything that must hold after a power cut.
    fn check(&self) -> Result<(), String> {
        let job = self.empty_job();
        // Without its format, the store is unusable until the next save.
        let is_new = self.operation.generations == 0;
        let listed = self.run(&job, &["list", "--json"])?;
        if listed.code != Some(0) && !is_new {
            return Err(format!("the store does not open: {listed:?}"));
        }
        self.run(&job, &["verify", "--json"])?;
        for (key, tree) in KEYS.into_iter().zip(&self.trees) {
            self.restores_right_or_nothing(key, tree, is_new)?;
        }
        self.save_makes_it_whole()?;
        self.succeed(&job, &["verify", "--repair"])?;
        self.succeed(&job, &["verify"])?;
        self.succeed(&job, &["prune", "--any-key", "--keep", "9"])?;
        self.succeed(&job, &["verify"])?;
        let unfinished = fs::read_dir(self.sandbox.store().join("tmp")).unwrap();
        match unfinished.count() {
            0 => Ok(()),
            left => Err(format!("{left} unfinished files are left")),
        }
    }

    fn restores_right_or_nothing(
        &self,
        key: &str,
        tree: &Snapshot,
        is_new: bool,
    ) -> Result<(), String> {
        let job = self.empty_job();
        let arguments = ["restore", "--json", "--key", key, "tree"];
        let ran = if is_new {
            self.run(&job, &arguments)?
        } else {
            self.succeed(&job, &arguments)?
        };
        let restored = job.join("tree");
        if ran.code == Some(0) && ran.is_hit() {
            self.hits.set(self.hits.get() + 1);
            let found = snapshot(&restored);
            // The last generation may have replaced it.
            if found != *tree && found != self.trees[2] {
                let difference = difference(tree, &found);
                return Err(format!("{key} restored {difference}"));
            }
            return Ok(());
        }
        self.misses.set(self.misses.get() + 1);
        if restored.exists() {
            return Err(format!("a miss of {key} wrote something"));
        }
        Ok(())
    }

    /// Damage inside of a file is found when it is read, and a save reuses what seems intact. So a
    /// second save may be needed.
    fn save_makes_it_whole(&self) -> Result<(), String> {
        for key in ["again", "once more"] {
            let job = self.empty_job();
            copy_tree(&self.sandbox.path("template/tree"), &job.join("tree"));
            self.succeed(&job, &["save", "--key", key, "tree"])?;
            let job = self.empty_job();
            let ran = self.succeed(&job, &["restore", "--json", "--key", key, "tree"])?;
            if ran.is_hit() {
                let found = snapshot(&job.join("tree"));
                let is_right = found == self.trees[2];
                let problem = || format!("{key} restored {}", difference(&self.trees[2], &found));
                return is_right.then_some(()).ok_or_else(problem);
            }
        }
        Err("two saves do not make the store whole".to_owned())
    }
}

/// Changes a byte of the blob of a generation.
fn damage_blob(sandbox: &Sandbox, seed: u64) {
    let wanted = trees::random_bytes(seed, 300 << 10);
    let digest = blake3::hash(&wanted).to_hex();
    let blob = sandbox.store().join("blobs").join(&digest[..2]);
    let mut damaged = wanted;
    damaged[1000] ^= 1;
    fs::write(blob.join(digest.as_str()), damaged).unwrap();
}

fn power_fails(operation: &'static Operation) {
    if !is_installed("strace", "power cuts") {
        return;
    }
    let Some(world) = World::new(operation) else {
        return;
    };
    let all = takes_all_faults();
    let (mut at, mut cuts, mut problems) = (1, 0, Vec::new());
    loop {
        let was_killed = world.interrupt(at);
        for (number, loss) in LOSSES.into_iter().enumerate() {
            if !all && (number + at) % SAMPLE != 0 {
                continue;
            }
            for state in 0..if all { STATES } else { 1 } {
                let seed = (at * LOSSES.len() + number) * STATES + state;
                let mut rng = Rng::new(seed as u64);
                world.cut_power(&mut PowerCut {
                    loss,
                    rng: &mut rng,
                });
                cuts += 1;
                if let Err(problem) = world.check() {
                    problems.push(format!("at call {at}, {loss:?}, seed {seed}: {problem}"));
                }
            }
        }
        if !was_killed {
            break;
        }
        // A sample cuts at a few calls.
        at += if all { 1 } else { at.div_ceil(2) };
    }
    // Written directly: the test harness hides the output of print macros of passing tests.
    let (hits, misses) = (world.hits.get(), world.misses.get());
    let arguments = operation.arguments.join(" ");
    let line = format!("POWER CUTS in `{arguments}`: {cuts}, {hits} hits, {misses} misses\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    assert!(at > 2, "the operation was interrupted only {at} times");
    assert!(hits > 0 || operation.generations == 0, "{line}");
    assert!(
        problems.is_empty(),
        "{} of {cuts} cuts:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

macro_rules! operations {
    ($($name:ident: $operation:ident,)*) => {
        $(#[test] fn $name() { power_fails(&$operation); })*
    };
}

operations! {
    the_power_fails_in_a_first_save: FIRST_SAVE,
    the_power_fails_in_a_save: SAVE,
    the_power_fails_in_a_save_that_replaces: REFRESH,
    the_power_fails_in_a_save_that_moves: MOVE,
    the_power_fails_in_a_restore: RESTORE,
    the_power_fails_in_a_prune: PRUNE,
    the_power_fails_in_a_repair: REPAIR,
}
