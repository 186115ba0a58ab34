//! Jobs that use the action: the next job restores what one saved.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::action::{Step, job, lines};
use super::machine::{Snapshot, snapshot};
use super::runner::Runner;
use super::support;

const KEY: [(&str, &str); 2] = [("path", "target"), ("key", "linux-1")];

#[test]
fn the_second_job_restores_what_the_first_one_saved_in_any_directory() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    let elsewhere = user.home.join("elsewhere/data");
    let places = [
        runner.workspace.join("target"),
        runner.workspace.join("vendor"),
        user.home.join(".cargo/registry"),
        elsewhere.clone(),
    ];
    // The runner translates the value as a whole, so only the first line arrives in the container's
    // form.
    let path = lines([
        runner.workspace.join("target").as_os_str(),
        runner.workspace.join("vendor").as_os_str(),
        "~/.cargo/registry".as_ref(),
        elsewhere.as_os_str(),
        "!target/**/*.tmp".as_ref(),
    ]);
    let with = [("path", path.as_str()), ("key", "linux-1")];

    let mut saved: Vec<Snapshot> = Vec::new();
    let (before, after) = job(&runner, &with, |step| {
        assert_eq!(step.output("cache-hit"), None);
        assert_eq!(step.output("cache-primary-key"), Some("linux-1"));
        assert_eq!(step.output("cache-matched-key"), None);
        for place in &places {
            user.tree(place, 40, 60);
            user.file_at(&place.join("deep/er/program"), b"#!/bin/sh\n");
            fs::set_permissions(
                place.join("deep/er/program"),
                fs::Permissions::from_mode(0o755),
            )
            .unwrap();
            symlink("deep/er/program", place.join("link")).unwrap();
            user.own(&place.join("link"));
        }
        saved = places.iter().map(|place| snapshot(place)).collect();
        user.file_at(&places[0].join("deep/left.tmp"), b"x");
    });
    assert!(
        before.contains("Cache not found for input keys: linux-1"),
        "{before}"
    );
    assert!(after.contains("Cache saved with key: linux-1"), "{after}");

    for place in &places {
        fs::remove_dir_all(place).unwrap();
    }
    let (before, after) = job(&runner, &with, |step| {
        let restored: Vec<Snapshot> = places.iter().map(|place| snapshot(place)).collect();
        assert!(restored == saved, "what came back is not what was saved");
        assert_eq!(step.output("cache-hit"), Some("true"));
        assert_eq!(step.output("cache-primary-key"), Some("linux-1"));
        assert_eq!(step.output("cache-matched-key"), Some("linux-1"));
        assert_eq!(step.output("restored-files"), Some("168"));
        for name in [
            "restored-bytes",
            "disk-used-percent",
            "disk-free-bytes",
            "cache-size-bytes",
        ] {
            assert!(step.output(name).unwrap().parse::<u64>().is_ok(), "{name}");
        }
    });
    assert!(
        before.contains("Cache restored from key: linux-1"),
        "{before}"
    );
    assert!(
        after.contains("Cache hit occurred on the primary key linux-1, not saving cache."),
        "{after}"
    );
}

/// A project in the workspace and a toolchain in a directory, as made by a checkout and rustup.
pub(super) fn lay_project(runner: &Runner, rustup: &Path) {
    let toolchain = "toolchains/stable-x86_64-unknown-linux-gnu/lib/librustc_driver-11aa.so";
    for (path, text) in [
        (
            runner.workspace.join("Cargo.toml"),
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
        ),
        (
            runner.workspace.join("Cargo.lock"),
            "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n",
        ),
        (rustup.join(toolchain), ""),
        (
            rustup.join("settings.toml"),
            "default_toolchain = \"stable-x86_64-unknown-linux-gnu\"\n",
        ),
    ] {
        runner.user.file_at(&path, text.as_bytes());
    }
}

#[test]
fn cargo_projects_need_no_configuration() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    lay_project(&runner, &user.home.join(".rustup"));
    let places = [
        user.home.join(".cargo/registry/cache"),
        runner.workspace.join("target"),
    ];
    let mut saved: Vec<Snapshot> = Vec::new();
    let (before, after) = job(&runner, &[], |step| {
        assert_eq!(step.output("cache-hit"), Some("false"));
        user.tree(&places[0], 20, 60);
        user.file_at(&places[1].join(".rustc_info.json"), b"{}");
        user.file_at(&places[1].join("CACHEDIR.TAG"), b"Signature");
        saved = places.iter().map(|place| snapshot(place)).collect();
    });
    assert!(
        before.contains("target: no entry for v0-rust-target-build-linux-x86_64-"),
        "{before}"
    );
    assert!(after.contains("target: 2 files"), "{after}");
    assert!(!places[1].exists(), "target is kept as a ready copy");

    fs::remove_dir_all(user.home.join(".cargo")).unwrap();
    let (before, after) = job(&runner, &[], |step| {
        let restored: Vec<Snapshot> = places.iter().map(|place| snapshot(place)).collect();
        assert!(restored == saved, "what came back is not what was saved");
        for name in [
            "cache-hit",
            "registry-cache-hit",
            "git-cache-hit",
            "target-cache-hit",
        ] {
            assert_eq!(step.output(name), Some("true"), "{name}");
        }
    });
    assert!(
        before.contains("target: 2 files") && before.contains("restored by a rename"),
        "{before}"
    );
    assert!(
        after.contains("target: unchanged since it was saved"),
        "{after}"
    );

    // A CARGO_HOME below the workspace arrives in the form of the action's container.
    let inside = runner.workspace.join("cargo-home");
    let mut step = Step::new(&runner, &[])
        .changed(|stage| stage.env("CARGO_HOME", "/github/workspace/cargo-home"));
    let before = step.begin();
    assert_eq!(step.output("registry-cache-hit"), Some("true"), "{before}");
    assert!(inside.join("registry/cache").exists(), "{before}");
    step.end("success");
}

#[test]
fn directories_that_the_environment_of_the_runner_names_are_found() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    let (cargo, rustup) = (user.home.join("cargo"), user.home.join("rustup"));
    lay_project(&runner, &rustup);
    let variables = format!(
        "CARGO_HOME={}\nRUSTUP_HOME={}\n",
        cargo.display(),
        rustup.display()
    );
    user.file(&user.home.join(".env"), &variables);
    let crates = cargo.join("registry/cache");
    let (_, after) = job(&runner, &[], |_| {
        user.tree(&crates, 20, 60);
        for name in ["CACHEDIR.TAG", ".rustc_info.json"] {
            user.file_at(&runner.workspace.join("target").join(name), b"Signature");
        }
    });
    assert!(!after.contains("::warning"), "{after}");
    assert!(after.contains("registry: 20 files"), "{after}");
    let saved = snapshot(&crates);
    fs::remove_dir_all(&cargo).unwrap();
    job(&runner, &[], |step| {
        assert_eq!(step.output("registry-cache-hit"), Some("true"));
        assert_eq!(step.output("target-cache-hit"), Some("true"));
        assert!(
            snapshot(&crates) == saved,
            "what came back is not what was saved"
        );
    });

    // The job's own variables replace them.
    let own = user.home.join("own");
    let mut step = Step::new(&runner, &[]).changed(|stage| stage.env("CARGO_HOME", &own));
    let before = step.begin();
    assert!(own.join("registry/cache").exists(), "{before}");
    step.end("success");
}

#[test]
fn a_prefix_restores_and_the_new_key_is_saved_on_top() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let target = runner.workspace.join("target");
    job(&runner, &KEY, |_| runner.user.tree(&target, 30, 100));
    fs::remove_dir_all(&target).unwrap();

    let with = [
        ("path", "target"),
        ("key", "linux-2"),
        ("restore-keys", "windows-\nlinux-"),
    ];
    let (before, after) = job(&runner, &with, |step| {
        assert_eq!(step.output("cache-hit"), Some("false"));
        assert_eq!(step.output("cache-matched-key"), Some("linux-1"));
        runner.user.file_at(&target.join("new"), b"new");
    });
    assert!(
        before.contains("Cache restored from key: linux-1"),
        "{before}"
    );
    assert!(after.contains("Cache saved with key: linux-2"), "{after}");
    assert!(after.contains("31 files"), "{after}");

    // Both exist now, and correct files are not touched.
    let (before, _) = job(&runner, &[("path", "target"), ("key", "linux-2")], |_| ());
    assert!(
        before.contains("0 files written (0 B), 31 files up to date"),
        "{before}"
    );
}

#[test]
fn a_failed_or_cancelled_job_saves_only_if_its_inputs_say_so() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    runner.user.tree(&runner.workspace.join("target"), 5, 10);
    for status in ["failure", "cancelled"] {
        let mut step = Step::new(&runner, &KEY);
        step.begin();
        let after = step.end(status);
        assert!(
            after.contains("the job did not succeed, not saving cache"),
            "{after}"
        );
        assert!(!runner.cache_root.exists(), "{status}: something was saved");
    }
    for (status, option) in [
        ("failure", ("save", "always")),
        ("cancelled", ("save-always", "true")),
    ] {
        let mut step = Step::new(&runner, &[("path", "target"), ("key", status), option]);
        step.begin();
        let after = step.end(status);
        assert!(
            after.contains(&format!("Cache saved with key: {status}")),
            "{after}"
        );
    }
}

#[test]
fn the_restore_and_save_actions_work_by_themselves() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let target = runner.workspace.join("target");

    let mut missed = Step::of("restore/action.yml", &runner, &KEY);
    assert!(
        missed
            .passes("main")
            .contains("Cache not found for input keys: linux-1")
    );
    assert_eq!(missed.output("cache-hit"), None);
    let mut needed = Step::of(
        "restore/action.yml",
        &runner,
        &[&KEY[..], &[("fail-on-cache-miss", "true")]].concat(),
    );
    let answer = needed.phase("main");
    assert_eq!(answer.status.code(), Some(1), "{}", answer.stdout);
    assert!(answer.stdout.contains("::error"), "{}", answer.stdout);

    runner.user.tree(&target, 12, 30);
    let before = snapshot(&target);
    let mut save = Step::of("save/action.yml", &runner, &KEY);
    assert!(
        save.passes("main")
            .contains("Cache saved with key: linux-1")
    );
    assert!(save.output("cache-size-bytes").is_some());
    fs::remove_dir_all(&target).unwrap();

    let mut lookup = Step::of(
        "restore/action.yml",
        &runner,
        &[&KEY[..], &[("lookup-only", "true")]].concat(),
    );
    assert!(lookup.passes("main").contains("Lookup only"));
    assert_eq!(
        (lookup.output("cache-hit"), target.exists()),
        (Some("true"), false)
    );
    let mut restore = Step::of("restore/action.yml", &runner, &KEY);
    restore.passes("main");
    assert_eq!(restore.output("cache-hit"), Some("true"));
    assert!(snapshot(&target) == before);
}

#[test]
fn names_of_any_bytes_go_through_inputs_and_trees() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    let odd = std::ffi::OsStr::from_bytes(b"b\xfft\n \xe4");
    let quoted = runner.workspace.join("a 'quoted' \"dir\"  $HOME `x` ü");
    let raw = runner.workspace.join("many").join(odd);
    for top in [&quoted, &raw] {
        user.file_at(&top.join("plain"), b"1");
        user.file_at(&top.join(odd).join("x"), b"2");
    }
    let saved = [snapshot(&quoted), snapshot(&raw)];
    let path = "a 'quoted' \"dir\"  $HOME `x` ü\nmany/*";
    let with = [("path", path), ("key", "k \"quoted\" 'ü'")];
    let (_, after) = job(&runner, &with, |_| ());
    assert!(
        after.contains("Cache saved with key: k \"quoted\" 'ü'"),
        "{after}"
    );
    for top in [&quoted, &raw] {
        fs::remove_dir_all(top).unwrap();
    }
    job(&runner, &with, |step| {
        assert_eq!(step.output("cache-hit"), Some("true"));
    });
    assert!([snapshot(&quoted), snapshot(&raw)] == saved);
}

#[test]
fn symlinks_are_followed_as_the_steps_follow_them() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    // `~/.cargo` is an absolute symlink, and so is the workspace.
    let cargo = user.directory("data/cargo");
    link(&runner, &cargo, &user.home.join(".cargo"));
    let real = user.directory("data/checkout");
    fs::remove_dir(&runner.workspace).unwrap();
    link(&runner, &real, &runner.workspace);
    let with = [("path", "~/.cargo/registry\ntarget"), ("key", "k")];
    let places = [cargo.join("registry"), real.join("target")];
    places.iter().for_each(|place| user.tree(place, 10, 20));
    let saved: Vec<Snapshot> = places.iter().map(|place| snapshot(place)).collect();
    job(&runner, &with, |_| ());
    places
        .iter()
        .for_each(|place| fs::remove_dir_all(place).unwrap());
    job(&runner, &with, |step| {
        assert_eq!(step.output("cache-hit"), Some("true"));
    });
    let restored: Vec<Snapshot> = places.iter().map(|place| snapshot(place)).collect();
    assert!(restored == saved);
    assert!(user.home.join(".cargo").is_symlink() && runner.workspace.is_symlink());
}

fn link(runner: &Runner, to: &Path, from: &PathBuf) {
    symlink(to, from).unwrap();
    runner.user.own(from);
}
