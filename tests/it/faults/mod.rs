//! Every system call of every operation fails once, with every error that is to be expected.
//!
//! After each run, the exit code and the output agree with what is on the disk: a save that reports
//! success can be restored, a restore that reports success restored everything, entries that
//! existed before can still be restored, and nothing outside of the tree and the store changed. No
//! run panics or hangs.
//!
//! A run of all tests takes a sample. `LOCAL_CACHE_FAULTS=all cargo test --test it faults::` takes
//! all.
//!
//! The calls fail by strace's injection instead of a layer below `fs`: it reaches the calls of the
//! standard library and of dependencies too, and needs no code in the program.

mod fault;
mod operation;

use std::io::Write as _;

use fault::{CALLS, Fault, count_calls, run_with_fault};
use operation::{Operation, World};

use crate::support::tools::{is_installed, takes_all_faults};

/// A run of all tests takes one of so many faults.
const SAMPLE: usize = 6;

/// The faults of an operation, in the order of [`CALLS`].
fn faults(operation: &Operation) -> Vec<Fault> {
    let world = World::new(operation);
    let counts = count_calls(&world.sandbox, &world.job, operation.arguments);
    let mut faults = Vec::new();
    for (call, errors) in CALLS {
        for error in *errors {
            let count = counts.get(call).copied().unwrap_or(0);
            faults.extend((1..=count).map(|at| Fault { call, error, at }));
        }
    }
    faults
}

fn every_call_may_fail(operation: &Operation) {
    if !is_installed("strace", operation.name) {
        return;
    }
    let step = if takes_all_faults() { 1 } else { SAMPLE };
    let faults = faults(operation);
    assert!(faults.len() > 50, "{}: only {faults:?}", operation.name);
    let mut problems = Vec::new();
    let (mut runs, mut failures) = (0, 0);
    for fault in faults.iter().step_by(step) {
        let world = World::new(operation);
        let ran = run_with_fault(&world.sandbox, &world.job, operation.arguments, *fault);
        runs += 1;
        failures += usize::from(ran.code != Some(0) || !ran.stderr.is_empty());
        if let Err(problem) = world.check(operation, *fault, &ran) {
            problems.push(format!("{fault}: {problem}\n{}{}", ran.stdout, ran.stderr));
        }
    }
    // Written directly: the test harness hides the output of print macros of passing tests.
    let line = format!("FAULTS in {}: {runs}, {failures} noticed\n", operation.name);
    drop(std::io::stderr().write_all(line.as_bytes()));
    // Otherwise nothing was tested.
    assert!(
        failures > 5,
        "only {failures} of {runs} faults were noticed"
    );
    assert!(
        problems.is_empty(),
        "{} of {runs} faults:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

macro_rules! operations {
    ($($test:ident => $operation:expr;)*) => {
        $(
            #[test]
            fn $test() {
                every_call_may_fail(&$operation);
            }
        )*
    };
}

operations! {
    a_first_save => operation::FIRST_SAVE;
    a_save => operation::SAVE;
    a_save_that_replaces => operation::REFRESH;
    a_save_that_moves => operation::MOVE;
    a_restore_into_nothing => operation::RESTORE_NEW;
    a_restore_over_another_version => operation::RESTORE_OVER;
    a_restore_of_what_is_there => operation::RESTORE_SAME;
    a_restore_of_a_ready_copy => operation::RESTORE_READY;
    a_prune => operation::PRUNE;
    a_repair => operation::REPAIR;
}
