//! Jobs that end with another checkout than the one they built.

use std::fs;

use super::support::{BUILD, Files, Host};
use crate::cargo::registry::rustup_home;
use crate::support::machine::Machine;
use crate::support::step::PhaseResult;

fn project() -> Files {
    Files::default()
        .with(".gitignore", "/target")
        .with_package(".", "app", "")
        .with("src/main.rs", "fn main() { println!(\"app\"); }")
}

/// A job of the action on a clone, whose last step does something to the checkout.
fn job(
    machine: &Machine,
    host: &Host,
    last: impl FnOnce(&Host),
) -> (PhaseResult, PhaseResult, bool) {
    let directory = host.clone_job(&host.path("origin")).directory;
    let mut job = machine
        .job()
        .var("GITHUB_WORKSPACE", &directory)
        .var("RUSTUP_HOME", rustup_home());
    job.workspace.clone_from(&directory);
    let mut step = job.cache().with("reuse", "move");
    let main = step.main().passed();
    let built = host.builds_like_clean(&directory, BUILD);
    assert_eq!(built.output("app"), "app");
    last(host);
    fs::create_dir_all(&directory).unwrap();
    let post = step.post().passed();
    (main, post, built.compiled.is_empty())
}

fn origin() -> (Machine, Host) {
    let machine = Machine::new();
    let mut host = Host::new();
    host.set("CARGO_HOME", machine.home().join(".cargo"));
    let origin = host.path("origin");
    host.commit(&origin, &host.locked(project()));
    host.git(&origin, &["checkout", "-q", "--orphan", "gh-pages"]);
    host.commit(&origin, &Files::default().with("index.html", "hi"));
    host.git(&origin, &["checkout", "-q", "main"]);
    (machine, host)
}

#[test]
fn a_job_that_ends_on_another_branch_says_what_it_does_not_save_and_harms_no_later_job() {
    let (machine, host) = origin();
    let to_pages = |host: &Host| drop(host.git(&host.checkout(), &["checkout", "-q", "gh-pages"]));
    let (_, post, _) = job(&machine, &host, to_pages);
    assert!(
        post.log.contains("target"),
        "nothing is reported: {}",
        post.log
    );
    job(&machine, &host, |_| ());
    let (main, post, is_fresh) = job(&machine, &host, to_pages);
    assert!(is_fresh, "{}", main.log);
    assert!(
        post.log.contains("target"),
        "nothing is reported: {}",
        post.log
    );
    let (main, _, is_fresh) = job(&machine, &host, |_| ());
    assert!(is_fresh, "{}", main.log);
}

#[test]
fn a_job_that_deletes_its_checkout_saves_the_registry_and_says_why_not_the_target() {
    let (machine, host) = origin();
    let (_, post, _) = job(&machine, &host, |host| {
        fs::remove_dir_all(host.checkout()).unwrap();
    });
    // The project has no dependencies, so there are no lines about its downloads.
    assert!(post.log.contains("target is not saved"), "{}", post.log);
    assert!(machine.entries() >= 2, "{}", post.log);
    let (main, _, _) = job(&machine, &host, |_| ());
    assert_eq!(main.output("registry-cache-hit"), "true", "{}", main.log);
}
