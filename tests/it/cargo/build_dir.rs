//! Intermediate artifacts outside of the target directory (`build.build-dir`) are saved with it.

use std::fs;

use super::builds::{cargo, project};
use super::registry::Registry;
use super::support::{clear_machine, hits, run};
use crate::support::machine::{Job, Machine};
use crate::support::tools::skip;

/// Locations: in `CARGO_HOME`, beside the checkout, in the target directory.
const PLACES: [&str; 3] = [
    "{cargo-cache-home}/build/{workspace-path-hash}",
    "../intermediate",
    "target/intermediate",
];

fn project_with<'m>(machine: &'m Machine, registry: &Registry, build_dir: &str) -> Job<'m> {
    let job = project(machine, registry, true);
    let config = format!("{}[build]\nbuild-dir = '{build_dir}'\n", registry.config());
    job.file(".cargo/config.toml", &config);
    job
}

#[test]
fn a_build_directory_that_only_a_step_knows_is_reported() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    let known = job.read(".cargo/config.toml").unwrap();
    let (_, post) = run(&job, &[], |_| {
        let unknown = format!("{known}[build]\nbuild-dir = '../unknown'\n");
        job.file(".cargo/config.toml", &unknown);
        cargo(&machine, &job.workspace, &["build", "--locked"]);
        job.file(".cargo/config.toml", &known);
    });
    if !job.locate("../unknown").exists() {
        return skip("cargo 1.91", "cargo builds in another directory");
    }
    post.logs("::warning title=local-cache::target: cargo has built nothing in ")
        .logs("or CARGO_BUILD_BUILD_DIR before this step");
}

#[test]
fn the_next_job_compiles_nothing_and_a_change_is_compiled() {
    for place in PLACES {
        let machine = Machine::new();
        let registry = Registry::with(&["1.0.0"]);
        let job = project_with(&machine, &registry, place);
        run(&job, &[("reuse", "move")], |_| {
            cargo(&machine, &job.workspace, &["build", "--locked"]);
            if job.locate("target/debug/.fingerprint").exists()
                || job.locate("target/debug/build").exists()
            {
                skip("cargo 1.91", "cargo puts intermediate artifacts elsewhere");
            }
        });
        for ready in [true, false] {
            clear_machine(&machine);
            if !ready {
                fs::remove_dir_all(machine.store().join("local-cache-v1/ready")).unwrap();
            }
            let job = project_with(&machine, &registry, place);
            let (main, post) = run(&job, &[("reuse", "move")], |_| {
                let built = cargo(
                    &machine,
                    &job.workspace,
                    &["build", "--locked", "--offline", "-v"],
                );
                assert_eq!(built.matches("Fresh ").count(), 3, "{place}: {built}");
            });
            assert_eq!(
                hits(&main),
                ["true", "true", "true", "true"],
                "{place}: {}",
                main.log
            );
            post.logs("✅ registry: unchanged");
        }
        let job = project_with(&machine, &registry, place);
        let text = job.read("src/main.rs").unwrap().replace("{} {}", "{}+{}");
        job.file("src/main.rs", &text);
        run(&job, &[], |_| {
            let built = cargo(
                &machine,
                &job.workspace,
                &["build", "--locked", "--offline", "-v"],
            );
            assert_eq!(built.matches("Fresh ").count(), 2, "{place}: {built}");
            let printed = cargo(
                &machine,
                &job.workspace,
                &["run", "--locked", "--offline", "-q"],
            );
            assert!(printed.contains("1.0.0+git"), "{place}: {printed}");
        });
    }
}
