//! The first line of a restore: whether the cache worked, and why not.

use local_cache::stats::event::LookupResult;

use crate::support::machine::Machine;
use crate::support::step::{data_step, events, save_data};

#[test]
fn the_first_line_says_what_was_restored_and_the_summary_repeats_it() {
    let machine = Machine::new();
    save_data(&machine, "k-1");
    let job = machine.job();
    let mut step = data_step(&job, "k-1");
    // The test turns the limits of the disk off, so nothing is looked at.
    assert_eq!(step.pre().passed().log, "");
    let main = step.main().passed();
    let first = main.log.lines().next().unwrap();
    assert!(
        first.starts_with("🚀 all restored: 15 B in ")
            && first.contains("; without the cache, this job took ")
            && first.ends_with(" (1 run)"),
        "{}",
        main.log
    );
    let post = step.post().passed();
    let summary = post.summary.replace("&#58;", ":");
    assert!(
        summary.starts_with("### local-cache\n\n**🚀 all restored: 15 B in "),
        "{summary}"
    );
    assert_eq!(
        events(&machine).last().unwrap().found,
        Some(LookupResult::Exact)
    );
}

#[test]
fn a_miss_says_what_comes_closest() {
    let machine = Machine::new();
    save_data(&machine, "k-1");
    let job = machine.job();
    let main = data_step(&job, "other").main().passed();
    let first = main.log.lines().next().unwrap();
    assert!(
        first.starts_with("💿 nothing restored: the nearest entry is k-1, saved "),
        "{}",
        main.log
    );
    let job = machine.job();
    let other = job
        .cache()
        .with("path", "dataX")
        .with("key", "k-1")
        .main()
        .passed();
    drop(other.logs("💿 nothing restored: k-1 exists for data, not for dataX\n"));
    // The keys of other repositories are none of its business.
    let job = machine.job().repository("acme/lib");
    let main = data_step(&job, "k-1").main().passed();
    drop(
        main.logs("💿 nothing restored: there is no entry yet\n")
            .does_not_log("widget"),
    );
    let job = machine.job().push("topic");
    save_on_topic(&machine);
    let main = data_step(&job, "k-9").main().passed();
    drop(main.logs("saved "));
    let job = machine.job();
    let main = data_step(&job, "topic-1").main().passed();
    drop(main.logs("💿 nothing restored: topic-1 exists for acme/widget, topic\n"));
}

fn save_on_topic(machine: &Machine) {
    let job = machine.job().push("topic");
    job.file("data/file", "");
    job.saved("data", "topic-1");
}

#[test]
fn what_was_looked_for_is_folded() {
    let machine = Machine::new();
    let job = machine.job().push("topic");
    let main = data_step(&job, "k-1").main().passed();
    let group = main
        .log
        .split("::group::what was looked for\n")
        .nth(1)
        .unwrap();
    let lines: Vec<&str> = group
        .split("\n::endgroup::")
        .next()
        .unwrap()
        .lines()
        .collect();
    assert_eq!(
        lines[0],
        format!("cache root: {}", machine.store().display())
    );
    assert_eq!(
        lines[1..],
        [
            "scope: acme/widget",
            "reads the entries of: topic, main",
            "writes the entries of: topic",
            "paths: data",
            "path key: k-1",
        ]
    );
}

#[test]
fn the_pre_phase_says_in_one_line_what_it_saw() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = data_step(&job, "k-1").with("disk-threshold", "100");
    let pre = step.pre().passed();
    let first = pre.log.lines().next().unwrap();
    assert!(
        first.starts_with(&format!("🔍 the disk of {} is ", machine.store().display()))
            && first.contains(" free"),
        "{}",
        pre.log
    );
}
