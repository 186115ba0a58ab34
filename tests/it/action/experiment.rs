//! Runs without the cache, as a control group.

use local_cache::action::experiment::draw_arm;
use local_cache::stats::event::{Arm, Phase};

use crate::support::machine::Machine;
use crate::support::step::{data_step, events, save_data};

#[test]
fn a_run_of_the_control_group_restores_nothing_says_so_and_is_recorded() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job();
    let mut step = data_step(&job, "k").with("experiment", "100");
    step.pre().passed();
    let main = step
        .main()
        .passed()
        .logs("one of the 100 % that restore nothing")
        .does_not_log("Cache restored");
    assert!(!main.outputs.contains_key("cache-hit"));
    assert!(job.read("data/file").is_none());
    job.file("data/file", "built again");
    step.post().passed();
    let last = events(&machine).pop().unwrap();
    assert_eq!(
        (last.phase, last.experiment, last.found),
        (Phase::Post, Some(Arm::Control), None)
    );
    assert!(
        events(&machine)
            .iter()
            .skip(3)
            .all(|event| event.caches.iter().all(|cache| cache.hit.is_none()))
    );
}

#[test]
fn all_jobs_of_a_run_are_in_one_group_and_another_attempt_is_drawn_again() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let mut control = 0;
    for run in 0..12_u64 {
        let wanted = draw_arm(50, run, 1) == Some(Arm::Control);
        control += u32::from(wanted);
        for name in ["build", "test"] {
            let job = machine
                .job()
                .var("GITHUB_RUN_ID", run.to_string())
                .var("GITHUB_JOB", name);
            let done = data_step(&job, "k")
                .with("experiment", "50")
                .main()
                .passed();
            assert_eq!(done.hit().is_empty(), wanted, "run {run}");
        }
    }
    assert!((1..12).contains(&control));
    assert!((0..100).any(|run| draw_arm(50, run, 1) != draw_arm(50, run, 2)));
}

#[test]
fn a_step_that_must_have_its_cache_is_in_no_experiment() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job();
    let all = || data_step(&job, "k").with("experiment", "100");
    assert_eq!(
        all()
            .with("fail-on-cache-miss", "true")
            .main()
            .passed()
            .hit(),
        "true"
    );
    assert_eq!(
        all().with("lookup-only", "true").main().passed().hit(),
        "true"
    );
    let unknown = machine.job().without("GITHUB_RUN_ID");
    assert_eq!(
        data_step(&unknown, "k")
            .with("experiment", "100")
            .main()
            .passed()
            .hit(),
        "true"
    );
}
