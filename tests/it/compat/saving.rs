//! When and what the post phase and the save action save.

use std::thread;

use super::outputs::seed;
use crate::support::machine::Machine;

/// A run of the action itself: existing entries, the inputs, the status of the job, and what post
/// logs and saves.
struct Case {
    saved: &'static [&'static str],
    with: &'static str,
    status: &'static str,
    says: &'static str,
    saves: Option<&'static str>,
}

const CASE: Case = Case {
    saved: &[],
    with: "key: k-2",
    status: "success",
    says: "",
    saves: None,
};

fn check(case: &Case) {
    let machine = Machine::new();
    seed(&machine.job(), case.saved);
    let job = machine.job().status(case.status);
    let mut step = job.cache().with("path", "data").with_yaml(case.with);
    step.pre().passed();
    step.main();
    job.file("data/file", "made by the job");
    let done = step
        .post()
        .passed()
        .logs(case.says)
        .does_not_log("::warning")
        .does_not_log("::error");
    let says = case
        .saves
        .map(|key| format!("Cache saved with key: {key}\n   Cache Size: ~0 MB (15 B)"));
    assert!(
        says.is_none_or(|text| done.log.contains(&text)),
        "{}",
        done.log
    );
    assert!(done.outputs.is_empty());
    assert_eq!(
        machine.entries(),
        case.saved.len() + usize::from(case.saves.is_some())
    );
    if let Some(key) = case.saves {
        let job = machine.job();
        assert_eq!(job.found("data", key, "").as_deref(), Some(key));
        assert_eq!(job.read("data/file").as_deref(), Some("made by the job"));
    }
}

macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        $(#[test]
        fn $name() {
            check(&$case);
        })*
    };
}

cases! {
    an_exact_hit_is_not_saved_again: Case {
        saved: &["k-2"],
        says: "Cache hit occurred on the primary key k-2, not saving cache.\n",
        ..CASE
    };
    an_exact_hit_in_another_case_is_not_saved_again: Case {
        saved: &["K-2"],
        says: "Cache hit occurred on the primary key k-2, not saving cache.\n",
        ..CASE
    };
    a_hit_by_a_prefix_of_the_key_is_saved: Case { saved: &["k-2-x"], saves: Some("k-2"), ..CASE };
    a_hit_by_a_restore_key_is_saved: Case {
        saved: &["k-1"],
        with: "{key: k-2, restore-keys: k-}",
        saves: Some("k-2"),
        ..CASE
    };
    a_miss_is_saved: Case { saves: Some("k-2"), ..CASE };
    looking_up_an_exact_key_saves_nothing: Case {
        saved: &["k-2"],
        with: "{key: k-2, lookup-only: true}",
        says: "Cache hit occurred on the primary key k-2, not saving cache.\n",
        ..CASE
    };
    looking_up_a_prefix_saves: Case {
        saved: &["k-1"],
        with: "{key: k-2, restore-keys: k-, lookup-only: true}",
        saves: Some("k-2"),
        ..CASE
    };
    looking_up_what_is_not_there_saves: Case { with: "{key: k-2, lookup-only: true}", saves: Some("k-2"), ..CASE };
    a_failed_job_saves_nothing: Case { status: "failure", says: "the job did not succeed, not saving cache", ..CASE };
    a_cancelled_job_saves_nothing: Case { status: "cancelled", says: "not saving cache", ..CASE };
    a_job_whose_state_is_not_told_saves: Case { status: "", saves: Some("k-2"), ..CASE };
    save_always_saves_after_a_failure: Case {
        with: "{key: k-2, save-always: true}",
        status: "failure",
        saves: Some("k-2"),
        ..CASE
    };
    save_always_saves_after_a_cancellation: Case {
        with: "{key: k-2, save-always: 'True'}",
        status: "cancelled",
        saves: Some("k-2"),
        ..CASE
    };
    save_always_does_not_save_an_exact_hit: Case {
        saved: &["k-2"],
        with: "{key: k-2, save-always: true}",
        status: "failure",
        says: "Cache hit occurred on the primary key k-2, not saving cache.\n",
        ..CASE
    };
    save_always_in_another_spelling_of_false: Case {
        with: "{key: k-2, save-always: 'no'}",
        status: "failure",
        says: "not saving cache",
        ..CASE
    };
    save_set_to_always_is_the_same: Case {
        with: "{key: k-2, save: always}",
        status: "failure",
        saves: Some("k-2"),
        ..CASE
    };
    save_set_to_never_saves_nothing: Case { with: "{key: k-2, save: never}", ..CASE };
    save_set_to_on_success_saves_nothing_after_a_failure: Case {
        with: "{key: k-2, save: on-success}",
        status: "failure",
        says: "not saving cache",
        ..CASE
    };
    a_miss_that_failed_the_step_saves_nothing: Case {
        with: "{key: k-2, fail-on-cache-miss: true}",
        status: "failure",
        says: "not saving cache",
        ..CASE
    };
    a_key_of_blanks_is_not_saved: Case { with: "key: \" \"", says: "Key is not specified", ..CASE };
    a_key_of_blanks_is_not_saved_after_a_hit_either: Case {
        saved: &["k-1"],
        with: "{key: ' ', restore-keys: k-}",
        says: "Key is not specified",
        ..CASE
    };
}

/// Inputs that change between main and post. Each is saved under the key of main.
macro_rules! changed {
    ($($name:ident: $main:expr => $post:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = machine.job();
            let mut step = job.cache().with("path", "data").with_yaml($main);
            step.main().passed();
            job.file("data/file", "1");
            let mut step = step.with_yaml($post);
            step.post().passed().logs("Cache saved with key: k-main\n").does_not_log("::warning");
            assert_eq!(job.found("data", "k-main", "").as_deref(), Some("k-main"));
            assert_eq!(machine.entries(), 1);
        })*
    };
}

changed! {
    post_saves_under_the_key_of_main_when_another_file_is_hashed: "key: k-main" => "key: k-other";
    post_saves_under_the_key_of_main_when_the_hashed_file_is_gone: "key: k-main" => "key: ''";
    post_saves_under_the_key_of_main_when_it_now_has_a_comma: "key: k-main" => "key: 'k,other'";
    post_saves_under_the_key_of_main_when_restore_keys_are_now_too_many:
        "key: k-main" => "restore-keys: \"1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n10\\n\"";
    post_saves_under_the_trimmed_key_of_a_literal_block: "key: |\n  k-main\n" => "key: |\n  k-other\n";
}

#[test]
fn post_reads_the_path_again() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with("path", "before").with("key", "k");
    step.main();
    job.file("after/file", "1");
    step.with("path", "after")
        .post()
        .passed()
        .logs("Cache saved with key: k");
    std::fs::remove_dir_all(job.locate("after")).unwrap();
    assert_eq!(job.found("after", "k", "").as_deref(), Some("k"));
}

#[test]
fn post_of_a_step_that_was_skipped_does_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    let mut step = job.cache().with("path", "data").with("key", "k");
    step.pre().passed();
    let done = step.post().passed();
    assert_eq!((done.log.as_str(), machine.entries()), ("", 0));
}

#[test]
fn post_of_a_step_with_wrong_inputs_reports_nothing_more() {
    let machine = Machine::new();
    let job = machine.job().status("failure");
    let mut step = job.cache().with("path", "data").with("key", "a,b");
    assert_eq!(step.main().exit, 1);
    assert_eq!(step.post().passed().log, "");
}

#[test]
fn the_second_of_two_jobs_with_one_key_saves_nothing_and_does_not_fail() {
    let machine = Machine::new();
    let (first, second) = (machine.job(), machine.job());
    let mut one = first.cache().with("path", "data").with("key", "k");
    let mut two = second.cache().with("path", "data").with("key", "k");
    one.main().logs("Cache not found");
    two.main().logs("Cache not found");
    first.file("data/file", "first");
    second.file("data/file", "second");
    one.post().logs("Cache saved with key: k");
    two.post()
        .passed()
        .logs("an entry with key k exists already")
        .does_not_log("::warning");
    let later = machine.job();
    later.found("data", "k", "");
    assert_eq!(later.read("data/file").as_deref(), Some("first"));
}

#[test]
fn of_jobs_that_save_one_key_at_once_exactly_one_does() {
    let machine = Machine::new();
    let jobs: Vec<_> = (0..6).map(|_| machine.job()).collect();
    let logs: Vec<String> = thread::scope(|scope| {
        let save = |(number, job): (usize, &crate::support::machine::Job<'_>)| {
            job.file("data/file", &number.to_string());
            let mut step = job.cache().with("path", "data").with("key", "k");
            step.main().passed();
            step.post().passed().log
        };
        let running: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|job| scope.spawn(move || save(job)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let saved = logs
        .iter()
        .filter(|log| log.contains("Cache saved with key: k"))
        .count();
    assert_eq!((saved, machine.entries()), (1, 1), "{logs:#?}");
    assert!(
        logs.iter().all(|log| !log.contains("::warning")),
        "{logs:#?}"
    );
}

#[test]
fn the_save_action_saves_after_any_restore() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k"]);
    assert_eq!(job.found("data", "k", "").as_deref(), Some("k"));
    let done = job
        .save()
        .with("path", "data")
        .with("key", "k-2")
        .main()
        .passed();
    let done = done
        .logs("Cache saved with key: k-2\n")
        .does_not_log("::warning");
    assert_eq!(
        done.outputs.keys().collect::<Vec<_>>(),
        ["cache-size-bytes", "disk-free-bytes", "disk-used-percent"]
    );
}

#[test]
fn the_save_action_keeps_an_existing_entry_warns_and_does_not_fail() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k"]);
    job.file("data/file", "later");
    let done = job
        .save()
        .with("path", "data")
        .with("key", "k")
        .main()
        .passed();
    done.logs("Failed to save: Unable to reserve cache")
        .logs("::warning title=local-cache::Cache save failed.\n");
    job.found("data", "k", "");
    assert_eq!(job.read("data/file").as_deref(), Some("k"));
}

#[test]
fn the_save_action_saves_in_a_job_that_failed() {
    let machine = Machine::new();
    let job = machine.job().status("failure");
    job.file("data/file", "1");
    job.saved("data", "k");
}

#[test]
fn the_save_action_does_not_save_under_a_key_of_blanks() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    let done = job
        .save()
        .with("path", "data")
        .with("key", " ")
        .main()
        .passed();
    done.logs("Key is not specified")
        .logs("::warning title=local-cache::Cache save failed.\n");
    assert_eq!(machine.entries(), 0);
}

#[test]
fn partly_missing_paths_are_saved_without_a_message() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("here/file", "1");
    let path = "here\nnowhere\n~/nowhere\n/nowhere/at/all\nno*where";
    let mut step = job.cache().with("path", path).with("key", "k");
    step.main();
    step.post()
        .passed()
        .logs("Cache saved with key: k")
        .does_not_log("::warning");
}

const NOTHING_THERE: &str = "Path Validation Error: Path(s) specified in the action for caching do(es) not exist, \
                             hence no cache is being saved.\n";

#[test]
fn paths_that_are_all_missing_are_reported_without_an_annotation() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job
        .cache()
        .with("path", "nowhere\n~/nowhere")
        .with("key", "k");
    step.main();
    step.post()
        .passed()
        .logs(NOTHING_THERE)
        .does_not_log("::warning");
    assert_eq!(machine.entries(), 0);
}

#[test]
fn the_save_action_warns_of_paths_that_are_all_missing() {
    let machine = Machine::new();
    let job = machine.job();
    let done = job
        .save()
        .with("path", "nowhere")
        .with("key", "k")
        .main()
        .passed();
    done.logs(NOTHING_THERE)
        .logs("::warning title=local-cache::Cache save failed.\n");
}

#[test]
fn paths_that_the_list_excludes_again_count_as_missing() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    let done = job
        .save()
        .with("path", "data\n!data")
        .with("key", "k")
        .main()
        .passed();
    done.logs(NOTHING_THERE);
}

#[test]
fn an_empty_directory_counts_as_existing() {
    let machine = Machine::new();
    let job = machine.job();
    std::fs::create_dir(job.locate("data")).unwrap();
    job.saved("data", "k");
    let later = machine.job();
    assert_eq!(later.found("data", "k", "").as_deref(), Some("k"));
    assert!(later.locate("data").is_dir());
}

#[test]
fn the_restore_action_never_saves() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    let mut step = job.restore().with("path", "data").with("key", "k");
    step.main().passed();
    step.post().passed();
    assert_eq!(machine.entries(), 0);
}

#[test]
fn an_entry_of_one_action_is_found_by_the_others() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with("path", "data").with("key", "by-cache");
    step.main();
    job.file("data/file", "1");
    step.post().logs("Cache saved");
    job.saved("data", "by-save");
    for key in ["by-cache", "by-save"] {
        let elsewhere = machine
            .job()
            .var("GITHUB_JOB", "other")
            .var("GITHUB_WORKFLOW", "Other");
        for step in [elsewhere.cache(), elsewhere.restore()] {
            let main = step.with("path", "data").with("key", key).main();
            assert_eq!(main.hit(), "true", "{key}");
        }
    }
}
