//! A target directory belongs to the places whose paths are compiled into it; downloads do not.

use super::support::{
    TARGET_OUTPUT, build, clear_machine, hits, machine, project, project_in, run,
};
use crate::support::machine::Job;

const ALL: [&str; 4] = ["true", "true", "true", "true"];
const ONLY_DOWNLOADS: [&str; 4] = ["false", "true", "true", ""];

#[test]
fn a_runner_in_another_directory_gets_the_downloads_and_not_the_target_directory() {
    let machine = machine();
    let jobs = || ["runner-1/repo", "runner-2/repo"].map(|name| project_in(&machine, name));
    let [one, two] = jobs();
    run(&one, &[], |_| build(&one));
    let (main, _) = run(&two, &[], |_| {
        build(&two);
        two.file(TARGET_OUTPUT, "program of the second runner");
    });
    assert_eq!(hits(&main), ONLY_DOWNLOADS);
    assert_eq!(machine.entries(), 4);
    for (job, program) in jobs()
        .iter()
        .zip(["program", "program of the second runner"])
    {
        let (main, _) = run(job, &[], |_| ());
        assert_eq!(hits(&main), ALL);
        assert_eq!(job.read(TARGET_OUTPUT).unwrap(), program);
    }
}

#[test]
fn another_cargo_home_or_target_directory_has_a_target_entry_of_its_own() {
    let machine = machine();
    let job = project(&machine);
    run(&job, &[], |_| build(&job));
    for (variable, value) in [
        ("CARGO_HOME", machine.path("cargo")),
        ("CARGO_TARGET_DIR", machine.path("target")),
        ("CARGO_BUILD_BUILD_DIR", machine.path("intermediate")),
    ] {
        clear_machine(&machine);
        let job = project(&machine).var(variable, value);
        let (main, _) = run(&job, &[], |_| ());
        assert_eq!(hits(&main), ONLY_DOWNLOADS, "{variable}");
        assert!(!job.locate("target").exists(), "{variable}");
    }
    let (main, _) = run(&project(&machine), &[], |_| ());
    assert_eq!(hits(&main), ALL);
}

#[test]
fn spelling_does_not_change_a_place() {
    let machine = machine();
    let job = project(&machine);
    run(&job, &[], |_| build(&job));
    let spelled = |path: &str| machine.path(&format!("home/./x/../{path}/"));
    let job = project(&machine)
        .var("CARGO_HOME", spelled(".cargo"))
        .var("GITHUB_WORKSPACE", machine.path("work/./repo/"));
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ALL);
}

#[test]
fn repositories_that_share_a_scope_share_downloads_and_no_target_directory() {
    for scope in ["owner", "runner"] {
        let machine = machine();
        let scope = &[("scope", scope)];
        // The checkouts of both are in the same directory.
        let of = |repository: &'static str| project(&machine).repository(repository);
        let save = |job: &Job<'_>, program: &str| {
            let (main, _) = run(job, scope, |_| {
                build(job);
                job.file(TARGET_OUTPUT, program);
            });
            hits(&main).map(str::to_owned)
        };
        save(&of("acme/widget"), "widget");
        assert_eq!(save(&of("acme/gadget"), "gadget"), ONLY_DOWNLOADS);
        for (repository, program) in [("Acme/Widget", "widget"), ("acme/gadget", "gadget")] {
            let job = of(repository);
            let (main, _) = run(&job, scope, |_| {
                assert_eq!(job.read(TARGET_OUTPUT).unwrap(), program);
            });
            assert_eq!(hits(&main), ALL, "{repository}");
        }
    }
}
