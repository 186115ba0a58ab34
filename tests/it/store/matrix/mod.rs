//! The damage matrix: every kind of file and directory of the store, each changed in every way,
//! before every command.
//!
//! Whatever the change, a command ends with a right exit code and without a panic, needs little
//! memory and no time, restores the right bytes or nothing, leaves the other entry restorable, and
//! changes nothing outside of the store.

mod change;
mod fixture;

use std::fs;
use std::path::Path;

use crate::support::RunResult;
use crate::support::compare::{assert_same, identities, snapshot};
use crate::support::tools::is_installed;
use change::Change;
use fixture::{DAMAGED, Fixture, OTHER, Target};

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
    &["restore", "--json", "--key", DAMAGED, "tree"],
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

/// One change to one target.
struct Case<'f> {
    fixture: &'f Fixture,
    target: &'f Target,
    change: Change,
}

impl Case<'_> {
    fn what(&self, arguments: &[&str]) -> String {
        format!("{} x {:?} x {arguments:?}", self.target.name, self.change)
    }

    /// Whether the change makes the whole store unusable, which every command reports.
    fn may_refuse(&self) -> bool {
        let is_vital = self.target.is_directory && self.target.name != "shelf"
            || matches!(self.target.name, "store-lock" | "turn-lock" | "format");
        is_vital && !matches!(self.change, Change::Delete)
    }

    /// Runs a command. `job` holds a tree for those that save.
    fn run(&self, job: &Path, arguments: &[&str]) -> RunResult {
        let outside = self.fixture.sandbox.path("outside");
        let before = identities(&outside);
        let ran = self.fixture.run(job, arguments);
        let what = self.what(arguments);
        assert!(!ran.stderr.contains("panicked"), "{what}: {ran:#?}");
        assert!(matches!(ran.code, Some(0 | 1)), "{what}: {ran:#?}");
        ran.warnings();
        assert_eq!(
            before,
            identities(&outside),
            "{what} changed something outside"
        );
        ran
    }

    fn damage(&self) {
        self.fixture.reset();
        let sandbox = &self.fixture.sandbox;
        self.change
            .apply(&sandbox.store(), self.target, &sandbox.path("outside"));
        self.change
            .give_away(&sandbox.store().join(&self.target.path));
    }

    fn run_all(&self) {
        let job = self.fixture.empty_job();
        self.damage();
        for arguments in READING {
            let ran = self.run(&job, arguments);
            let may_fail = matches!(arguments[0], "show" | "verify" | "doctor") || self.may_refuse()
                // The journal itself can't be read.
                || (arguments[0] == "stats" && self.target.name == "journal");
            assert!(
                ran.code == Some(0) || may_fail,
                "{}: {ran:#?}",
                self.what(arguments)
            );
        }
        let is_verified = self.run(&job, &["verify"]).code == Some(0);
        for arguments in CHANGING {
            self.damage();
            let job = self.fixture.empty_job();
            if arguments[0] == "save" {
                let tree = self.fixture.sandbox.path("a/tree");
                copy(&tree, &job.join("tree"));
            }
            let ran = self.run(&job, arguments);
            self.check(&job, arguments, &ran, is_verified);
            self.other_entry_is_unharmed(arguments);
        }
    }

    fn check(&self, job: &Path, arguments: &[&str], ran: &RunResult, is_verified: bool) {
        let what = self.what(arguments);
        if ran.code == Some(1) && self.may_refuse() {
            return;
        }
        match arguments {
            ["restore", _, "--lookup-only", ..] => {
                assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
                assert!(!job.join("tree").exists(), "{what}");
            }
            ["restore", ..] => {
                assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
                if ran.is_hit() {
                    assert_same(&self.fixture.wanted, &snapshot(&job.join("tree")));
                } else {
                    assert!(!job.join("tree").exists(), "{what}: a miss wrote something");
                    let is_gone = matches!(self.target.name, "entry" | "entries" | "store")
                        || self.may_refuse();
                    assert!(!is_verified || is_gone, "{what}: verify found nothing");
                }
            }
            ["save", .., key, _] => self.saved_entry_is_right(arguments, key, ran),
            ["prune", ..] => assert_eq!(ran.code, Some(0), "{what}: {ran:#?}"),
            // What can't be read can't be repaired.
            _ => assert!(
                ran.code == Some(0) || matches!(self.change, Change::Unreadable),
                "{what}: {ran:#?}"
            ),
        }
    }

    fn saved_entry_is_right(&self, arguments: &[&str], key: &str, ran: &RunResult) {
        let what = self.what(arguments);
        // An entry that can't be read is not replaced.
        let may_fail = matches!(self.change, Change::Unreadable) && key == DAMAGED
            // Nor is a lock that is no lock file used.
            || self.target.name == "entry-lock";
        if ran.code != Some(0) {
            assert!(may_fail, "{what}: {ran:#?}");
            return;
        }
        let job = self.fixture.empty_job();
        let restored = self.run(&job, &["restore", "--json", "--key", key, "tree"]);
        assert_eq!(restored.code, Some(0), "{what}: {restored:#?}");
        if restored.is_hit() {
            assert_same(&self.fixture.wanted, &snapshot(&job.join("tree")));
        } else {
            // Damage inside of a file is found when it is read. A save reuses what seems intact.
            let is_hidden = matches!(self.change, Change::Flip | Change::Swap | Change::Sparse);
            assert!(is_hidden, "{what}: a fresh entry is a miss: {restored:#?}");
        }
    }

    fn other_entry_is_unharmed(&self, after: &[&str]) {
        let job = self.fixture.empty_job();
        let arguments = ["restore", "--json", "--key", OTHER, "tree"];
        let ran = self.run(&job, &arguments);
        let what = self.what(after);
        let is_shared = self.target.is_directory || self.may_refuse();
        if ran.code == Some(0) && ran.is_hit() {
            assert_same(&self.fixture.wanted_other, &snapshot(&job.join("tree")));
        } else {
            assert!(is_shared, "{what}: the other entry is lost: {ran:#?}");
            assert!(!job.join("tree").exists(), "{what}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
    assert!(fs::metadata(to).is_ok());
}

fn matrix(change: Change) {
    if !is_installed("prlimit", "a limit of memory") {
        return;
    }
    let fixture = Fixture::new();
    let mut cases = 0;
    for target in fixture.targets.iter().filter(|target| change.fits(target)) {
        let case = Case {
            fixture: &fixture,
            target,
            change,
        };
        case.run_all();
        cases += 1;
    }
    assert!(cases > 5, "{change:?} fits only {cases} targets");
    fixture.reset();
    let job = fixture.empty_job();
    fixture.run(&job, &["verify"]).succeeded();
}

macro_rules! changes {
    ($($name:ident: $change:ident,)*) => {
        $(#[test] fn $name() { matrix(Change::$change); })*
    };
}

changes! {
    anything_may_be_missing: Delete,
    any_file_may_be_cut: Truncate,
    any_byte_may_be_wrong: Flip,
    any_file_may_be_another_of_its_kind: Swap,
    a_directory_may_be_in_the_place_of_any_file: Directory,
    a_file_may_be_in_the_place_of_any_directory: File,
    a_fifo_may_be_in_any_place: Fifo,
    a_symlink_may_be_in_any_place: Symlink,
    anything_may_be_unreadable: Unreadable,
    any_file_may_be_a_terabyte_of_holes: Sparse,
}
