//! The damage matrix: every kind of file and directory of the store, each changed in every way,
//! before every command.
//!
//! Whatever the change, a command ends with a right exit code and without a panic, needs little
//! memory and no time, restores the right bytes or nothing, leaves the other entry restorable, and
//! changes nothing outside of the store.
//!
//! A run of all tests takes a sample. `LOCAL_CACHE_FAULTS=all cargo test --test it store::matrix::`
//! takes all.

mod case;
mod change;
mod fixture;

use std::io::Write as _;

use crate::support::tools::{is_installed, takes_all_faults};
use case::Case;
use change::Change;
use fixture::Fixture;

/// A run of all tests takes one of so many changes.
const SAMPLE: usize = 5;

fn matrix(change: Change) {
    if !is_installed("prlimit", "a limit of memory") {
        return;
    }
    let fixture = Fixture::new();
    let targets = fixture.targets.iter().filter(|target| change.fits(target));
    let (first, step) = if takes_all_faults() {
        (0, 1)
    } else {
        // Each change gets other targets.
        (change as usize % SAMPLE, SAMPLE)
    };
    let (mut runs, mut problems) = (0, Vec::new());
    for target in targets.skip(first).step_by(step) {
        let case = Case::new(&fixture, target, change);
        case.run_all();
        runs += case.runs.get();
        problems.append(&mut case.problems.borrow_mut());
    }
    // Written directly: the test harness hides the output of print macros of passing tests.
    let line = format!("DAMAGES by {change:?}: {runs} commands\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    assert!(runs > 20, "{change:?}: only {runs} commands");
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
    fixture.reset();
    let verified = fixture.run(&fixture.empty_job(), &["verify"]);
    assert!(
        verified.code == Some(0),
        "the undamaged store: {verified:#?}"
    );
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
