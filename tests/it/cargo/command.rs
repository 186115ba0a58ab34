//! `local-cache cargo`: the Cargo caches on the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{LOCK, UNIT_OUTPUT, unit_files};
use crate::support::{RunResult, Sandbox};

/// A fresh checkout in the directory of a job.
fn checkout(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    drop(fs::remove_dir_all(sandbox.job(name)));
    let job = sandbox.job(name);
    write(
        &job.join("Cargo.toml"),
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
    );
    write(&job.join("Cargo.lock"), LOCK);
    job
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Builds a unit in the target directory of a checkout.
fn build_unit(checkout: &Path, output: &str) {
    for (name, text) in unit_files(output) {
        write(&checkout.join("target").join(name), &text);
    }
}

fn caches(json: &Value) -> Vec<(String, String)> {
    let caches = json["caches"].as_array().unwrap();
    let word = |cache: &Value| match &cache["saved"] {
        Value::Bool(true) => "saved".to_owned(),
        Value::Bool(false) => cache["reason"].as_str().unwrap().to_owned(),
        _ => cache["cache-hit"].as_str().unwrap().to_owned(),
    };
    caches
        .iter()
        .map(|cache| (cache["name"].as_str().unwrap().to_owned(), word(cache)))
        .collect()
}

#[test]
fn a_fresh_checkout_restores_what_was_saved_and_another_one_only_the_downloads() {
    let sandbox = Sandbox::new();
    let one = checkout(&sandbox, "one");
    let home = sandbox.path("home/.cargo");
    let json = |ran: crate::support::RunResult| serde_json::from_str::<Value>(&ran.stdout).unwrap();
    let words = |job: &Path, arguments: &[&str]| {
        let arguments = [&["cargo"], arguments, &["--json"]].concat();
        let found = caches(&json(sandbox.run(job, &arguments)));
        found.into_iter().map(|(_, word)| word).collect::<Vec<_>>()
    };
    assert_eq!(words(&one, &["restore"]), ["miss", "miss", "miss"]);
    write(&home.join("registry/cache/i/dep-1.0.0.crate"), "archive");
    build_unit(&one, "program");
    assert_eq!(words(&one, &["save"]), ["saved", "saved", "saved"]);
    assert_eq!(
        words(&one, &["save"]),
        ["unchanged", "unchanged", "unchanged"]
    );
    build_unit(&one, "newer program");
    assert_eq!(words(&one, &["save"]), ["unchanged", "unchanged", "saved"]);

    fs::remove_dir_all(&home).unwrap();
    let other = checkout(&sandbox, "other");
    assert_eq!(
        words(&other, &["restore", "--lookup-only"]),
        ["exact", "exact", "miss"]
    );
    let one = checkout(&sandbox, "one");
    assert_eq!(
        words(&one, &["restore", "--lookup-only"]),
        ["exact", "exact", "exact"]
    );
    assert!(!home.exists());
    assert_eq!(words(&one, &["restore"]), ["exact", "exact", "exact"]);
    assert_eq!(
        fs::read_to_string(one.join("target").join(UNIT_OUTPUT)).unwrap(),
        "newer program"
    );
    assert!(home.join("registry/cache/i/dep-1.0.0.crate").exists());
    let text = sandbox.run(&one, &["cargo", "restore"]).stdout;
    assert!(
        text.contains("🚀 target: 3 files, 51 B from v0-rust-target-"),
        "{text}"
    );
    assert!(text.contains("(exact) in "), "{text}");
}

#[test]
fn workspaces_are_written_as_in_the_action() {
    let sandbox = Sandbox::new();
    let job = checkout(&sandbox, "job");
    checkout(&sandbox, "other");
    write(&sandbox.path("other/out/CACHEDIR.TAG"), "1");
    let ran = sandbox.run(
        &job,
        &["cargo", "save", "--json", "--workspace", "../other -> out"],
    );
    let found = caches(&serde_json::from_str(&ran.stdout).unwrap());
    assert_eq!(
        found[2],
        ("target of ../other in out".to_owned(), "saved".to_owned())
    );
    let ran = sandbox.run(&job, &["cargo", "save", "--workspace", "a -> b -> c"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn a_missing_project_and_a_miss_have_their_messages_and_exit_codes() {
    let sandbox = Sandbox::new();
    let empty = sandbox.job("empty");
    let ran = sandbox.run(&empty, &["cargo", "restore"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("there is neither a Cargo.toml nor a Cargo.lock; name a Cargo project"),
        "{}",
        ran.stderr
    );
    let job = checkout(&sandbox, "job");
    assert_eq!(sandbox.run(&job, &["cargo", "restore"]).code, Some(0));
    let ran = sandbox.run(&job, &["cargo", "restore", "--fail-on-cache-miss"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stdout
            .contains("💿 target: no entry for v0-rust-target-"),
        "{}",
        ran.stdout
    );
}

#[test]
fn no_mirror_keeps_extraneous_files() {
    let sandbox = Sandbox::new();
    let job = checkout(&sandbox, "job");
    write(&job.join("target/CACHEDIR.TAG"), "Signature");
    sandbox.run(&job, &["cargo", "save"]);
    let extra = job.join("target/extra");
    write(&extra, "1");
    sandbox.run(&job, &["cargo", "restore", "--no-mirror"]);
    assert!(extra.exists());
    sandbox.run(&job, &["cargo", "restore"]);
    assert!(!extra.exists());
}

#[test]
fn the_cache_root_can_be_relative_or_begin_with_a_tilde() {
    let sandbox = Sandbox::new();
    let job = checkout(&sandbox, "job");
    for (root, directory) in [
        ("store", job.join("store")),
        ("~/store", sandbox.path("home/store")),
    ] {
        for arguments in [
            &["cargo", "save"][..],
            &["cargo", "restore", "--fail-on-cache-miss"],
            &["save", "--key", "k", "Cargo.toml"],
            &[
                "restore",
                "--key",
                "k",
                "--fail-on-cache-miss",
                "Cargo.toml",
            ],
            &["list"],
            &["verify"],
            &["import"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
            command
                .args(arguments)
                .current_dir(&job)
                .env_clear()
                .env("HOME", sandbox.path("home"))
                .env("LOCAL_CACHE_ROOT", root)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            RunResult::of(&mut command).succeeded();
        }
        assert!(directory.join("local-cache-v1").is_dir(), "{root}");
    }
}
