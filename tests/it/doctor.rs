//! `doctor`: each check finds its problem and says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::mounts::Mount;
use crate::support::tools::is_root;
use crate::support::{RunResult, Sandbox, trees};

fn examine(sandbox: &Sandbox) -> RunResult {
    let job = sandbox.job("job");
    RunResult::of(
        sandbox
            .command(&job, &["doctor", "--json"])
            .env("PATH", "/usr/bin:/bin"),
    )
}

/// The status of a check, with what was found and what to do.
#[track_caller]
fn check<'j>(json: &'j Value, name: &str) -> (&'j str, &'j str, &'j str) {
    let all = json["checks"].as_array().unwrap();
    let found = all
        .iter()
        .find(|check| check["check"] == name)
        .unwrap_or_else(|| panic!("no {name} in {json:#}"));
    let text = |name: &str| found[name].as_str().unwrap_or("");
    (text("status"), text("found"), text("advice"))
}

/// `doctor --as-action` with a `docker` that is this shell script, and an engine that answers.
fn with_docker(script: &str, change: impl Fn(&mut Command)) -> Value {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let programs = sandbox.job("programs");
    let program = programs.join("docker");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let socket = programs.join("docker.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut command = sandbox.command(&job, &["doctor", "--json", "--as-action"]);
    command
        .env("PATH", path)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()));
    change(&mut command);
    RunResult::of(&mut command).json()
}

#[test]
fn the_action_is_looked_at_with_the_newest_image() {
    let view = json!({
        "site": "host", "error": null,
        "worker": {
            "uid": 0, "home": "/elsewhere", "cargo-home": "/elsewhere/.cargo", "toolchain": null,
            "cache-root": "/tmp/runner-cache", "filesystem": "ext4", "free-bytes": 1, "directory": [1, 2],
        },
    });
    let script = format!(
        r#"case "$1 $*" in
        image*) echo newest; echo older ;;
        run*"type=bind,source=/var/run/docker.sock"*" newest cache --look") echo '{view}' ;;
        *) echo "wrong arguments: $*" >&2; exit 1 ;;
        esac"#
    );
    let json = with_docker(&script, |_| ());
    let (status, found, _) = check(&json, "action");
    assert_eq!(status, "warning", "{json:#}");
    assert!(
        found.contains("the image newest works at the site host"),
        "{found}"
    );
    assert_eq!(check(&json, "action cargo").0, "warning");
    assert_eq!(check(&json, "action store").0, "problem");
}

#[test]
fn an_action_that_cannot_be_started_is_one_finding() {
    for (script, status, text) in [
        ("true", "warning", "this machine has no image of the action"),
        (
            "echo 'first line' >&2; echo 'no such engine' >&2; exit 1",
            "problem",
            "docker could not start the action's image: no such engine",
        ),
        (
            "if [ $1 = image ]; then echo other; else echo Hello; fi",
            "problem",
            "the image other is not one of this version of local-cache",
        ),
    ] {
        let json = with_docker(script, |_| ());
        let (found_status, found, advice) = check(&json, "action");
        assert_eq!((found_status, found), (status, text));
        assert!(!advice.is_empty());
    }
}

#[test]
fn what_keeps_docker_from_the_engine_is_one_finding() {
    let config = tempfile::tempdir().unwrap();
    let file = config.path().join("config.json");
    fs::write(file, r#"{"currentContext": "elsewhere"}"#).unwrap();
    let json = with_docker("echo 'no such engine' >&2; exit 1", |command| {
        command
            .env_remove("DOCKER_HOST")
            .env("DOCKER_CONFIG", config.path());
    });
    assert_eq!(check(&json, "docker").0, "warning");
    let mut checks = json["checks"].as_array().unwrap().iter();
    assert!(checks.all(|it| it["check"] != "action"), "{json:#}");
}

#[test]
fn the_action_is_not_started_for_a_workspace_that_is_missing() {
    let json = with_docker("echo must not run >&2; exit 1", |command| {
        command.args(["--workspace", "missing"]);
    });
    let (status, found, _) = check(&json, "action");
    assert_eq!(status, "problem");
    assert!(found.ends_with("/missing is not a directory"), "{found}");
}

#[test]
fn all_checks_are_made_and_leave_nothing_behind() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let before: Vec<_> = fs::read_dir(sandbox.cache())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let ran = examine(&sandbox);
    let json = ran.json();
    let wanted = [
        "cache root",
        "filesystem",
        "free space",
        "inodes",
        "reflink",
        "rename",
        "locks",
        "clock",
        "entries",
        "leftovers",
        "journal",
        "other caches",
        "docker",
        "site",
        "cargo home",
        "toolchain",
    ];
    let names: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, wanted);
    for name in [
        "cache root",
        "locks",
        "clock",
        "entries",
        "leftovers",
        "journal",
        "other caches",
        "site",
        "rename",
    ] {
        assert_eq!(
            check(&json, name).0,
            "ok",
            "{name}: {:?}",
            check(&json, name)
        );
    }
    for found in json["checks"].as_array().unwrap() {
        let needs_advice = found["status"] != "ok";
        assert_eq!(found["advice"].is_string(), needs_advice, "{found}");
    }
    let has_problem = json["status"] == "problem";
    assert_eq!(ran.code, Some(i32::from(has_problem)), "{json:#}");
    let after: Vec<_> = fs::read_dir(sandbox.cache())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(before, after);
    assert_eq!(fs::read_dir(&job).unwrap().count(), 1);
    let text = sandbox.run(&job, &["doctor"]);
    assert!(
        text.stdout.contains("✅ locks") && text.stdout.contains("warning"),
        "{}",
        text.stdout
    );
}

#[test]
fn an_unusable_cache_root_is_a_problem_and_sets_the_exit_code() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.cache(), "a file").unwrap();
    let ran = examine(&sandbox).exited(1);
    let json = ran.json();
    assert!(
        matches!(check(&json, "cache root"), ("problem", found, advice)
        if found.contains("not a directory") && advice.contains("cache-root")),
        "{json:#}"
    );
    let closed = Sandbox::without_rights();
    fs::create_dir(closed.cache()).unwrap();
    closed.job("job");
    closed.chown_all();
    trees::set_mode(closed.cache(), 0o555);
    let json = examine(&closed).exited(1).json();
    assert!(
        matches!(check(&json, "cache root"), ("problem", found, advice)
        if found.contains("Permission denied") && advice.contains("chown")),
        "{json:#}"
    );
    // One cause, one finding, and people have names.
    let checks = json["checks"].as_array().unwrap();
    let denied = checks
        .iter()
        .filter(|check| check["found"].as_str().unwrap().contains("denied"));
    assert_eq!(denied.count(), 1, "{json:#}");
    if is_root() {
        assert!(
            check(&json, "cache root")
                .1
                .contains("this is the user nobody"),
            "{json:#}"
        );
    }
    trees::set_mode(closed.cache(), 0o755);
}

#[test]
fn a_small_memory_filesystem_is_reported_with_its_consequence() {
    let Some(mount) = Mount::tmpfs(32 << 20, "doctor on a memory filesystem") else {
        return;
    };
    let sandbox = Sandbox::new().with_cache(mount.join("cache"));
    let json = examine(&sandbox).exited(1).json();
    let (status, found, advice) = check(&json, "filesystem");
    assert!(
        status == "warning" && found.contains("small") && found.contains("empty after a restart"),
        "{found}"
    );
    assert!(advice.contains("cache-root"));
    assert_eq!(check(&json, "free space").0, "problem");
    let (status, found, _) = check(&json, "rename");
    assert!(
        status == "warning" && found.contains("different filesystems"),
        "{found}"
    );
}

#[test]
fn damage_leftovers_and_garbage_are_found() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    sandbox.save(&job, "m").succeeded();
    let entry = fs::read_dir(sandbox.store().join("entries"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&entry, "{}").unwrap();
    trees::write(&sandbox.store().join("tmp/killed/file"), b"x");
    trees::write(&sandbox.store().join("events/events.jsonl"), b"garbage\n");
    let json = examine(&sandbox).exited(1).json();
    let (status, found, advice) = check(&json, "entries");
    assert!(
        status == "problem" && found.contains("1 is damaged") && advice.contains("verify --repair"),
        "{found}"
    );
    assert!(
        matches!(check(&json, "leftovers"), ("warning", found, _) if found.contains("1 directory"))
    );
    assert!(matches!(check(&json, "journal"), ("warning", found, _) if found.contains("1 line")));
    assert!(entry.exists(), "nothing is changed");
    sandbox.repair();
    let json = examine(&sandbox).json();
    assert_eq!(
        check(&json, "entries").0,
        "warning",
        "quarantined entries are reported"
    );
}

#[test]
fn a_newer_store_and_a_missing_compiler_are_reported() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    fs::write(sandbox.store().join("format.json"), br#"{"format":2}"#).unwrap();
    trees::write(
        &job.join("Cargo.toml"),
        b"[package]\nname = \"a\"\nversion = \"1.0.0\"\n",
    );
    trees::write(
        &job.join("rust-toolchain.toml"),
        b"[toolchain]\nchannel = \"1.2.3\"\n",
    );
    let json = examine(&sandbox).exited(1).json();
    assert!(
        matches!(check(&json, "entries"), ("problem", _, advice) if advice.contains("update local-cache"))
    );
    assert!(
        matches!(check(&json, "toolchain"), ("warning", _, advice) if advice.contains("install the toolchain")),
        "{json:#}"
    );
}

#[test]
fn directories_of_rsync_workflows_are_found() {
    let sandbox = Sandbox::new();
    trees::write(
        &sandbox.path("cache/acme/widget/target/abc/debug/app"),
        b"x",
    );
    trees::write(&sandbox.path("cache/cargo/def/registry/index/x"), b"x");
    let json = examine(&sandbox).json();
    assert!(
        matches!(check(&json, "other caches"), ("warning", found, advice)
        if found.contains("2 directories") && advice.contains("import")),
        "{json:#}"
    );
}

#[test]
fn a_cache_root_that_others_may_write_to_is_a_problem() {
    let sandbox = Sandbox::without_rights();
    sandbox.job("cache");
    sandbox.job("job");
    for (mode, why) in [(0o1777, "every user"), (0o770, "its group")] {
        trees::set_mode(sandbox.cache(), mode);
        let json = examine(&sandbox).exited(1).json();
        assert!(
            matches!(check(&json, "cache root"), ("problem", found, advice)
            if found.contains(why) && advice.contains("chmod")),
            "{json:#}"
        );
    }
    trees::set_mode(sandbox.cache(), 0o2770);
    let json = examine(&sandbox).json();
    assert!(
        matches!(check(&json, "cache root"), ("ok", found, _) if found.contains("with the group")),
        "{json:#}"
    );
}

#[test]
fn another_docker_context_is_reported() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let config = sandbox.path("home/.docker");
    fs::create_dir(&config).unwrap();
    let docker = |context: &str| -> String {
        let text = format!("{{\"currentContext\": \"{context}\"}}");
        fs::write(config.join("config.json"), text).unwrap();
        let json = sandbox.run(&job, &["doctor", "--json"]).json();
        check(&json, "docker").1.to_owned()
    };
    assert!(docker("far-away").contains("uses the context far-away"));
    assert!(!docker("default").contains("context"));
}
