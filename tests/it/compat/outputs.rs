//! The result of a step that restores: exit code, outputs, log lines.

use crate::support::machine::{Job, Machine};
use crate::support::step::PhaseResult;

/// A step in a store that has some entries of the path `data`, each with its key in `data/file`.
struct Case {
    saved: &'static [&'static str],
    with: &'static str,
    exit: i32,
    hit: Option<&'static str>,
    /// The key that was found; its file is restored, except with `lookup-only`.
    matched: Option<&'static str>,
    looked_up: bool,
    says: &'static [&'static str],
    silent_about: &'static [&'static str],
}

const CASE: Case = Case {
    saved: &[],
    with: "",
    exit: 0,
    hit: None,
    matched: None,
    looked_up: false,
    says: &[],
    silent_about: &["::error", "::warning"],
};

pub(super) fn seed(job: &Job<'_>, keys: &[&str]) {
    for key in keys {
        job.file("data/file", key);
        job.saved("data", key);
    }
    std::fs::remove_dir_all(job.locate("data")).unwrap_or_default();
}

fn check(action: &str, case: &Case) {
    let machine = Machine::new();
    seed(&machine.job(), case.saved);
    let job = machine.job();
    let step = if action == "cache" {
        job.cache()
    } else {
        job.restore()
    };
    let done = step.with("path", "data").with_yaml(case.with).main();
    check_outputs(action, case, &done, &job);
    assert_eq!(done.exit, case.exit, "{}", done.log);
    let done = case.says.iter().fold(done, |done, text| done.logs(text));
    case.silent_about
        .iter()
        .fold(done, |done, text| done.does_not_log(text));
}

fn check_outputs(action: &str, case: &Case, done: &PhaseResult, job: &Job<'_>) {
    let output = |name| done.outputs.get(name).map(String::as_str);
    assert_eq!(output("cache-hit"), case.hit, "{}", done.log);
    assert_eq!(output("cache-matched-key"), case.matched);
    let key = case
        .with
        .split("key: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let key = key.split(',').next().unwrap().trim_matches(['"', ' ', '}']);
    assert_eq!(output("cache-primary-key"), Some(key));
    assert_eq!(output("cache-key"), (action == "cache").then_some(key));
    let restored = case.matched.filter(|_| !case.looked_up);
    assert_eq!(job.read("data/file").as_deref(), restored);
    let files = case.matched.map(|_| if case.looked_up { "0" } else { "1" });
    assert_eq!(output("restored-files"), files);
    let size = restored.map_or(0, str::len).to_string();
    assert_eq!(output("restored-bytes"), case.matched.map(|_| &*size));
    assert_eq!(
        output("restore-milliseconds").is_some(),
        case.matched.is_some()
    );
    for name in ["disk-used-percent", "disk-free-bytes", "cache-size-bytes"] {
        assert!(
            done.output(name).parse::<u64>().is_ok(),
            "{name} is {:?}",
            done.output(name)
        );
    }
}

/// Each row is a test of the action itself and one of `restore/`.
macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn by_the_action_itself() {
                check("cache", &$case);
            }

            #[test]
            fn by_the_restore_action() {
                check("restore", &$case);
            }
        })*
    };
}

cases! {
    an_exact_hit: Case {
        saved: &["k-1"],
        with: "key: k-1",
        hit: Some("true"),
        matched: Some("k-1"),
        says: &["🚀 Cache restored from key: k-1\n", "Cache Size: ~0 MB (3 B)"],
        ..CASE
    };
    an_exact_hit_of_a_key_in_other_case: Case {
        saved: &["Linux-K"],
        with: "key: linux-k",
        hit: Some("true"),
        matched: Some("Linux-K"),
        says: &["Cache restored from key: Linux-K\n"],
        ..CASE
    };
    an_entry_that_begins_with_the_key: Case {
        saved: &["k-1-x"],
        with: "key: k-1",
        hit: Some("false"),
        matched: Some("k-1-x"),
        says: &["Cache restored from key: k-1-x\n"],
        ..CASE
    };
    an_entry_that_begins_with_a_restore_key: Case {
        saved: &["k-old", "x"],
        with: "{key: k-new, restore-keys: k-}",
        hit: Some("false"),
        matched: Some("k-old"),
        says: &["Cache restored from key: k-old\n"],
        ..CASE
    };
    a_miss_beside_other_entries: Case {
        saved: &["other"],
        with: "key: k-1\nrestore-keys: |\n  a-\n  b-\n",
        says: &["💿 Cache not found for input keys: k-1, a-, b-\n"],
        ..CASE
    };
    a_miss_where_nothing_was_ever_saved: Case {
        with: "key: k-1",
        says: &["Cache not found for input keys: k-1\n"],
        ..CASE
    };
    a_miss_that_fails_the_step: Case {
        with: "{key: k-1, fail-on-cache-miss: true}",
        exit: 1,
        says: &[
            "::error title=local-cache::Failed to restore cache entry. \
             Exiting as fail-on-cache-miss is set. Input key: k-1 (looked for in ",
            "/store on this runner)\n",
        ],
        silent_about: &["::warning"],
        ..CASE
    };
    a_miss_that_fails_the_step_in_capital_letters: Case {
        with: "{key: k-1, fail-on-cache-miss: 'TRUE'}",
        exit: 1,
        says: &["Exiting as fail-on-cache-miss is set"],
        silent_about: &["::warning"],
        ..CASE
    };
    a_miss_that_fails_the_step_for_any_spelling_of_true: Case {
        with: "{key: k-1, fail-on-cache-miss: 1}",
        exit: 1,
        says: &["Exiting as fail-on-cache-miss is set"],
        silent_about: &["::warning"],
        ..CASE
    };
    a_restore_key_that_matches_is_no_miss_to_fail_on: Case {
        saved: &["k-old"],
        with: "{key: k-new, restore-keys: k-, fail-on-cache-miss: true}",
        hit: Some("false"),
        matched: Some("k-old"),
        ..CASE
    };
    looking_up_an_exact_key: Case {
        saved: &["k-1"],
        with: "{key: k-1, lookup-only: true}",
        hit: Some("true"),
        matched: Some("k-1"),
        looked_up: true,
        says: &["Cache found and can be restored from key: k-1\n", "Lookup only - skipping download\n"],
        silent_about: &["Cache restored from key", "::warning"],
        ..CASE
    };
    looking_up_a_prefix: Case {
        saved: &["k-1"],
        with: "{key: k-2, restore-keys: k-, lookup-only: true}",
        hit: Some("false"),
        matched: Some("k-1"),
        looked_up: true,
        ..CASE
    };
    looking_up_what_is_not_there: Case {
        saved: &["k-1"],
        with: "{key: x, lookup-only: true}",
        says: &["Cache not found for input keys: x\n"],
        ..CASE
    };
    looking_up_what_is_not_there_fails_the_step_when_asked_to: Case {
        with: "{key: x, lookup-only: true, fail-on-cache-miss: true}",
        exit: 1,
        says: &["Input key: x "],
        silent_about: &["::warning"],
        ..CASE
    };
    a_key_of_blanks_matches_by_restore_keys_only: Case {
        saved: &["k-1"],
        with: "key: \" \"\nrestore-keys: k-\n",
        hit: Some("false"),
        matched: Some("k-1"),
        ..CASE
    };
    a_key_of_blanks_alone_is_a_miss: Case {
        saved: &["k-1"],
        with: "key: \" \"",
        says: &["Cache not found for input keys: \n"],
        ..CASE
    };
    inputs_of_older_and_newer_versions_of_actions_cache_change_nothing: Case {
        saved: &["k-1"],
        with: "{key: k-1, enableCrossOsArchive: true, upload-chunk-size: x, no-such-input: 7}",
        hit: Some("true"),
        matched: Some("k-1"),
        ..CASE
    };
}

#[test]
fn variables_that_tune_the_upstream_service_change_nothing() {
    let machine = Machine::new();
    seed(&machine.job(), &["k"]);
    let job = machine
        .job()
        .var("SEGMENT_DOWNLOAD_TIMEOUT_MINS", "0")
        .var("CACHE_SKIP_SAVE", "true");
    let mut step = job
        .cache()
        .with("path", "data")
        .with("key", "k2")
        .with("restore-keys", "k");
    assert_eq!(step.main().hit(), "false");
    step.post().passed().logs("Cache saved with key: k2");
}

#[test]
fn looking_up_counts_as_a_use() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k-0000001", "k-0000002"]);
    job.restore()
        .with("path", "data")
        .with("key", "k-0000001")
        .with("lookup-only", "true")
        .main()
        .passed();
    job.file("data/file", "k-0000003");
    let save = |key: &str| {
        job.save()
            .with("path", "data")
            .with("key", key)
            .with("keep", "2")
            .main()
    };
    save("k-0000003").passed().logs("removed 1 old entry");
    assert_eq!(job.found("data", "k-0000002", ""), None);
    assert_eq!(
        job.found("data", "k-0000001", "").as_deref(),
        Some("k-0000001")
    );
}

#[test]
fn an_unusable_store_is_a_warning_and_a_miss() {
    let machine = Machine::new();
    std::fs::write(machine.store(), "a file").unwrap();
    let job = machine.job();
    let mut step = job.cache().with("path", "data").with("key", "k");
    let done = step
        .main()
        .passed()
        .logs("::warning title=local-cache::")
        .logs("Cache not found");
    assert!(!done.outputs.contains_key("cache-hit"));
    job.file("data/file", "1");
    step.post()
        .passed()
        .logs("::warning title=local-cache::")
        .does_not_log("Cache saved");
}

#[test]
fn an_unusable_store_fails_the_step_only_with_fail_on_error() {
    let machine = Machine::new();
    std::fs::write(machine.store(), "a file").unwrap();
    let job = machine.job();
    let mut step = job
        .restore()
        .with("path", "data")
        .with("key", "k")
        .with("fail-on-error", "true");
    let done = step.main().logs("::error title=local-cache::");
    assert_eq!(done.exit, 1);
}

#[test]
fn a_damaged_entry_is_a_warning_and_the_next_best_one_is_restored() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k-1", "k-2"]);
    let entries = machine.store().join("local-cache-v1/entries");
    let newest = std::fs::read_dir(entries)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let newest = newest.filter(|path| std::fs::read_to_string(path).unwrap().contains("\"k-2\""));
    std::fs::write(newest.last().unwrap(), "{").unwrap();
    let mut step = job
        .cache()
        .with("path", "data")
        .with("key", "k-2")
        .with("restore-keys", "k-");
    let done = step
        .main()
        .passed()
        .logs("::warning title=local-cache::")
        .logs("is damaged");
    assert_eq!(
        (done.hit(), done.output("cache-matched-key")),
        ("false", "k-1")
    );
    step.post().passed().logs("Cache saved with key: k-2");
}

/// `ACTIONS_CACHE_MODE`, whether the run may restore, and whether it may save.
macro_rules! modes {
    ($($name:ident: $mode:expr, $restores:expr, $saves:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            seed(&machine.job(), &["k-1"]);
            let job = machine.job().var("ACTIONS_CACHE_MODE", $mode);
            let mut step = job.cache().with("path", "data").with("key", "k-2").with("restore-keys", "k-");
            let done = step.main().passed();
            assert_eq!(done.hit(), if $restores { "false" } else { "" });
            assert_eq!(job.read("data/file").is_some(), $restores);
            let done = if $restores { done } else { done.logs("Cache not found for input keys: k-2, k-") };
            done.does_not_log("::warning");
            job.file("data/file", "new");
            let done = step.post().passed().does_not_log("::warning");
            assert_eq!(done.log.contains("Cache saved with key: k-2"), $saves);
            let done = job.save().with("path", "data").with("key", "k-3").main().passed();
            assert_eq!(done.log.contains("Cache saved with key: k-3"), $saves);
            assert_eq!(machine.entries(), if $saves { 3 } else { 1 });
        })*
    };
}

modes! {
    without_a_cache_mode_a_run_restores_and_saves: "", true, true;
    in_cache_mode_write_a_run_restores_and_saves: "write", true, true;
    in_cache_mode_read_a_run_restores_only: "read", true, false;
    in_cache_mode_write_only_a_run_saves_only: "write-only", false, true;
    in_cache_mode_none_a_run_does_neither: "none", false, false;
    in_a_cache_mode_of_the_future_a_run_does_both: "read-through", true, true;
}

#[test]
fn a_restore_that_the_cache_mode_forbids_is_a_miss_for_fail_on_cache_miss() {
    let machine = Machine::new();
    seed(&machine.job(), &["k"]);
    let job = machine.job().var("ACTIONS_CACHE_MODE", "none");
    let step = job
        .restore()
        .with("path", "data")
        .with("key", "k")
        .with("fail-on-cache-miss", "true")
        .main();
    assert_eq!(step.logs("Failed to restore cache entry.").exit, 1);
}

#[test]
fn a_run_without_a_ref_neither_restores_nor_saves_and_does_not_fail() {
    let machine = Machine::new();
    seed(&machine.job(), &["k"]);
    for job in [
        machine.job().var("GITHUB_REF", ""),
        machine.job().without("GITHUB_REF"),
    ] {
        job.file("data/file", "new");
        let text = "Event Validation Error: The event type push is not supported because it's not tied to a \
                    branch or tag ref.";
        let mut step = job
            .cache()
            .with("path", "data")
            .with("key", "k")
            .with("fail-on-cache-miss", "true");
        let done = step.main().passed().logs(text);
        assert!(done.outputs.is_empty(), "{:?}", done.outputs);
        step.post().passed().does_not_log("Cache saved");
        job.save()
            .with("path", "data")
            .with("key", "k2")
            .main()
            .passed()
            .logs(text);
    }
    assert_eq!(machine.entries(), 1);
}
