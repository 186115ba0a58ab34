//! Runs the jobs of a seed, and compares each build with one from an empty target directory.

mod caches;
mod disk;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, SystemTime};

use super::job::{Habits, Job, Step, Times, command};
use super::least::{Inputs, may_compile};
use super::world::{CHECKOUT, World};
use crate::cargo::fresh::support::built::Built;
use crate::cargo::fresh::support::files::{Node, times as times_of};
use crate::cargo::fresh::support::{Files, Hit, Host, place};
use crate::support::rng::Rng;

const JOBS: usize = 6;

/// The input `freshness` of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Safe,
    /// Only with inputs that cargo knows.
    Cargo,
}

/// What restores and saves target directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    Program,
    /// Nothing: shows that the comparison itself finds no difference.
    Nothing,
    /// A copy of the target directory, and old times for all sources: shows that the comparison
    /// finds stale outputs.
    OldTimes,
    /// A copy of the target directory that is restored only when all sources are the same, with
    /// their times: shows that the comparison accepts a correct cache.
    Whole,
}

/// Counts of what the jobs of a seed did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) jobs: usize,
    pub(super) builds: usize,
    pub(super) hits: usize,
    /// Jobs whose compiled packages were compared with those that may be compiled.
    pub(super) minimal: usize,
    /// Builds that cargo alone would have got wrong too.
    pub(super) wrong_by_cargo: usize,
    /// Builds after a change behind cargo's back that came after the restore.
    pub(super) excused: usize,
}

struct Run {
    host: Host,
    world: World,
    cache: Cache,
    mode: Mode,
    clean: HashMap<blake3::Hash, Built>,
    counts: Counts,
    /// The sources as steps wrote them.
    disk: Files,
    variable: usize,
    last: Option<Inputs>,
}

/// What happened in a job so far.
#[derive(Default)]
struct Progress {
    done: Vec<Step>,
    variable_before: usize,
    is_excused: bool,
    hit: Option<Hit>,
    /// Whether the target directory holds nothing that a clean build would not make.
    is_mirrored: bool,
    /// Whether something changed after the first build or after the restore, or a build was killed.
    is_disturbed: bool,
    compiled: Option<Built>,
}

impl Progress {
    /// Whether the last restore found an entry.
    fn is_hit(&self) -> bool {
        self.hit.is_some_and(|hit| hit != Hit::Miss)
    }
}

/// Runs the jobs of a seed; a difference is an error that describes all.
pub(super) fn run(seed: u64, mode: Mode, cache: Cache) -> Result<Counts, String> {
    let mut rng = Rng::new(seed);
    let world = World::any(&mut rng, mode == Mode::Safe);
    let mut host = Host::new();
    if world.is_incremental {
        host.set("CARGO_INCREMENTAL", "1");
    }
    if world.is_target_elsewhere {
        host.set("CARGO_TARGET_DIR", host.path("place/elsewhere"));
    }
    host.set("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    host.set("FUZZ_VALUE", "0");
    let files = host.locked_in(world.files.clone(), &[CHECKOUT]);
    let mut branches = [files.clone(), files];
    let mut habits = Habits::any(&mut rng);
    let mut run = Run {
        host,
        world,
        cache,
        mode,
        clean: HashMap::new(),
        counts: Counts::default(),
        disk: Files::default(),
        variable: 0,
        last: None,
    };
    let mut history = String::new();
    for number in 0..JOBS {
        let job = Job::any(&mut rng, &run.world, &mut branches, &mut habits);
        write!(history, "job {number}: {job}").unwrap();
        if let Err(difference) = run.job(&job, &branches[job.branch]) {
            return Err(run.report(seed, &history, &difference));
        }
    }
    Ok(run.counts)
}

impl Run {
    fn report(mut self, seed: u64, history: &str, difference: &str) -> String {
        // This cache is known to be wrong.
        let kept = if self.cache == Cache::OldTimes {
            self.host.place()
        } else {
            self.host.keep()
        };
        let mut files = String::new();
        for (path, node) in &self.world.files.0 {
            match node {
                Node::Text(text) => write!(files, "--- {path}\n{text}").unwrap(),
                Node::Link(target) => writeln!(files, "--- {path} -> {target}").unwrap(),
            }
        }
        let mode = format!("{:?}", self.mode).to_lowercase();
        let incremental = self.world.is_incremental;
        format!(
            "{files}\nincremental: {incremental}, git: {}, target elsewhere: {}\n{history}\n{difference}\n\n\
             The files are kept in {}. Again: LOCAL_CACHE_FUZZ_SEED={mode}:{seed} cargo test --test it fuzz::random",
            self.world.uses_git,
            self.world.is_target_elsewhere,
            kept.display()
        )
    }

    fn job(&mut self, job: &Job, files: &Files) -> Result<(), String> {
        self.counts.jobs += 1;
        let home = if job.has_other_home {
            "other-cargo-home"
        } else {
            "cargo-home"
        };
        self.host.set("CARGO_HOME", self.host.path(home));
        let commit = self.check_out(job, files);
        let start = self.host.path("start");
        drop(fs::remove_dir_all(&start));
        place::copy(&self.host.place(), &start, false);
        let mut progress = Progress {
            variable_before: self.variable,
            ..Progress::default()
        };
        for (number, step) in job.steps.iter().enumerate() {
            progress.done.push(step.clone());
            self.step(step, &mut progress)
                .map_err(|difference| format!("step {number}, {step}: {difference}"))?;
        }
        let is_compared = progress.is_hit() && !job.generates_late();
        let last = self.last.take();
        let (Some(command), Some(built)) = (job.plain_command(), progress.compiled) else {
            return Ok(());
        };
        if job.has_other_home {
            return Ok(());
        }
        let now = Inputs {
            files: self.disk.clone(),
            command,
            variable: self.variable,
            commit,
        };
        if let Some(last) = last.filter(|last| last.command == command && is_compared) {
            self.check_least(&last, &now, &built)?;
        }
        self.last = built.succeeded.then_some(now);
        Ok(())
    }

    /// Demands that a build compiled only what it had to. Cargo compares times as text for
    /// documentation, so documentation is made again in each checkout.
    fn check_least(&mut self, last: &Inputs, now: &Inputs, built: &Built) -> Result<(), String> {
        let is_compared = built.succeeded && self.cache != Cache::OldTimes;
        // Cargo takes a file with a time in the future for changed in each build.
        let soon = SystemTime::now() + Duration::from_secs(1);
        let is_ahead = times_of(&self.host.place())
            .values()
            .any(|time| *time > soon);
        if !is_compared || is_ahead || command(now.command)[0] == "doc" {
            return Ok(());
        }
        self.counts.minimal += 1;
        let allowed = may_compile(&self.world, last, now);
        let name = |unit: &str| unit.trim_end_matches(" script").to_owned();
        let needless: Vec<&String> = built
            .compiled
            .iter()
            .filter(|unit| !allowed.contains(&name(unit)))
            .collect();
        if needless.is_empty() {
            return Ok(());
        }
        Err(format!(
            "compiled without need: {needless:?}, allowed: {allowed:?}"
        ))
    }

    fn step(&mut self, step: &Step, progress: &mut Progress) -> Result<(), String> {
        match step {
            Step::Change(change, times) => {
                let is_unseen = *times != Times::Now || change.is_hidden_from_cargo();
                progress.is_excused |= progress.is_hit() && is_unseen;
                progress.is_disturbed |= progress.is_hit() || progress.compiled.is_some();
                self.change(change, *times);
                change.apply(&mut self.disk);
            }
            Step::SetVariable(value) => self.set_variable(*value),
            Step::Restore { keeps_extraneous } => {
                let is_left = *keeps_extraneous && self.target().exists();
                let hit = self.restore(*keeps_extraneous)?;
                progress.hit = Some(hit);
                progress.is_excused &= !progress.is_hit();
                // Units that were left there are cargo's to judge, by times alone.
                progress.is_excused |= progress.is_hit() && is_left;
                // A target directory of an earlier job is cargo's to judge, by times alone.
                if !progress.is_hit() && progress.compiled.is_none() && !progress.is_disturbed {
                    self.remove_targets();
                } else {
                    progress.is_disturbed |= is_left;
                }
                progress.is_mirrored = !keeps_extraneous;
            }
            Step::Build(number) => self.build(*number, progress)?,
            Step::Killed(number, milliseconds) => {
                self.kill(*number, *milliseconds);
                progress.is_mirrored = false;
                progress.is_disturbed = true;
            }
            Step::Save { moves } => self.save(*moves, progress.is_disturbed)?,
        }
        Ok(())
    }

    fn set_variable(&mut self, value: usize) {
        self.variable = value;
        self.host.set("FUZZ_VALUE", value.to_string());
    }

    fn cargo(&self, number: usize) -> Built {
        self.host
            .cargo_with_sources(&self.host.checkout(), command(number))
    }

    fn build(&mut self, number: usize, progress: &mut Progress) -> Result<(), String> {
        self.counts.builds += 1;
        self.counts.hits += usize::from(progress.is_hit());
        let copy = self.host.path("clean");
        drop(fs::remove_dir_all(&copy));
        place::copy(&self.host.place(), &copy, false);
        let head = fs::read_to_string(self.host.checkout().join(".git/refs/heads/main"));
        let inputs = (place::sources(&copy), head.ok(), number, self.variable);
        let key = blake3::hash(format!("{inputs:?}").as_bytes());
        let cached = self.cargo(number);
        let clean = if let Some(clean) = self.clean.get(&key) {
            clean.clone()
        } else {
            let clean = self.host.with_place(&copy, || self.cargo(number));
            self.clean.insert(key, clean.clone());
            clean
        };
        let mut found = clean.differences(&cached);
        if progress.is_mirrored && clean.succeeded {
            let left = cached.products.difference(&clean.products);
            let left = left.filter(|name| self.is_unwanted(name));
            found.extend(left.map(|name| format!("{name} is in the target directory")));
        }
        progress.is_mirrored = false;
        progress.compiled = Some(cached.clone());
        if found.is_empty() {
            return Ok(());
        }
        if self.replay(progress).differences(&cached).is_empty() {
            self.counts.wrong_by_cargo += 1;
            return Ok(());
        }
        if progress.is_excused {
            self.counts.excused += 1;
            return Ok(());
        }
        Err(found.join("\n"))
    }

    /// Whether a name must not come back: documentation of other builds may, unless its program is
    /// gone.
    fn is_unwanted(&self, product: &str) -> bool {
        let Some(name) = product.strip_prefix("doc/") else {
            return true;
        };
        let source = format!("/src/bin/{name}.rs");
        name.contains("_extra") && !self.disk.0.keys().any(|path| path.ends_with(&source))
    }

    /// The last build of the job so far, if the job had no cache.
    fn replay(&mut self, progress: &Progress) -> Built {
        let other = self.host.path("replay");
        drop(fs::remove_dir_all(&other));
        place::copy(&self.host.path("start"), &other, false);
        let variable = self.variable;
        self.host.swap_place(&other);
        self.set_variable(progress.variable_before);
        let mut built = Built::default();
        for step in &progress.done {
            match step {
                Step::Change(change, times) => self.change(change, *times),
                Step::SetVariable(value) => self.set_variable(*value),
                Step::Build(number) => built = self.cargo(*number),
                Step::Killed(number, milliseconds) => self.kill(*number, *milliseconds),
                Step::Restore { .. } | Step::Save { .. } => {}
            }
        }
        self.host.swap_place(&other);
        self.set_variable(variable);
        built
    }
}
