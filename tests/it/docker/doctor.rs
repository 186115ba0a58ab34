//! `doctor --as-action` beside the action itself: what it says is what a step sees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

use super::image::Image;
use super::programs::programs;
use super::runner::Runner;
use super::support;

/// `doctor --as-action --json`, run by the runner's user on the host.
fn examine(runner: &Runner, image: &str, change: impl Fn(&mut Command)) -> Value {
    // Outside of the source, which another user may not read.
    let program = runner.user.home.join("local-cache");
    if !program.exists() {
        let bytes = fs::read(&programs().local_cache).unwrap();
        runner.user.file_at(&program, &bytes);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let socket = fs::metadata("/var/run/docker.sock").unwrap();
    let mut command = runner.user.command(program);
    command
        .gid(socket.gid())
        .env_remove("CARGO_HOME")
        .env_remove("RUSTUP_HOME")
        .args(["doctor", "--json", "--as-action", "--image", image])
        .arg("--workspace")
        .arg(&runner.workspace)
        .arg("--cache-root")
        .arg(&runner.cache_root);
    change(&mut command);
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The status and the text of a check.
fn check<'j>(json: &'j Value, name: &str) -> (&'j str, &'j str) {
    let mut all = json["checks"].as_array().unwrap().iter();
    let found = all
        .find(|check| check["check"] == name)
        .unwrap_or_else(|| panic!("no {name} in {json:#}"));
    (
        found["status"].as_str().unwrap(),
        found["found"].as_str().unwrap(),
    )
}

#[test]
fn doctor_shows_what_the_action_sees() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let image = Image::action();
    let json = examine(&runner, &image.0, |_| {});
    let (status, found) = check(&json, "action");
    assert_eq!(status, "ok", "{json:#}");
    let home = runner.user.home.display();
    let expected = format!(
        "works at the site host as the user {}, with the home directory {home}",
        runner.user.name
    );
    assert!(found.contains(&expected), "{found}");
    assert_eq!(
        check(&json, "action cargo"),
        ("ok", &*format!("the action caches {home}/.cargo"))
    );
    let (status, found) = check(&json, "action store");
    let root = runner.cache_root.display().to_string();
    assert!(status == "ok" && found.starts_with(&root), "{found}");

    // Variables of this shell are not those of the runner; variables in the runner's `.env` are.
    let in_shell = examine(&runner, &image.0, |command| {
        command.env("CARGO_HOME", "/srv/cargo");
    });
    assert_eq!(check(&in_shell, "action cargo").0, "warning");
    let env_file = runner.user.home.join(".env");
    runner.user.file(&env_file, "CARGO_HOME=/srv/cargo\n");
    let of_runner = examine(&runner, &image.0, |command| {
        command.env("CARGO_HOME", "/srv/cargo");
    });
    assert_eq!(
        check(&of_runner, "action cargo"),
        ("ok", "the action caches /srv/cargo")
    );
    assert!(!runner.cache_root.exists(), "it made a store");
}

#[test]
fn doctor_says_why_the_image_cannot_run() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let json = examine(&runner, "local-cache-test-missing", |_| {});
    let (status, found) = check(&json, "action");
    assert_eq!(status, "problem");
    assert!(found.contains("local-cache-test-missing"), "{found}");
    let probe = Image::probe();
    let json = examine(&runner, &probe.0, |_| {});
    assert_eq!(check(&json, "action").0, "problem", "{json:#}");
}
