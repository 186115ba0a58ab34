//! The environment of nektos/act: its post phase gets neither the defaults of inputs nor the state
//! that main saved, only that of pre.

use std::fs;

use super::outputs::seed;
use crate::support::machine::{Job, Machine};

fn job(machine: &Machine) -> Job<'_> {
    machine.job().var("ACT", "true")
}

/// Main and post of a step whose key changes before post.
fn post_says(saved: &[&str], restore_keys: &str) -> String {
    let machine = Machine::new();
    seed(&machine.job(), saved);
    let job = job(&machine);
    let step = job
        .cache()
        .with("path", "data")
        .with("key", "k-main")
        .with("restore-keys", restore_keys);
    let mut step = step;
    assert!(!step.pre().passed().state.is_empty());
    let told = step.main().passed().state;
    step.drop_state(&told);
    job.file("data/file", "made by the job");
    step.with("key", "k-post")
        .with("job-status", "")
        .post()
        .passed()
        .log
}

#[test]
fn a_miss_is_saved_under_the_key_of_main_also_where_there_was_no_store() {
    assert!(post_says(&[], "").contains("Cache saved with key: k-main\n"));
}

#[test]
fn a_miss_is_saved_under_the_key_of_main() {
    assert!(post_says(&["other"], "").contains("Cache saved with key: k-main\n"));
}

#[test]
fn a_hit_by_a_restore_key_is_saved_under_the_key_of_main() {
    assert!(post_says(&["k-1"], "k-").contains("Cache saved with key: k-main\n"));
}

#[test]
fn an_exact_hit_is_not_saved_again() {
    let log = post_says(&["k-main"], "");
    assert!(
        log.contains("Cache hit occurred on the primary key k-main, not saving cache.\n"),
        "{log}"
    );
}

#[test]
fn a_local_action_without_a_pre_phase_saves_under_the_key_that_post_has() {
    let machine = Machine::new();
    let job = job(&machine);
    let mut step = job.cache().with("path", "data").with("key", "k");
    let told = step.main().passed().state;
    step.drop_state(&told);
    job.file("data/file", "1");
    step.post().passed().logs("Cache saved with key: k\n");
}

#[test]
fn outside_of_act_the_store_keeps_no_state_for_post() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k"]);
    let mut step = job.cache().with("path", "data").with("key", "k");
    assert_eq!(step.pre().passed().log, "");
    step.main().passed();
    assert!(!machine.store().join("local-cache-v1/memories").exists());
    let names = fs::read_dir(machine.store().join("local-cache-v1/tmp"))
        .unwrap()
        .count();
    assert_eq!(names, 0);
}
