//! Random jobs: a checkout, cache steps, builds, and what other steps do between them.

use std::fmt;

use super::change::Change;
use super::world::{GENERATED, World};
use crate::cargo::fresh::support::Files;
use crate::cargo::fresh::support::files::Node;
use crate::support::rng::Rng;

/// The modification times of files that a step writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Now,
    /// As archives have them.
    Old,
    Future,
    /// The times that the paths had before.
    Kept,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Change(Change, Times),
    Restore {
        keeps_extraneous: bool,
    },
    /// Builds with a command by its number.
    Build(usize),
    /// A build that is killed after some milliseconds.
    Killed(usize, u64),
    Save {
        moves: bool,
    },
    SetVariable(usize),
}

pub(super) struct Job {
    pub(super) branch: usize,
    pub(super) commits: Vec<Change>,
    pub(super) is_persistent: bool,
    pub(super) checkout_times: Times,
    /// Part of the message of the commit: another number makes another commit of the same files.
    pub(super) commit_number: usize,
    pub(super) keeps_elsewhere: bool,
    /// Whether the job runs with another `CARGO_HOME` than most.
    pub(super) has_other_home: bool,
    pub(super) steps: Vec<Step>,
}

const COMMANDS: [&[&str]; 10] = [
    &["build"],
    &["test", "--no-run"],
    &["build", "--all-targets"],
    &["build", "--release"],
    &["check"],
    &["build", "-p", "p0"],
    &["build", "--features", "p0/extra"],
    &["clippy"],
    &["doc", "--no-deps"],
    &["check", "--all-targets"],
];

/// The arguments of a command by its number.
pub(super) fn command(number: usize) -> &'static [&'static str] {
    COMMANDS[number]
}

/// What jobs of one workspace have in common.
pub(super) struct Habits {
    commands: Vec<usize>,
    commit_number: usize,
    /// Whether most jobs are plain and unchanged.
    is_calm: bool,
}

impl Habits {
    pub(super) fn any(rng: &mut Rng) -> Self {
        let count = 1 + rng.below(2);
        let command = |rng: &mut Rng| {
            if rng.percent(60) {
                rng.below(3)
            } else {
                rng.below(COMMANDS.len())
            }
        };
        Self {
            commands: (0..count).map(|_| command(rng)).collect(),
            commit_number: 0,
            is_calm: rng.percent(40),
        }
    }
}

impl Job {
    /// A job after commits to one of the branches, which are changed accordingly.
    pub(super) fn any(
        rng: &mut Rng,
        world: &World,
        branches: &mut [Files; 2],
        habits: &mut Habits,
    ) -> Self {
        let branch = usize::from(rng.percent(if habits.is_calm { 5 } else { 20 }));
        let mut commits = Vec::new();
        let most = if habits.is_calm {
            [0, 0, 0, 0, 1]
        } else {
            [0, 0, 1, 1, 3]
        };
        for _ in 0..*rng.pick(&most) {
            let change = Change::any(rng, &branches[branch]);
            change.apply(&mut branches[branch]);
            commits.push(change);
        }
        if rng.percent(20) {
            habits.commit_number += 1;
        }
        let mut job = Self {
            branch,
            commits,
            is_persistent: rng.percent(25),
            checkout_times: if rng.percent(15) {
                Times::Old
            } else {
                Times::Now
            },
            commit_number: habits.commit_number,
            keeps_elsewhere: rng.percent(50),
            has_other_home: rng.percent(7),
            steps: Vec::new(),
        };
        let is_generated = world
            .files
            .0
            .values()
            .any(|node| matches!(node, Node::Text(text) if text.contains("gen/made.txt")));
        let mut disk = branches[branch].clone();
        if is_generated {
            let number = if rng.percent(80) {
                10
            } else {
                10 + rng.below(90)
            };
            let generate = Change {
                what: format!("generate {GENERATED} with {number}"),
                nodes: vec![(
                    GENERATED.to_owned(),
                    Some(Node::Text(format!("made ~{number}\n"))),
                )],
            };
            generate.apply(&mut disk);
            job.steps.push(Step::Change(generate, Times::Now));
        }
        if rng.percent(if habits.is_calm { 85 } else { 50 }) {
            let command = habits.commands[0];
            let moves = rng.percent(60);
            let plain = [
                Step::Restore {
                    keeps_extraneous: false,
                },
                Step::Build(command),
                Step::Save { moves },
            ];
            job.steps.extend(plain);
            // The order of the generated file and the cache step.
            if is_generated && rng.percent(30) {
                job.steps.swap(0, 1);
            }
        } else {
            job.add_steps(rng, habits, &branches[branch], disk);
        }
        job
    }

    fn add_steps(&mut self, rng: &mut Rng, habits: &Habits, committed: &Files, disk: Files) {
        let mut disk = disk;
        if rng.percent(15) {
            self.change(rng, &mut disk, committed);
            self.steps.push(Step::Build(*rng.pick(&habits.commands)));
            self.change(rng, &mut disk, committed);
        }
        let keeps_extraneous = rng.percent(10);
        self.steps.push(Step::Restore { keeps_extraneous });
        for round in 0..=rng.below(3) {
            if round > 0 || rng.percent(40) {
                self.change(rng, &mut disk, committed);
            }
            if rng.percent(15) {
                self.steps.push(Step::Restore { keeps_extraneous });
            }
            if rng.percent(10) {
                self.steps.push(Step::SetVariable(rng.below(3)));
            }
            let command = *rng.pick(&habits.commands);
            if rng.percent(12) {
                let milliseconds = 50 + 50 * u64::try_from(rng.below(12)).unwrap();
                self.steps.push(Step::Killed(command, milliseconds));
            } else {
                self.steps.push(Step::Build(command));
            }
        }
        if rng.percent(20) {
            self.change(rng, &mut disk, committed);
        }
        if rng.percent(80) {
            let moves = rng.percent(50);
            self.steps.push(Step::Save { moves });
        }
    }

    /// Adds a change of the checkout, or takes all changes back.
    fn change(&mut self, rng: &mut Rng, disk: &mut Files, committed: &Files) {
        let change = if rng.percent(30) {
            let mut wanted = committed.clone();
            let generated = disk.0.get_key_value(GENERATED);
            wanted
                .0
                .extend(generated.map(|(path, node)| (path.clone(), node.clone())));
            Change::between(disk, &wanted, "revert")
        } else if rng.percent(20) {
            let paths: Vec<_> = disk.0.iter().collect();
            let (path, node) = *rng.pick(&paths);
            Change {
                what: format!("touch {path}"),
                nodes: vec![(path.clone(), Some(node.clone()))],
            }
        } else {
            Change::any(rng, disk)
        };
        change.apply(disk);
        let times = *rng.pick(&[
            Times::Now,
            Times::Now,
            Times::Now,
            Times::Now,
            Times::Old,
            Times::Future,
            Times::Kept,
        ]);
        self.steps.push(Step::Change(change, times));
    }

    /// The command, if the job is a checkout, a restore, a build and a save, with nothing changed
    /// but what it generates.
    pub(super) fn plain_command(&self) -> Option<usize> {
        let mut command = None;
        for step in &self.steps {
            match step {
                Step::Build(number) if command.is_none() => command = Some(*number),
                Step::Change(change, Times::Now) if change.what.starts_with("generate") => {}
                Step::Restore { .. } | Step::Save { .. } if self.steps.len() <= 4 => {}
                _ => return None,
            }
        }
        let saves = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Save { .. }));
        command.filter(|_| saves)
    }
}

impl Job {
    /// Whether a file is generated after the last restore: cargo compiles what reads it.
    pub(super) fn generates_late(&self) -> bool {
        let is_restore = |step: &Step| matches!(step, Step::Restore { .. });
        let restored = self.steps.iter().rposition(is_restore).unwrap_or_default();
        let mut after = self.steps[restored..].iter();
        after.any(|step| matches!(step, Step::Change(..)))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change, times) => write!(f, "{} (times: {times:?})", change.what),
            Self::Restore { keeps_extraneous } => f.write_str(if *keeps_extraneous {
                "restore --no-mirror"
            } else {
                "restore"
            }),
            Self::Build(number) => write!(f, "cargo {}", command(*number).join(" ")),
            Self::Killed(number, milliseconds) => write!(
                f,
                "cargo {}, killed after {milliseconds} ms",
                command(*number).join(" ")
            ),
            Self::Save { moves } => f.write_str(if *moves { "save --move" } else { "save" }),
            Self::SetVariable(value) => write!(f, "FUZZ_VALUE={value}"),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.is_persistent, self.has_other_home) {
            (true, false) => "persistent",
            (false, false) => "new",
            (true, true) => "with another CARGO_HOME, persistent",
            (false, true) => "with another CARGO_HOME, new",
        };
        writeln!(
            f,
            "{kind} checkout of branch {}, commit {}, times {:?}",
            self.branch, self.commit_number, self.checkout_times
        )?;
        for commit in &self.commits {
            writeln!(f, "    committed: {}", commit.what)?;
        }
        for step in &self.steps {
            writeln!(f, "    {step}")?;
        }
        Ok(())
    }
}
