//! The end of a job in which a step removed the checkout, or checked out another branch.

use std::fs;

use super::support::{LOCK, build, clear_machine, hits, machine, project, run};
use crate::support::machine::Job;

const ARCHIVES: &str = "~/.cargo/registry/cache/index-1";

/// The lock file of another branch, which needs another package.
fn other_lock() -> String {
    LOCK.replace("name = \"dep\"", "name = \"other\"")
}

/// Builds, and leaves an archive of the other branch and one of another project.
fn build_with_more_archives(job: &Job<'_>) {
    build(job);
    job.file(&format!("{ARCHIVES}/other-1.0.0.crate"), "other");
    job.file(&format!("{ARCHIVES}/foreign-1.0.0.crate"), "foreign");
}

/// The archives that the next job of the project restores.
fn next_job(job: &Job<'_>) -> [bool; 3] {
    let (main, _) = run(job, &[], |_| ());
    assert_eq!(hits(&main)[1], "true", "{}", main.log);
    ["dep", "other", "foreign"].map(|name| {
        job.locate(&format!("{ARCHIVES}/{name}-1.0.0.crate"))
            .exists()
    })
}

#[test]
fn without_the_checkout_downloads_are_saved_and_the_log_says_why_the_target_is_not() {
    for is_removed in [true, false] {
        let machine = machine();
        let job = project(&machine);
        let (_, post) = run(&job, &[], |_| {
            build_with_more_archives(&job);
            fs::remove_dir_all(&job.workspace).unwrap();
            if !is_removed {
                // As on a branch of pages.
                job.file("index.html", "hello");
                job.file("target/debug/app", "program");
            }
            fs::create_dir_all(&job.workspace).unwrap();
        });
        let reason = format!(
            "✅ target is not saved: the checkout is gone (no Cargo.toml in {})",
            job.workspace.display()
        );
        let post = post
            .logs(&reason)
            .logs("💾 registry: 3 files")
            .does_not_log("git")
            .does_not_log("::warning");
        assert!(post.summary.contains("not saved"), "{}", post.summary);
        assert_eq!(machine.entries(), 2);
        clear_machine(&machine);
        assert_eq!(next_job(&project(&machine)), [true, false, false]);
    }
}

#[test]
fn on_another_branch_the_downloads_of_both_branches_are_saved() {
    let machine = machine();
    let job = project(&machine);
    let (_, post) = run(&job, &[], |_| {
        build_with_more_archives(&job);
        job.file("Cargo.lock", &other_lock());
    });
    post.logs("💾 registry: 4 files").logs("💾 target: 1 file,");
    clear_machine(&machine);
    assert_eq!(next_job(&project(&machine)), [true, true, false]);
}

#[test]
fn without_any_lock_file_the_downloads_of_a_lost_checkout_are_not_saved() {
    let machine = machine();
    let library = || {
        let job = project(&machine);
        fs::remove_file(job.locate("Cargo.lock")).unwrap();
        job
    };
    let end = |job: &Job<'_>| {
        build_with_more_archives(job);
        fs::remove_file(job.locate("Cargo.toml")).unwrap();
    };
    let job = library();
    let (_, post) = run(&job, &[], |_| end(&job));
    post.logs("✅ registry is not saved: the checkout is gone (no Cargo.toml in ")
        .logs("), and it had no Cargo.lock");
    assert_eq!(machine.entries(), 0);
    // All crates are wanted, so nothing must be known of them.
    let job = library();
    let (_, post) = run(&job, &[("cache-all-crates", "true")], |_| end(&job));
    post.logs("💾 registry: 5 files");
}

#[test]
fn on_act_the_post_phase_knows_what_the_checkout_was() {
    let machine = machine();
    let job = project(&machine).var("ACT", "true");
    let mut step = job.cache().with("reuse", "copy");
    step.pre();
    let main = step.main().passed();
    build_with_more_archives(&job);
    fs::remove_file(job.locate("Cargo.toml")).unwrap();
    fs::remove_file(job.locate("Cargo.lock")).unwrap();
    step.drop_state(&main.state);
    step.post()
        .passed()
        .logs("✅ target is not saved: the checkout is gone")
        .logs("💾 registry: 3 files");
}

#[test]
fn a_directory_that_a_step_changes_after_the_restore_is_reported() {
    let machine = machine();
    let job = project(&machine);
    let mut step = job.cache().with("reuse", "copy");
    step.main().passed();
    build(&job);
    let (then, now) = (machine.home().join(".cargo"), machine.path("cargo"));
    let mut step = step.var("CARGO_HOME", &now);
    step.post().passed().logs(&format!(
        "target: a step changed its directories from CARGO_HOME {} to CARGO_HOME {}, but the next \
         job looks for the former; set them before this step",
        then.display(),
        now.display()
    ));
}
