//! Importing the directories of rsync workflows: found, listed, saved as entries, removed.

use std::fs;
use std::process::Command;

use super::support::{cargo_home, machine, project, run};
use crate::support::RunResult;
use crate::support::machine::{Job, Machine};

/// Runs the program for the store of a machine, in the workspace of a job.
fn import(machine: &Machine, job: &Job<'_>, arguments: &[&str]) -> RunResult {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
    command
        .arg("import")
        .args(arguments)
        .arg("--cache-root")
        .arg(machine.store());
    command
        .current_dir(&job.workspace)
        .env_clear()
        .env("HOME", machine.home())
        .env("PATH", "/usr/bin:/bin");
    command.stdin(std::process::Stdio::null());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    RunResult::of(&mut command)
}

/// The directories of such a workflow: Cargo's home and a target directory, below the directory of
/// a repository.
fn left(machine: &Machine) {
    let below = machine.store().join("acme/widget");
    for (name, contents) in [
        (
            "cargo/aaaa/registry/cache/index-1/dep-1.0.0.crate",
            "archive",
        ),
        (
            "cargo/aaaa/registry/index/index-1/.cache/de/p-/dep",
            "index",
        ),
        (
            "target/bbbb/CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55",
        ),
        ("target/bbbb/debug/app", "program of rsync"),
    ] {
        let path = below.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}

#[test]
fn the_next_job_falls_back_to_imported_entries() {
    let machine = machine();
    left(&machine);
    let job = project(&machine);
    let done = import(&machine, &job, &["--job", "build", "--json"])
        .succeeded()
        .json();
    assert_eq!(
        (
            &done["bytes"],
            done["directories"].as_array().unwrap().len()
        ),
        (&71.into(), 2),
        "{done:#}"
    );
    assert!(
        done["entries"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["saved"] == true),
        "{done:#}"
    );
    assert!(!cargo_home(&machine).exists());
    let (main, _) = run(&job, &[], |_| ());
    let main = main
        .logs("registry: 2 files")
        .logs("(prefix)")
        .logs("target: 2 files");
    assert_eq!(main.output("cache-hit"), "false");
    assert_eq!(
        job.read("target/debug/app").as_deref(),
        Some("program of rsync")
    );
    assert_eq!(
        job.read("~/.cargo/registry/cache/index-1/dep-1.0.0.crate")
            .as_deref(),
        Some("archive")
    );
    // The directories stay, and a second import saves nothing.
    assert!(
        machine
            .store()
            .join("acme/widget/target/bbbb/debug/app")
            .exists()
    );
    let again = import(&machine, &job, &["--job", "build", "--json"])
        .succeeded()
        .json();
    assert!(
        again["entries"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["saved"] == false),
        "{again:#}"
    );
}

#[test]
fn a_dry_run_shows_sizes_and_changes_nothing() {
    let machine = machine();
    left(&machine);
    let job = project(&machine);
    let shown = import(&machine, &job, &["--dry-run"]).succeeded().stdout;
    for part in [
        "acme/widget",
        "cargo",
        "aaaa",
        "target",
        "bbbb",
        "2 directories, 71 B; nothing was changed",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert_eq!(machine.entries(), 0);
    assert!(!machine.store().join("local-cache-v1").exists());
}

#[test]
fn remove_deletes_the_imported_directories_and_nothing_else() {
    let machine = machine();
    left(&machine);
    let job = project(&machine);
    let kept = machine.home().join("kept");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    std::os::unix::fs::symlink(&kept, machine.store().join("acme/widget/target/bbbb/link"))
        .unwrap();
    std::os::unix::fs::symlink(&kept, machine.store().join("acme/widget/target/linked")).unwrap();
    fs::create_dir_all(machine.store().join("acme/other/notes")).unwrap();
    let shown = import(&machine, &job, &["--remove"]).succeeded().stdout;
    assert!(
        shown.contains("bbbb") && shown.contains("removed 2 directories"),
        "{shown}"
    );
    assert!(kept.join("file").exists() && machine.store().join("acme/other/notes").exists());
    assert!(!machine.store().join("acme/widget/cargo").exists());
    let again = import(&machine, &job, &["--remove"]).succeeded().stdout;
    assert!(again.contains("no caches of rsync workflows"), "{again}");
}

#[test]
fn a_directory_that_cannot_be_imported_is_reported() {
    let machine = machine();
    let job = project(&machine);
    let path = machine.store().join("target/cccc/debug/app");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "x").unwrap();
    let line = import(&machine, &job, &[]).exited(2).stderr;
    assert!(line.contains("--repository OWNER/NAME"), "{line}");
    let empty = machine.job();
    let line = import(&machine, &empty, &["--repository", "acme/widget"])
        .exited(1)
        .stderr;
    assert!(
        line.contains("of the Cargo project") && line.contains("--workspace"),
        "{line}"
    );
    import(&machine, &job, &["--repository", "acme/widget"]).succeeded();
    assert_eq!(machine.entries(), 1);
}
