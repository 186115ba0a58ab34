//! The three action.yml files against the table of inputs and outputs.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::path::Path;

use local_cache::action::ActionKind;
use local_cache::action::inputs::{INPUTS, OUTPUTS};
use yaml_serde::{Mapping, Value};

const FILES: &[(ActionKind, &str)] = &[
    (ActionKind::Cache, "action.yml"),
    (ActionKind::Restore, "restore/action.yml"),
    (ActionKind::Save, "save/action.yml"),
];

/// The inputs of actions/cache, its sub-actions, and rust-cache: a step that sets one must cause no
/// "Unexpected input(s)" warning.
const UPSTREAM: &[(ActionKind, &[&str])] = &[
    (
        ActionKind::Cache,
        &[
            "path",
            "key",
            "restore-keys",
            "upload-chunk-size",
            "enableCrossOsArchive",
            "fail-on-cache-miss",
            "lookup-only",
            "save-always",
            "prefix-key",
            "shared-key",
            "add-job-id-key",
            "add-rust-environment-hash-key",
            "env-vars",
            "workspaces",
            "cache-directories",
            "cache-targets",
            "cache-on-failure",
            "cache-all-crates",
            "cache-workspace-crates",
            "save-if",
            "cache-provider",
            "cache-bin",
            "cmd-format",
        ],
    ),
    (
        ActionKind::Restore,
        &[
            "path",
            "key",
            "restore-keys",
            "enableCrossOsArchive",
            "fail-on-cache-miss",
            "lookup-only",
        ],
    ),
    (
        ActionKind::Save,
        &["path", "key", "upload-chunk-size", "enableCrossOsArchive"],
    ),
];

fn action_file(path: &str) -> Mapping {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    yaml_serde::from_str(&text).unwrap()
}

/// The mapping's entries as (name, its text or the empty string).
fn texts<'m>(mapping: &'m Mapping, names: &[&str]) -> Vec<&'m str> {
    for name in mapping.keys() {
        assert!(
            names.contains(&name.as_str().unwrap()),
            "unknown key {name:?} in {mapping:?}"
        );
    }
    names
        .iter()
        .map(|name| {
            mapping
                .get(*name)
                .map_or("", |value| value.as_str().unwrap())
        })
        .collect()
}

#[test]
fn inputs_of_each_action_file_are_those_of_the_table_in_its_order() {
    for (kind, path) in FILES {
        let action = action_file(path);
        let mut found = Vec::new();
        for (name, input) in action["inputs"].as_mapping().unwrap() {
            let mut input = input.as_mapping().unwrap().clone();
            let required = input
                .remove("required")
                .is_some_and(|value| value == Value::Bool(true));
            let [description, default] = texts(&input, &["description", "default"])[..] else {
                panic!()
            };
            found.push((
                name.as_str().unwrap().to_owned(),
                description.to_owned(),
                default.to_owned(),
                required,
            ));
        }
        let expected: Vec<_> = INPUTS
            .iter()
            .filter(|input| input.offered_by.contains(kind))
            .map(|input| {
                let required = input.required_by.contains(kind);
                (
                    input.name.to_owned(),
                    input.description.to_owned(),
                    input.default.to_owned(),
                    required,
                )
            })
            .collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn outputs_of_each_action_file_are_those_of_the_table_in_its_order() {
    for (kind, path) in FILES {
        let action = action_file(path);
        let found: Vec<_> = action["outputs"]
            .as_mapping()
            .unwrap()
            .iter()
            .map(|(name, output)| {
                let description = texts(output.as_mapping().unwrap(), &["description"])[0];
                (name.as_str().unwrap().to_owned(), description.to_owned())
            })
            .collect();
        let expected: Vec<_> = OUTPUTS
            .iter()
            .filter(|output| output.offered_by.contains(kind))
            .map(|output| (output.name.to_owned(), output.description.to_owned()))
            .collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn every_action_runs_the_same_image_and_says_which_action_it_is() {
    for (kind, path) in FILES {
        let action = action_file(path);
        let runs = action["runs"].as_mapping().unwrap();
        let dockerfile = Path::new(path).with_file_name(runs["image"].as_str().unwrap());
        let expected = if *kind == ActionKind::Cache {
            "Dockerfile".into()
        } else {
            format!("{}/../Dockerfile", kind.name())
        };
        assert_eq!(dockerfile, Path::new(&expected), "{path}");
        assert_eq!(runs["using"], "docker", "{path}");
        assert_eq!(runs["entrypoint"], "/main", "{path}");
        let arguments: Vec<_> = runs["args"]
            .as_sequence()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        assert_eq!(ActionKind::from_args(&arguments), Ok(*kind), "{path}");
        assert_eq!(
            arguments.len(),
            1,
            "{path}: with no arguments a step's own would be passed"
        );
    }
}

#[test]
fn only_the_action_itself_has_a_pre_and_a_post_phase() {
    for (kind, path) in FILES {
        let action = action_file(path);
        let runs = action["runs"].as_mapping().unwrap();
        let phase = |name: &str| runs.get(name).and_then(Value::as_str);
        let expected = match kind {
            ActionKind::Cache => [Some("/pre"), Some("/post"), Some("always()")],
            ActionKind::Restore | ActionKind::Save => [None, None, None],
        };
        assert_eq!(
            [
                phase("pre-entrypoint"),
                phase("post-entrypoint"),
                phase("post-if")
            ],
            expected,
            "{path}"
        );
    }
}

#[test]
fn each_action_file_has_the_fields_of_the_marketplace_and_no_unknown_ones() {
    for (_, path) in FILES {
        let action = action_file(path);
        let names: Vec<_> = action.keys().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "name",
                "description",
                "author",
                "branding",
                "inputs",
                "outputs",
                "runs"
            ],
            "{path}"
        );
        for name in ["name", "description", "author"] {
            assert!(!action[name].as_str().unwrap().is_empty(), "{path}: {name}");
        }
        let branding = texts(action["branding"].as_mapping().unwrap(), &["icon", "color"]);
        assert!(branding.iter().all(|value| !value.is_empty()), "{path}");
    }
}

#[test]
fn every_input_of_the_replaced_actions_is_declared() {
    for (kind, names) in UPSTREAM {
        for name in *names {
            let offered = |input: &local_cache::action::inputs::InputSpec| {
                input.name == *name && input.offered_by.contains(kind)
            };
            assert!(INPUTS.iter().any(offered), "{name} in {kind:?}");
        }
    }
}

#[test]
fn names_in_the_table_are_unique_and_descriptions_are_sentences() {
    let names: std::collections::BTreeSet<_> = INPUTS
        .iter()
        .map(|input| input.name.to_uppercase())
        .collect();
    assert_eq!(names.len(), INPUTS.len());
    let outputs: std::collections::BTreeSet<_> = OUTPUTS.iter().map(|output| output.name).collect();
    assert_eq!(outputs.len(), OUTPUTS.len());
    let descriptions = INPUTS
        .iter()
        .map(|i| i.description)
        .chain(OUTPUTS.iter().map(|o| o.description));
    for description in descriptions {
        assert!(
            description.ends_with('.') && !description.contains("  "),
            "{description:?}"
        );
    }
}
