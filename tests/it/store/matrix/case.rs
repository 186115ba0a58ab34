//! One change to one target, and what must hold for every command after it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use super::change::{self, Change};
use super::fixture::{DAMAGED, Fixture, OTHER, Target, directories_of_new_store};
use crate::support::RunResult;
use crate::support::compare::{Snapshot, difference, identities, snapshot};
use crate::support::tools::copy_tree;

/// Commands that read the store. They run one after the other on the same damaged store.
const READING: [&[&str]; 6] = [
    &["list"],
    &["show", DAMAGED],
    &["stats"],
    &["verify", "--json"],
    &["doctor"],
    &["prune", "--dry-run", "--any-key", "--keep", "1"],
];

/// Commands that change the store. Each gets a damaged store of its own.
const CHANGING: [&[&str]; 7] = [
    RESTORE,
    &[
        "restore",
        "--json",
        "--lookup-only",
        "--key",
        DAMAGED,
        "tree",
    ],
    &["save", "--json", "--key", "new", "tree"],
    &["save", "--json", "--refresh", "--key", DAMAGED, "tree"],
    &["prune", "--any-key", "--keep", "9"],
    &["verify", "--json", "--repair"],
    &["save", "--json", "--move", "--key", "new", "tree"],
];

const RESTORE: &[&str] = &["restore", "--json", "--key", DAMAGED, "tree"];

/// Whether every command needs a target.
fn is_vital(target: &Target) -> bool {
    matches!(
        &*target.name,
        "store" | "store-lock" | "turn-lock" | "format"
    ) || directories_of_new_store().contains(&target.name)
}

type Check<T = ()> = Result<T, String>;

fn demand(holds: bool, problem: &str, ran: &RunResult) -> Check {
    if holds {
        Ok(())
    } else {
        Err(format!("{problem}: {ran:?}"))
    }
}

/// After a hit there is the whole tree, and after a miss nothing.
fn is_restored(job: &Path, ran: &RunResult, wanted: &Snapshot) -> Check {
    let tree = job.join("tree");
    if !ran.is_hit() {
        return demand(!tree.exists(), "a miss wrote something", ran);
    }
    let found = snapshot(&tree);
    if found == *wanted {
        Ok(())
    } else {
        Err(format!("restored {}", difference(wanted, &found)))
    }
}

pub(super) struct Case<'f> {
    fixture: &'f Fixture,
    target: &'f Target,
    change: Change,
    /// How many commands ran.
    pub(super) runs: Cell<usize>,
    pub(super) problems: RefCell<Vec<String>>,
}

impl<'f> Case<'f> {
    pub(super) fn new(fixture: &'f Fixture, target: &'f Target, change: Change) -> Self {
        Self {
            fixture,
            target,
            change,
            runs: Cell::default(),
            problems: RefCell::default(),
        }
    }

    pub(super) fn run_all(&self) {
        let job = self.fixture.empty_job();
        self.damage();
        for arguments in READING {
            self.note(arguments, self.read(&job, arguments));
        }
        let is_verified = self
            .run(&job, &["verify"])
            .is_ok_and(|ran| ran.code == Some(0));
        for arguments in CHANGING {
            self.damage();
            let job = self.job_for(arguments);
            let changed = self.run(&job, arguments);
            let checked = changed.and_then(|ran| self.check(&job, arguments, &ran, is_verified));
            self.note(arguments, checked);
            self.note(arguments, self.other_entry_is_unharmed());
        }
    }

    fn note(&self, arguments: &[&str], result: Check) {
        if let Err(problem) = result {
            let Self { target, change, .. } = self;
            let text = format!("{} x {change:?} x {arguments:?}: {problem}", target.name);
            self.problems.borrow_mut().push(text);
        }
    }

    /// Whether the change makes the whole store unusable, which every command reports.
    fn may_refuse(&self) -> bool {
        // What is missing is created again. A store without its format has no version.
        is_vital(self.target) && (self.change != Change::Delete || self.target.name == "format")
    }

    fn damage(&self) {
        self.fixture.reset();
        let sandbox = &self.fixture.sandbox;
        let (store, outside) = (sandbox.store(), sandbox.path("outside"));
        self.change.apply(&store, self.target, &outside);
        change::give_away(&self.target.within(&store));
    }

    /// A job directory that holds a tree for a command that saves.
    fn job_for(&self, arguments: &[&str]) -> PathBuf {
        let job = self.fixture.empty_job();
        if arguments[0] == "save" {
            copy_tree(&self.fixture.sandbox.path("a/tree"), &job.join("tree"));
        }
        job
    }

    /// Runs a command, and demands what must hold for any.
    fn run(&self, job: &Path, arguments: &[&str]) -> Check<RunResult> {
        self.runs.set(self.runs.get() + 1);
        let outside = self.fixture.sandbox.path("outside");
        let before = identities(&outside);
        let ran = self.fixture.run(job, arguments);
        demand(!ran.stderr.contains("panicked"), "it panicked", &ran)?;
        demand(matches!(ran.code, Some(0 | 1)), "a wrong exit code", &ran)?;
        let mut lines = ran.stderr.lines();
        let is_own = lines.all(|line| line.starts_with("local-cache: "));
        demand(is_own, "a line that is not the program's own", &ran)?;
        let is_kept = before == identities(&outside);
        demand(is_kept, "something outside changed", &ran)?;
        Ok(ran)
    }

    fn read(&self, job: &Path, arguments: &[&str]) -> Check {
        let ran = self.run(job, arguments)?;
        let may_fail = matches!(arguments[0], "show" | "verify" | "doctor") || self.may_refuse()
            // The journal itself can't be read.
            || (arguments[0] == "stats" && matches!(&*self.target.name, "journal" | "events"));
        demand(ran.code == Some(0) || may_fail, "it failed", &ran)
    }

    fn check(&self, job: &Path, arguments: &[&str], ran: &RunResult, is_verified: bool) -> Check {
        if ran.code == Some(1) && self.may_refuse() {
            return Ok(());
        }
        let succeeded = ran.code == Some(0);
        match arguments {
            ["restore", _, "--lookup-only", ..] => {
                demand(succeeded, "it failed", ran)?;
                demand(!job.join("tree").exists(), "it wrote something", ran)
            }
            ["restore", ..] => {
                demand(succeeded, "it failed", ran)?;
                is_restored(job, ran, &self.fixture.wanted)?;
                let is_gone = matches!(&*self.target.name, "entry" | "entries" | "store")
                    || self.may_refuse();
                let is_explained = ran.is_hit() || !is_verified || is_gone;
                demand(is_explained, "a miss, and verify found nothing", ran)
            }
            ["save", .., key, _] => self.saved_entry_is_right(key, ran),
            ["prune", ..] => demand(succeeded, "it failed", ran),
            _ => {
                // What can't be read can't be repaired.
                let may_fail = matches!(self.change, Change::Unreadable);
                demand(succeeded || may_fail, "it failed", ran)
            }
        }
    }

    fn saved_entry_is_right(&self, key: &str, ran: &RunResult) -> Check {
        if ran.code != Some(0) {
            // An entry that can't be read is not replaced. Nor is a lock used that is no lock file,
            // and nothing is written to a directory that can't be entered.
            let is_closed = key == DAMAGED || self.target.name == "shelf";
            let may_fail =
                self.change == Change::Unreadable && is_closed || self.target.name == "entry-lock";
            return demand(may_fail, "it failed", ran);
        }
        let job = self.fixture.empty_job();
        let restored = self.run(&job, &["restore", "--json", "--key", key, "tree"])?;
        demand(restored.code == Some(0), "the restore failed", &restored)?;
        is_restored(&job, &restored, &self.fixture.wanted)?;
        // Damage inside of a file is found when it is read. A save reuses what seems intact.
        let is_hidden = matches!(self.change, Change::Flip | Change::Swap | Change::Sparse);
        let is_found = restored.is_hit() || is_hidden;
        demand(is_found, "a fresh entry is a miss", &restored)
    }

    fn other_entry_is_unharmed(&self) -> Check {
        let job = self.fixture.empty_job();
        let ran = self.run(&job, &["restore", "--json", "--key", OTHER, "tree"])?;
        if ran.code == Some(0) && ran.is_hit() {
            return is_restored(&job, &ran, &self.fixture.wanted_other);
        }
        demand(is_vital(self.target), "the other entry is lost", &ran)?;
        demand(!job.join("tree").exists(), "a miss wrote something", &ran)
    }
}
