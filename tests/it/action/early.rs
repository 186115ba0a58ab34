//! What the pre phase restores before the first step of a job.

use std::fs;

use local_cache::stats::event::{LookupResult, Phase};

use crate::cargo::support::{
    TARGET_OUTPUT, cargo_home, clear_machine, first_job, machine, project,
};
use crate::support::machine::{Job, Machine};
use crate::support::step::{Step, events};

const ARCHIVE: &str = "~/.cargo/registry/cache/index-1/dep-1.0.0.crate";

/// A step that caches a directory of the home directory.
fn npm<'j>(job: &'j Job<'j>, key: &str) -> Step<'j> {
    job.cache().with("path", "~/.npm").with("key", key)
}

/// A machine whose store has `~/.npm` under the key, and whose home directory does not.
fn npm_saved(key: &str) -> Machine {
    let machine = Machine::new();
    let job = machine.job();
    job.file("~/.npm/a", "saved");
    job.saved("~/.npm", key);
    fs::remove_dir_all(job.locate("~/.npm")).unwrap();
    machine
}

#[test]
fn downloads_of_the_newest_entries_are_there_before_the_checkout() {
    let machine = machine();
    first_job(&machine);
    let job = machine.job_in("repo");
    let mut step = job.cache();
    let pre = step.pre().passed();
    let pre = pre.logs("🚀 registry: 3 files").logs("(prefix)");
    assert!(pre.outputs.is_empty(), "{:?}", pre.outputs);
    drop(pre.does_not_log("target").does_not_log("::warning"));
    assert_eq!(job.read(ARCHIVE).as_deref(), Some("archive"));
    assert_eq!(fs::read_dir(&job.workspace).unwrap().count(), 0);

    let job = project(&machine);
    let main = resumed(&job, &step).main().passed();
    assert_eq!(main.output("registry-cache-hit"), "true");
    assert_eq!(main.output("restored-files"), "7");
    main.logs("🚀 registry: 3 files")
        .logs("(exact), in the pre phase")
        .logs("🚀 all restored: ");
    assert_eq!(job.read(TARGET_OUTPUT).as_deref(), Some("program"));
}

/// The same step in a job whose workspace was checked out meanwhile.
fn resumed<'j>(job: &'j Job<'j>, earlier: &Step<'_>) -> Step<'j> {
    job.cache().with_state_of(earlier)
}

#[test]
fn the_journal_counts_what_pre_wrote_once_and_as_a_part_of_the_restore() {
    let machine = machine();
    first_job(&machine);
    let before = events(&machine).len();
    let job = project(&machine);
    let mut step = job.cache();
    step.pre().passed();
    step.main().passed();
    let events = &events(&machine)[before..];
    assert_eq!(
        events.iter().map(|it| it.phase).collect::<Vec<_>>(),
        [Phase::Pre, Phase::Main]
    );
    assert!(events[0].caches.is_empty(), "{:?}", events[0]);
    let registry = &events[1].caches[0];
    assert_eq!(registry.hit, Some(LookupResult::Exact));
    assert_eq!(registry.written_bytes, registry.restored_bytes);
    assert!(registry.written_bytes > 0);
}

#[test]
fn main_brings_back_what_a_step_changed_after_pre() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let mut step = job.cache();
    step.pre().passed();
    fs::remove_file(job.locate(ARCHIVE)).unwrap();
    let source = "~/.cargo/registry/src/index-1/dep-1.0.0/src/lib.rs";
    job.file(source, "broken");
    step.main().passed();
    assert_eq!(job.read(ARCHIVE).as_deref(), Some("archive"));
    assert_eq!(job.read(source).as_deref(), Some("source"));
}

#[test]
fn nothing_is_restored_early_where_that_is_turned_off_or_not_permitted() {
    for (input, value) in [
        ("restore-in-pre", "false"),
        ("lookup-only", "true"),
        ("experiment", "100"),
        ("prefix-key", "another"),
    ] {
        let machine = machine();
        first_job(&machine);
        let job = machine.job_in("repo");
        { job.cache().with(input, value) }.pre().passed();
        assert!(!cargo_home(&machine).exists(), "{input}: {value}");
    }
    for (variable, value) in [
        ("ACTIONS_CACHE_MODE", "write-only"),
        ("GITHUB_REPOSITORY", "acme/other"),
    ] {
        let machine = machine();
        first_job(&machine);
        let job = machine.job_in("repo").var(variable, value);
        { job.cache() }.pre().passed();
        assert!(!cargo_home(&machine).exists(), "{variable}: {value}");
    }
}

#[test]
fn a_cargo_home_in_the_workspace_waits_for_the_checkout() {
    let machine = machine();
    first_job(&machine);
    let home = machine.path("work/repo/.cargo-home");
    let job = machine.job_in("repo").var("CARGO_HOME", &home);
    { job.cache() }.pre().passed();
    assert!(!home.exists());
    // By way of a symlink too.
    std::os::unix::fs::symlink(&home, machine.path("link")).unwrap();
    let job = machine
        .job_in("repo")
        .var("CARGO_HOME", machine.path("link"));
    fs::create_dir(&home).unwrap();
    { job.cache() }.pre().passed();
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[test]
fn pre_does_not_wait_for_another_cargo() {
    use local_cache::fs::{FileLock, LockMode};
    let machine = machine();
    first_job(&machine);
    let home = cargo_home(&machine);
    fs::create_dir_all(&home).unwrap();
    let lock = fs::File::create(home.join(".package-cache")).unwrap();
    let held = FileLock::try_acquire(lock, LockMode::Exclusive)
        .unwrap()
        .unwrap();
    let job = project(&machine);
    let mut step = job.cache();
    let pre = step.pre().passed();
    drop(pre.does_not_log("::warning").does_not_log("registry"));
    assert!(!home.join("registry").exists());
    drop(held);
    let last = events(&machine).pop().unwrap();
    assert_eq!((last.phase, last.error), (Phase::Pre, None));
    step.main().passed().logs("🚀 registry: 3 files");
    clear_machine(&machine);
}

#[test]
fn paths_outside_of_the_workspace_are_restored_early_for_exactly_the_key() {
    let machine = npm_saved("npm-v1");
    let job = machine.job();
    let mut step = npm(&job, "npm-v1");
    let pre = step.pre().passed();
    drop(pre.logs("🚀 path: 1 file, 5 B restored"));
    assert_eq!(job.read("~/.npm/a").as_deref(), Some("saved"));
    let main = step.main().passed();
    assert_eq!(main.hit(), "true");
    main.logs("1 file written (5 B), in ")
        .logs(", in the pre phase")
        .does_not_log("::warning");
}

#[test]
fn paths_wait_for_main_if_their_key_or_their_place_depends_on_the_checkout() {
    let digest = "0123456789abcdef".repeat(4);
    let with_digest = format!("npm-{digest}");
    // A key of which the part of the checkout is missing, and one that hashes another checkout.
    for key in ["npm-", &with_digest] {
        let machine = npm_saved(key);
        let job = machine.job();
        npm(&job, key).pre().passed();
        assert!(!job.locate("~/.npm").exists(), "{key}");
    }
    // No entry has exactly the key.
    let machine = npm_saved("npm-v1");
    let job = machine.job();
    npm(&job, "npm-v2")
        .with("restore-keys", "npm")
        .pre()
        .passed();
    npm(&job, "npm").pre().passed();
    assert!(!job.locate("~/.npm").exists());
    // A path in the workspace, around it, and one that a symlink leads there.
    let machine = Machine::new();
    let job = machine.job();
    job.file("deps/a", "saved");
    job.link("$TMP/link", job.locate("deps"));
    let around = machine.path("work").display().to_string();
    let linked = machine.path("link").display().to_string();
    for (key, path) in [("in", "deps"), ("around", &around), ("linked", &linked)] {
        job.saved(path, key);
        fs::write(job.locate("deps/a"), "changed").unwrap();
        let mut step = job.cache().with("path", path).with("key", key);
        step.pre().passed();
        assert_eq!(job.read("deps/a").as_deref(), Some("changed"), "{path}");
        step.main().passed();
        assert_eq!(job.read("deps/a").as_deref(), Some("saved"), "{path}");
    }
}

#[test]
fn a_key_that_a_step_changed_after_pre_is_a_warning() {
    let machine = npm_saved("npm-v1");
    let job = machine.job();
    let mut step = npm(&job, "npm-v1");
    step.pre().passed();
    let mut changed = npm(&job, "npm-v2").with_state_of(&step);
    let main = changed.main().passed();
    assert_eq!(main.outputs.get("cache-hit"), None);
    main.logs(
        "::warning title=local-cache::the pre phase restored npm-v1, but the key is npm-v2 now; set \
         `restore-in-pre: false`",
    );
}

/// Main prefers a prefix match of its own ref to an exact match of another one. If pre restored the
/// latter, the job would have the files of both.
#[test]
fn paths_of_another_ref_wait_for_main() {
    let machine = npm_saved("npm-2");
    let on_topic = || machine.job().pull_request(7, "topic", "main");
    let job = on_topic();
    job.file("~/.npm/b", "of the pull request");
    job.saved("~/.npm", "npm-1");
    fs::remove_dir_all(job.locate("~/.npm")).unwrap();

    let job = on_topic();
    let mut step = npm(&job, "npm-2").with("restore-keys", "npm-");
    step.pre().passed();
    let main = step.main().passed();
    assert_eq!(main.output("cache-matched-key"), "npm-1");
    assert!(!job.locate("~/.npm/a").exists());
    main.does_not_log("in the pre phase");
}

#[test]
fn a_key_in_another_case_waits_for_main_without_a_warning() {
    let machine = npm_saved("NPM-v1");
    let job = machine.job();
    let mut step = npm(&job, "npm-v1");
    step.pre().passed();
    assert!(!job.locate("~/.npm").exists());
    let main = step.main().passed();
    assert_eq!(main.hit(), "true");
    main.does_not_log("::warning");
}

#[test]
fn a_cargo_home_that_a_step_changed_after_pre_is_a_warning() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let mut step = job.cache();
    step.pre().passed();
    let other = machine.path("other");
    let job = project(&machine).var("CARGO_HOME", &other);
    let main = resumed(&job, &step).main().passed();
    assert!(other.join("registry/cache").exists());
    main.logs("::warning title=local-cache::the pre phase restored into another CARGO_HOME")
        .does_not_log("in the pre phase");
}

#[test]
fn a_registry_that_a_symlink_leads_into_the_workspace_waits_for_the_checkout() {
    let machine = machine();
    first_job(&machine);
    let home = cargo_home(&machine);
    let job = machine.job_in("repo");
    job.file("crates/own", "");
    fs::create_dir_all(home.join("registry")).unwrap();
    std::os::unix::fs::symlink(job.locate("crates"), home.join("registry/cache")).unwrap();
    { job.cache() }.pre().passed();
    assert_eq!(fs::read_dir(job.locate("crates")).unwrap().count(), 1);
}

#[test]
fn a_failure_of_pre_is_in_the_log_and_counts_once() {
    let machine = machine();
    first_job(&machine);
    let before = events(&machine).len();
    // A file where a directory must be.
    fs::write(cargo_home(&machine), "").unwrap();
    let job = project(&machine);
    let mut step = job.cache();
    let pre = step.pre().passed().does_not_log("::warning");
    drop(pre.logs("🔍 cannot create "));
    drop(step.main().passed().logs("::warning"));
    let events = &events(&machine)[before..];
    let errors: Vec<_> = events.iter().map(|event| event.error.is_some()).collect();
    assert_eq!(errors, [false, true]);
}

#[test]
fn an_entry_that_pre_finds_damaged_is_one_warning_and_a_miss() {
    let machine = npm_saved("npm-v1");
    let manifests = machine.store().join("local-cache-v1/manifests");
    for manifest in fs::read_dir(manifests).unwrap() {
        fs::write(manifest.unwrap().path(), "damaged").unwrap();
    }
    let job = machine.job();
    let mut step = npm(&job, "npm-v1");
    drop(
        step.pre()
            .passed()
            .logs("is quarantined and treated as a miss"),
    );
    let main = step.main().passed().does_not_log("::warning");
    assert_eq!(main.outputs.get("cache-hit"), None);
}
