//! The time of the action, compared with that of the runner's own `docker run` in the same minute.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use super::action::{Step, job};
use super::image::Image;
use super::programs::programs;
use super::runner::Runner;
use super::stage::Stage;
use super::support;
use crate::native::NativeAction;
use crate::support::machine::Machine;
use crate::support::tools::is_installed;

/// Limit for a phase with a helper and nothing to do, in runs of a container that does nothing.
const MOST_A_PHASE: f64 = 1.6;
/// Limit for three phases with a hit and an unchanged directory, in three of those runs.
const MOST_A_HIT: f64 = 2.5;

/// Limit for three phases of the native action with nothing to do, in those of the container action.
const MOST_NATIVE: f64 = 0.25;

/// Milliseconds of a run of a container that ends at once: a worker whose input is at its end.
fn nothing(runner: &Runner, image: &Arc<Image>) -> f64 {
    let answer = Stage::new(runner, Arc::clone(image))
        .argument("worker")
        .run();
    assert_eq!(answer.stdout, "");
    answer.elapsed.as_secs_f64() * 1e3
}

/// Compares two operations, measured in turn, so that other load on the machine affects both.
fn assert_at_most(most: f64, what: &str, rounds: usize, mut measure: impl FnMut() -> (f64, f64)) {
    let (mut base, mut cost): (Vec<f64>, Vec<f64>) = (0..rounds).map(|_| measure()).unzip();
    base.sort_by(f64::total_cmp);
    cost.sort_by(f64::total_cmp);
    let middle = rounds / 2;
    let (median, least) = (cost[middle] / base[middle], cost[0] / base[0]);
    let line = format!(
        "{what}: {:.0} ms, compared with {:.0} ms (medians of {rounds}): {median:.2}; least {:.0} and {:.0} ms: {least:.2}",
        cost[middle], base[middle], cost[0], base[0]
    );
    drop(writeln!(io::stderr(), "{line}"));
    assert!(median <= most || least <= most, "{line}");
}

#[test]
fn a_phase_with_a_helper_costs_at_most_1_6_containers_that_do_nothing() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_exclusive();
    let runner = Runner::strict();
    let image = Image::action();
    assert_at_most(MOST_A_PHASE, "a phase with nothing to do", 9, || {
        let base = nothing(&runner, &image);
        let answer = Step::new(&runner, &[("path", "target"), ("key", "k")]).phase("main");
        assert!(
            answer.stdout.contains("Cache not found"),
            "{}",
            answer.stdout
        );
        assert!(!answer.stdout.contains("::warning"), "{}", answer.stdout);
        (base, answer.elapsed.as_secs_f64() * 1e3)
    });
}

#[test]
fn three_phases_with_a_registry_in_place_cost_at_most_2_5_times_three_containers_that_do_nothing() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_exclusive();
    let runner = Runner::strict();
    let image = Image::action();
    runner
        .user
        .tree(&runner.user.home.join(".cargo/registry"), 17_000, 200);
    let with = [("path", "~/.cargo/registry"), ("key", "k")];
    job(&runner, &with, |_| ());
    assert_at_most(MOST_A_HIT, "a hit with 17,000 files in place", 5, || {
        let base = (0..3).map(|_| nothing(&runner, &image)).sum();
        let mut step = Step::new(&runner, &with);
        let answers = ["pre", "main", "post"].map(|phase| step.phase(phase));
        let said = &answers[1].stdout;
        assert!(
            said.contains("0 files written (0 B), 17,000 files up to date"),
            "{said}"
        );
        (
            base,
            answers
                .iter()
                .map(|answer| answer.elapsed.as_secs_f64() * 1e3)
                .sum(),
        )
    });
}

#[test]
fn the_native_action_takes_at_most_a_quarter_of_the_time_of_the_container_action() {
    if !support::can_run("docker") || !is_installed("node", "the native action") {
        return;
    }
    let _lock = support::lock_exclusive();
    let runner = Runner::strict();
    let (machine, native) = (Machine::new(), NativeAction::new(&programs().local_cache));
    let with = [("path", "target"), ("key", "k")];
    let what = "three phases of the native action with nothing to do";
    assert_at_most(MOST_NATIVE, what, 9, || {
        let start = Instant::now();
        let mut step = Step::new(&runner, &with);
        for phase in ["pre", "main", "post"] {
            step.passes(phase);
        }
        let container = start.elapsed();
        let job = machine.job();
        let mut step = job.cache().native(native.path());
        for (name, value) in with {
            step = step.with(name, value);
        }
        let start = Instant::now();
        for phase in [step.pre(), step.main(), step.post()] {
            phase.passed();
        }
        let native = start.elapsed();
        (container.as_secs_f64() * 1e3, native.as_secs_f64() * 1e3)
    });
}
