//! The lines that phases leave in the journal.

use local_cache::stats::event::{LookupResult, Phase};

use crate::support::machine::Machine;
use crate::support::step::{data_step, events, save_data};

#[test]
fn each_phase_of_a_job_leaves_a_line_and_the_last_one_says_how_long_the_job_took() {
    let machine = Machine::new();
    save_data(&machine, "k-1");
    let job = machine
        .job()
        .var("GITHUB_RUN_ID", "4712")
        .var("GITHUB_RUN_ATTEMPT", "2");
    let mut step = data_step(&job, "k-2").with("restore-keys", "k-");
    step.pre().passed();
    step.main().passed().logs("Cache restored from key: k-1");
    job.file("data/more", "more");
    std::thread::sleep(std::time::Duration::from_millis(30));
    step.post().passed().logs("Cache saved with key: k-2");
    let events = events(&machine);
    // The first two of all found no store to leave a line in, and are brought along by the third.
    let phases: Vec<Phase> = events.iter().map(|event| event.phase).collect();
    assert_eq!(
        phases,
        [[Phase::Pre, Phase::Main, Phase::Post]; 2].concat(),
        "{events:#?}"
    );
    assert_eq!(events[1].caches[0].hit, Some(LookupResult::Miss));
    let [_, _, first, _, main, last] = &events[..] else {
        panic!()
    };
    assert_eq!(
        (
            first.run.repository.as_str(),
            first.run.job.as_str(),
            first.run.run_id
        ),
        ("acme/widget", "build", 4711)
    );
    assert_eq!(
        (
            last.run.run_id,
            last.run.attempt,
            last.run.workflow.as_str()
        ),
        (4712, 2, "CI")
    );
    assert_eq!(main.caches[0].hit, Some(LookupResult::Prefix));
    assert!(
        main.caches[0].restored_bytes > 0
            && main.caches[0].kind == "path"
            && main.caches[0].key == "k-2"
    );
    assert!(last.caches[0].saved_bytes.unwrap() > main.caches[0].restored_bytes);
    assert_eq!(
        (last.found, last.job_status.as_deref()),
        (Some(LookupResult::Prefix), Some("success"))
    );
    assert!(
        (30..60_000).contains(&last.job_milliseconds.unwrap()),
        "{last:?}"
    );
    assert!(last.disk.unwrap().store_bytes > 0 && main.job_milliseconds.is_none());
    assert_eq!(first.found, Some(LookupResult::Miss));
}

#[test]
fn an_event_is_recorded_once() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "mine");
    let mut first = data_step(&job, "k-1");
    first.pre().passed();
    // Another job makes the store meanwhile.
    save_data(&machine, "k-2");
    first.main().passed();
    first.post().passed().logs("Cache saved with key: k-1");
    let mut phases: Vec<Phase> = events(&machine).iter().map(|event| event.phase).collect();
    phases.sort_by_key(|phase| *phase as u8);
    let each = [Phase::Pre, Phase::Main, Phase::Post];
    assert_eq!(phases, each.map(|phase| [phase; 2]).concat());
}

#[test]
fn a_job_that_saves_nothing_is_recorded_too() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job().status("failure");
    let mut step = data_step(&job, "k");
    step.pre().passed();
    step.main().passed();
    step.post().passed().logs("not saving cache");
    let last = events(&machine).pop().unwrap();
    assert_eq!(
        (last.phase, last.found, last.job_status.as_deref()),
        (Phase::Post, Some(LookupResult::Exact), Some("failure"))
    );
    assert!(last.job_milliseconds.is_some() && last.caches.is_empty());
}

#[test]
fn a_clock_set_back_during_the_job_gives_no_duration() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job();
    let mut step = data_step(&job, "k").var("STATE_STARTED", "99999999999999");
    step.main().passed();
    step.post().passed();
    assert_eq!(events(&machine).pop().unwrap().job_milliseconds, None);
}

#[test]
fn a_miss_and_a_failure_are_recorded() {
    let machine = Machine::new();
    save_data(&machine, "other");
    let job = machine.job();
    data_step(&job, "k").main().passed().logs("Cache not found");
    assert_eq!(
        events(&machine).pop().unwrap().caches[0].hit,
        Some(LookupResult::Miss)
    );
    data_step(&job, "k")
        .with("lookup-only", "true")
        .main()
        .passed();
    assert!(
        events(&machine).pop().unwrap().caches.is_empty(),
        "nothing was to be restored"
    );
}

#[test]
fn without_a_store_nothing_is_recorded_and_none_is_created() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = data_step(&job, "k");
    step.pre().passed().does_not_log("warning");
    step.main().passed().does_not_log("warning");
    assert!(!machine.store().exists());
    // Nothing was made that could be saved.
    step.post().passed().logs("do(es) not exist");
}

#[test]
fn an_unwritable_journal_is_only_a_warning() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let path = machine.store().join("local-cache-v1/events");
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, "x").unwrap();
    let job = machine.job();
    let mut step = data_step(&job, "k");
    step.main()
        .passed()
        .logs("Cache restored from key: k")
        .logs("the journal of the store could not be written");
}
