//! Every field that a command prints with `--json` is in docs/administration.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::generated::Document;
use crate::support::{RunResult, Sandbox, trees};

/// The fields of a document that docs/administration.md lists in a row.
fn documented(command: &str) -> BTreeSet<String> {
    let text = Document::read("docs/administration.md").text;
    let start = format!("| `{command}` | ");
    let row = text
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap();
    let names = row.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// The names of all fields in a document and in those below it. What a remote did and what came
/// closest to a key are documented where they first appear.
fn nested_fields(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                if !["remote", "near-miss"].contains(&name.as_str()) {
                    nested_fields(value, names);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| nested_fields(item, names)),
        _ => {}
    }
}

/// Demands that the rows of these commands name all fields of a document of the first one.
#[track_caller]
pub(crate) fn assert_documented(commands: &[&str], value: &Value) {
    let mut names = BTreeSet::new();
    nested_fields(value, &mut names);
    let documented: BTreeSet<String> = commands.iter().flat_map(|it| documented(it)).collect();
    let missing: Vec<_> = names.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "{}: {missing:?} in {value:#}",
        commands[0]
    );
}

#[test]
fn every_field_of_the_json_output_is_documented() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let check = |command: &str, value: &Value| {
        let documented = documented(command);
        for field in fields(value) {
            assert!(
                documented.contains(&field),
                "{command}: {field} is not documented"
            );
        }
    };
    let json = |arguments: &[&str]| {
        let arguments = [arguments, &["--json"]].concat();
        RunResult::of(&mut sandbox.command(&job, &arguments))
            .succeeded()
            .json()
    };
    check("save", &json(&["save", "--key", "k", "tree"]));
    check("save", &json(&["save", "--key", "k", "tree"]));
    let listed = json(&["list"]);
    check("list", &listed[0]);
    let shown = json(&["show", "k"]);
    let own: Vec<String> = fields(&shown)
        .into_iter()
        .filter(|it| it != "tree")
        .collect();
    assert!(
        own.iter().all(|it| documented("list").contains(it)),
        "{own:?}"
    );
    check("restore", &json(&["restore", "--key", "k", "tree"]));
    check("restore", &json(&["restore", "--key", "z", "tree"]));
    check(
        "restore",
        &json(&["restore", "--entry", "k", "--to", "look"]),
    );
    let pruned = json(&["prune", "--dry-run"]);
    check("prune", &pruned);
    check("prune", &pruned["decisions"][0]);
    check("rm", &json(&["rm", "k"]));
}

/// A project whose target directory looks like one of cargo.
fn project(directory: &Path) {
    for (name, text) in [
        (
            "Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"1.0.0\"\n",
        ),
        (
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n",
        ),
        ("src/lib.rs", ""),
        ("target/.rustc_info.json", "{}"),
        ("target/debug/.cargo-lock", ""),
    ] {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn every_field_of_the_other_commands_is_documented() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    project(&job);
    let json = |arguments: &[&str]| {
        let arguments = [arguments, &["--json"]].concat();
        RunResult::of(&mut sandbox.command(&job, &arguments)).json()
    };
    assert_documented(&["key"], &json(&["key"]));
    let saved = json(&["cargo", "save"]);
    assert_eq!(saved["caches"].as_array().unwrap().len(), 3, "{saved:#}");
    assert_documented(
        &["cargo save", "save", "cargo restore", "cargo why"],
        &saved,
    );
    fs::remove_dir_all(job.join("target")).unwrap();
    let restore = ["cargo restore", "restore", "cargo why"];
    assert_documented(&restore, &json(&["cargo", "restore"]));
    assert_documented(&restore, &json(&["cargo", "restore", "--job", "other"]));
    let why = json(&["cargo", "why"]);
    assert_eq!(why["targets"].as_array().unwrap().len(), 1, "{why:#}");
    assert_documented(&["cargo why"], &why);
    let manifests = sandbox.cache().join("local-cache-v1/manifests");
    for manifest in fs::read_dir(manifests).unwrap() {
        fs::write(manifest.unwrap().path(), "").unwrap();
    }
    let verified = json(&["verify"]);
    assert_ne!(
        verified["damaged"].as_array().unwrap().len(),
        0,
        "{verified:#}"
    );
    assert_documented(&["verify"], &verified);
    let empty = Sandbox::new();
    let nothing = RunResult::of(&mut empty.command(&job, &["verify", "--json"]));
    assert_documented(&["verify"], &nothing.json());
    assert_documented(&["doctor"], &json(&["doctor"]));
    assert_documented(&["report"], &json(&["report", "--html", "page.html"]));
    assert_documented(&["man --dir"], &json(&["man", "--dir", "man"]));
    assert_documented(&["hash-files"], &json(&["hash-files", "src/**"]));
    assert!(json(&["paths", "src/**"])[0].is_string());
    let copied = sandbox.cache().join("acme/app/deadbeef/cargo-registry");
    trees::small(&copied, 1);
    assert_documented(&["import"], &json(&["import", "--dry-run"]));
}

#[cfg(feature = "remote")]
#[test]
fn every_field_of_the_commands_of_the_remote_is_documented() {
    use crate::support::memory_s3::{Faults, MemoryS3};

    let (server, machine, other) = (
        MemoryS3::start(Faults::default()),
        Sandbox::new(),
        Sandbox::new(),
    );
    let job = machine.job("job");
    trees::small(&job.join("tree"), 1);
    let json = |machine: &Sandbox, arguments: &[&str]| {
        let arguments = [arguments, &["--json"]].concat();
        server.run(machine, &job, &arguments).succeeded().json()
    };
    machine.save(&job, "k").succeeded();
    for _ in 0..2 {
        assert_documented(&["remote push"], &json(&machine, &["remote", "push"]));
    }
    assert_documented(&["remote status"], &json(&machine, &["remote", "status"]));
    assert_documented(&["remote pull"], &json(&other, &["remote", "pull", "k"]));
    assert_documented(&["remote verify"], &json(&machine, &["remote", "verify"]));
    assert_documented(&["remote gc"], &json(&machine, &["remote", "gc"]));
    let remote = server.remote("");
    let save = ["save", "--remote", &remote, "--key", "other", "tree"];
    assert_documented(&["save"], &json(&machine, &save));
}
