//! Commands that use the entries of jobs, and commands that are recorded like phases.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{command, run};
use crate::support::RunResult;
use crate::support::machine::{Job, Machine};

/// Runs a command as a step of a job would.
fn in_job(job: &Job<'_>, machine: &Machine, arguments: &[&str]) -> RunResult {
    let mut command = command(machine, arguments);
    command.current_dir(&job.workspace);
    for name in [
        "GITHUB_ACTIONS",
        "GITHUB_BASE_REF",
        "GITHUB_EVENT_NAME",
        "GITHUB_EVENT_PATH",
        "GITHUB_JOB",
        "GITHUB_REF",
        "GITHUB_REPOSITORY",
        "GITHUB_REPOSITORY_OWNER",
        "GITHUB_RUN_ID",
        "GITHUB_WORKSPACE",
    ] {
        if let Some(value) = job.variable(name) {
            command.env(name, value);
        }
    }
    RunResult::of(&mut command)
}

fn saved_by_a_job(machine: &Machine) {
    let job = machine.job();
    job.file("data/file", "contents");
    job.saved("data", "k1");
}

fn hit(ran: RunResult) -> Value {
    ran.succeeded().json()["cache-hit"].clone()
}

#[test]
fn the_entries_of_jobs_are_found_by_repository_and_ref() {
    let machine = Machine::new();
    saved_by_a_job(&machine);
    let restore = ["restore", "--key", "k1", "data"];
    let miss = run(&machine, &restore).succeeded().stdout;
    assert!(
        miss.contains("k1 exists for acme/widget, main")
            && miss.contains("add --repository acme/widget --ref main"),
        "{miss}"
    );
    assert!(!machine.path("data").exists());
    let with = |more: &[&str]| run(&machine, &[&restore[..], &["--json"], more].concat());
    assert_eq!(
        hit(with(&["--repository", "acme/widget", "--ref", "topic"])),
        "miss"
    );
    assert_eq!(
        hit(with(&["--repository", "acme/lib", "--ref", "main"])),
        "miss"
    );
    assert_eq!(
        hit(with(&["--repository", "Acme/widget", "--ref", "main"])),
        "exact"
    );
    assert!(machine.path("data/file").exists());
    for (wrong, advice) in [
        (["--ref", "main"], "--ref needs --repository"),
        (["--repository", "acme/widget"], "--repository needs --ref"),
    ] {
        let line = run(&machine, &[&restore[..], &wrong[..]].concat()).failed(2);
        assert!(line.contains(advice), "{line}");
    }
}

#[test]
fn in_a_job_commands_use_the_entries_of_the_job() {
    let machine = Machine::new();
    saved_by_a_job(&machine);
    let restore = ["restore", "--json", "--key", "k1", "data"];
    let topic = machine.job().push("topic");
    assert_eq!(hit(in_job(&topic, &machine, &restore)), "exact");
    let other = machine.job().repository("acme/lib");
    assert_eq!(hit(in_job(&other, &machine, &restore)), "miss");
    // A fork writes where no branch reads.
    let fork = machine.job().pull_request(7, "mallory/widget", "main");
    assert_eq!(hit(in_job(&fork, &machine, &restore)), "exact");
    let save = ["save", "--key", "evil", "data"];
    in_job(&fork, &machine, &save).succeeded();
    let main = machine.job();
    let evil = ["restore", "--json", "--key", "evil", "data"];
    assert_eq!(hit(in_job(&main, &machine, &evil)), "miss");
    assert_eq!(hit(in_job(&fork, &machine, &evil)), "exact");
}

#[test]
fn what_a_command_saves_for_a_job_the_action_restores() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "contents");
    let mut save = command(
        &machine,
        &[
            "save",
            "--repository",
            "acme/widget",
            "--ref",
            "main",
            "--key",
            "k1",
            "data",
        ],
    );
    RunResult::of(save.current_dir(&job.workspace)).succeeded();
    let later = machine.job();
    assert_eq!(later.found("data", "k1", "").as_deref(), Some("k1"));
}

#[test]
fn a_miss_says_which_paths_have_the_key() {
    let machine = Machine::new();
    for name in ["data", "dataX"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::write(machine.path(name).join("file"), "").unwrap();
    }
    run(&machine, &["save", "--key", "k1", "data"]).succeeded();
    let text = run(&machine, &["restore", "--key", "k1", "dataX"])
        .succeeded()
        .stdout;
    assert!(text.contains("k1 exists for data, not for dataX"), "{text}");
    let json = run(&machine, &["restore", "--json", "--key", "k1", "dataX"])
        .succeeded()
        .json();
    assert_eq!(json["near-miss"]["key"], "k1");
    assert_eq!(json["near-miss"]["difference"]["paths"][0][0], "data");
    let text = run(&machine, &["restore", "--key", "k2", "data"])
        .succeeded()
        .stdout;
    assert!(text.contains("the nearest entry is k1, saved "), "{text}");
}

#[test]
fn commands_are_counted_like_phases() {
    let machine = Machine::new();
    fs::create_dir(machine.path("data")).unwrap();
    fs::write(machine.path("data/file"), "contents").unwrap();
    run(&machine, &["save", "--key", "k1", "data"]).succeeded();
    run(&machine, &["restore", "--key", "k1", "data"]).succeeded();
    run(&machine, &["restore", "--key", "z", "data"]).succeeded();
    run(
        &machine,
        &["restore", "--lookup-only", "--key", "z", "data"],
    )
    .succeeded();
    let stats = run(&machine, &["stats", "--json"]).succeeded().json();
    let total = &stats["total"];
    assert_eq!(
        (&total["exact"], &total["miss"]),
        (&1.into(), &1.into()),
        "{total:#}"
    );
    assert_eq!(total["saves"]["count"], 1);
}

/// A checkout of a repository with a target directory that cargo made.
fn cargo_checkout(directory: &Path, origin: &str) {
    drop(fs::remove_dir_all(directory));
    for (name, text) in [
        (
            "Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
        ),
        (
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n",
        ),
        ("src/lib.rs", ""),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/objects/x", ""),
        (
            "target/CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n",
        ),
        ("target/.rustc_info.json", "{}"),
        ("target/debug/.cargo-lock", ""),
    ] {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let config = format!("[remote \"origin\"]\n\turl = https://github.com/{origin}.git\n");
    fs::write(directory.join(".git/config"), config).unwrap();
}

fn cargo(machine: &Machine, directory: &Path, arguments: &[&str]) -> RunResult {
    let mut command = command(machine, &[&["cargo"], arguments].concat());
    RunResult::of(command.current_dir(directory))
}

/// Saves without a compiler, which is reported.
fn save(machine: &Machine, directory: &Path, arguments: &[&str]) {
    let saved = cargo(machine, directory, arguments).exited(0);
    let warnings = saved.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("the compiler is not part of the keys"),
        "{saved:#?}"
    );
}

fn target_of(ran: RunResult) -> Value {
    let json = ran.succeeded().json();
    let caches = json["caches"].as_array().unwrap().iter();
    let mut targets = caches.filter(|cache| cache["kind"] == "target");
    targets.next().unwrap().clone()
}

#[test]
fn a_project_never_gets_the_target_directory_of_another_in_the_same_place() {
    let machine = Machine::new();
    let checkout = machine.path("checkout");
    cargo_checkout(&checkout, "acme/a");
    save(&machine, &checkout, &["save"]);
    cargo_checkout(&checkout, "acme/a");
    let restore = ["restore", "--json"];
    assert_eq!(
        target_of(cargo(&machine, &checkout, &restore))["cache-hit"],
        "exact"
    );
    cargo_checkout(&checkout, "acme/b");
    let missed = target_of(cargo(&machine, &checkout, &restore));
    assert_eq!(missed["cache-hit"], "miss");
    let listed = run(&machine, &["list", "--repository", "acme/a"]).succeeded();
    let line = listed.stdout.lines().nth(1).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..3], ["acme/a", "-"], "{listed:#?}");
}

#[test]
fn a_miss_names_the_parts_of_the_key_that_differ() {
    let machine = Machine::new();
    let checkout = machine.path("checkout");
    cargo_checkout(&checkout, "acme/a");
    save(&machine, &checkout, &["save"]);
    let mut restore = command(&machine, &["cargo", "restore"]);
    restore
        .current_dir(&checkout)
        .env("RUSTFLAGS", "-Cdebuginfo=0");
    let text = RunResult::of(&mut restore).succeeded().stdout;
    assert!(
        text.contains("RUSTFLAGS differs from the entry saved"),
        "{text}"
    );
    let shown = run(&machine, &["list", "--json", "--kind", "target"]);
    let parts = &shown.succeeded().json()[0]["parts"];
    assert_eq!(parts["Cargo.lock"].as_str().unwrap().len(), 8, "{parts}");
    let other = cargo(&machine, &checkout, &["restore", "--job", "lint"])
        .succeeded()
        .stdout;
    assert!(
        other.contains("job differs from the entry saved"),
        "{other}"
    );
}

#[test]
fn keys_and_target_directories_of_a_job_are_selected_by_its_id() {
    let machine = Machine::new();
    let checkout = machine.path("checkout");
    cargo_checkout(&checkout, "acme/a");
    let options = ["--repository", "acme/a", "--ref", "main", "--job", "build"];
    save(&machine, &checkout, &[&["save"], &options[..]].concat());
    let mut key = command(&machine, &["key", "--job", "build", "--json"]);
    let key = RunResult::of(key.current_dir(&checkout)).succeeded().json();
    let restored = [&["restore", "--json"], &options[..]].concat();
    let restored = target_of(cargo(&machine, &checkout, &restored));
    assert_eq!(restored["cache-hit"], "exact");
    assert_eq!(restored["key"], key["target"][0]["key"]);
    assert_eq!(
        target_of(cargo(&machine, &checkout, &["restore", "--json"]))["cache-hit"],
        "miss"
    );
    let listed = run(&machine, &["list", "--json", "--kind", "target"])
        .succeeded()
        .json();
    assert_eq!(listed[0]["scope"], "acme/a");
    // The same group as the action's: its paths name no repository.
    let paths = listed[0]["paths"].as_array().unwrap();
    let names_repository = |path: &&Value| path.as_str().unwrap().starts_with("repository");
    assert_eq!(paths.iter().filter(names_repository).count(), 0);
}
