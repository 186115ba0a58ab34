//! The preflight checks of the reusable workflows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::NOBODY;
use crate::support::repository::root;
use crate::support::tools::is_root;

const WORKFLOWS: [&str; 2] = ["build_lib_cached.yml", "verify_consensus_cached.yml"];

/// The script of a step of a workflow, by the step's name.
fn script(workflow: &str, name: &str) -> String {
    let text = fs::read_to_string(root().join(".github/workflows").join(workflow)).unwrap();
    let workflow: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
    let jobs = workflow["jobs"].as_mapping().unwrap();
    let mut steps = jobs
        .iter()
        .flat_map(|(_, job)| job["steps"].as_sequence().unwrap());
    let step = steps
        .find(|step| step.get("name").and_then(|it| it.as_str()) == Some(name))
        .unwrap();
    step["run"].as_str().unwrap().to_owned()
}

/// A runner with programs that do nothing but end with these codes.
fn runner(programs: &[(&str, i32)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    // Readable for the user without rights who runs the checks.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for name in ["bash", "dirname", "timeout"] {
        std::os::unix::fs::symlink(
            Path::new("/usr/bin").join(name),
            directory.path().join(name),
        )
        .unwrap();
    }
    for (name, code) in programs {
        let file = directory.path().join(name);
        fs::write(&file, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

/// Runs the checks of both workflows, which must agree; returns whether they passed, and their
/// output.
fn check(runner: &TempDir, repository: &str, reference: &str, cache: &str) -> (bool, String) {
    let run = |workflow: &str| {
        let mut bash = Command::new("/usr/bin/bash");
        if is_root() {
            bash.uid(NOBODY).gid(NOBODY);
        }
        let output = bash
            .current_dir(runner.path())
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c"])
            .arg(script(workflow, "Check the inputs and the runner"))
            .env_clear()
            .env("PATH", runner.path())
            .env("HOME", runner.path())
            .env("REPOSITORY", repository)
            .env("REF", reference)
            .env("USE_CACHE", if cache.is_empty() { "false" } else { "true" })
            .env("CACHE_ROOT", cache)
            .output()
            .unwrap();
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let [build, verify] = WORKFLOWS.map(run);
    assert_eq!(build, verify);
    build
}

/// Demands that the checks fail with one error that contains this text.
#[track_caller]
fn refused((passed, said): &(bool, String), words: &str) {
    assert!(!passed);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("::error::") && said.contains(words),
        "{said}"
    );
}

const ALL: &[(&str, i32)] = &[("docker", 0), ("rustup", 0)];

#[test]
fn a_runner_that_has_everything_passes() {
    let runner = runner(ALL);
    for cache in ["", "/tmp/runner-cache", "~/cache/of/mine"] {
        assert_eq!(
            check(&runner, "acme/app", "main", cache),
            (true, "✅ the inputs and the runner are ready\n".to_owned())
        );
    }
}

#[test]
fn a_missing_ref_and_a_repository_of_a_wrong_form_are_named() {
    let runner = runner(ALL);
    refused(&check(&runner, "acme/app", "", ""), "input ref is empty");
    refused(
        &check(&runner, "acme/app;id", "main", ""),
        "input repo names no repository: 'acme/app;id'",
    );
}

#[test]
fn a_missing_docker_and_a_silent_engine_have_their_own_messages() {
    refused(
        &check(&runner(&[("rustup", 0)]), "acme/app", "main", ""),
        "Docker is not installed",
    );
    let silent = runner(&[("rustup", 0), ("docker", 1)]);
    refused(
        &check(&silent, "acme/app", "main", ""),
        "Docker Engine does not answer",
    );
}

#[test]
fn a_missing_rustup_is_reported() {
    refused(
        &check(&runner(&[("docker", 0)]), "acme/app", "main", ""),
        "rustup is not in the PATH",
    );
}

#[test]
fn an_unwritable_cache_root_is_reported_only_with_the_cache() {
    let runner = runner(ALL);
    let file = runner.path().join("docker/below");
    let root = file.to_string_lossy();
    refused(
        &check(&runner, "acme/app", "main", &root),
        &format!("cannot write to the cache root {root}"),
    );
    refused(
        &check(&runner, "acme/app", "main", "cache"),
        "give an absolute path",
    );
    assert!(check(&runner, "acme/app", "main", "").0);
    let closed = runner.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let root = closed.join("cache");
    let words = format!("({} is read-only", closed.display());
    refused(
        &check(&runner, "acme/app", "main", &root.to_string_lossy()),
        &words,
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let (passed, said) = check(&runner(&[]), "acme/app", "", "");
    assert!(!passed);
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_missing_lock_file_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    for workflow in WORKFLOWS {
        let run = || {
            let script = script(workflow, "Check the project");
            let mut bash = Command::new("bash");
            bash.args(["-eo", "pipefail", "-c", &script])
                .env("REPO", "app")
                .current_dir(&directory);
            bash.output().unwrap()
        };
        let output = run();
        assert!(!output.status.success());
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with("::error::app has no Cargo.lock")
        );
        fs::write(directory.path().join("Cargo.lock"), "").unwrap();
        assert!(run().status.success());
        fs::remove_file(directory.path().join("Cargo.lock")).unwrap();
    }
}

#[test]
fn no_step_of_a_workflow_hides_a_failure() {
    for file in crate::support::repository::workflows() {
        let text = fs::read_to_string(&file).unwrap();
        for way in ["|| true", "|| :", "continue-on-error: true", "set +e"] {
            assert!(!text.contains(way), "{}: {way}", file.display());
        }
    }
}
