//! docs/inputs.md and the three action.yml files have the inputs and outputs of the code.

use std::fmt::Write as _;

use local_cache::action::ActionKind;
use local_cache::action::inputs::{INPUTS, OUTPUTS};

use super::generated::{Document, with_sections};

/// The actions that have an input or an output, as the table names them.
fn actions(offered_by: &[ActionKind]) -> &'static str {
    let has = |kind| offered_by.contains(&kind);
    match (
        has(ActionKind::Cache),
        has(ActionKind::Restore),
        has(ActionKind::Save),
    ) {
        (true, true, true) => "all",
        (true, true, false) => "main, restore",
        (true, false, true) => "main, save",
        (true, false, false) => "main",
        other => panic!("add a name for {other:?}"),
    }
}

fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|")
}

fn inputs_table(names: &[&str]) -> String {
    let mut table =
        String::from("| input | default | actions | meaning |\n| --- | --- | --- | --- |\n");
    for name in names {
        let input = INPUTS
            .iter()
            .find(|input| input.name == *name)
            .unwrap_or_else(|| panic!("no input {name}"));
        let default = if input.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", input.default)
        };
        writeln!(
            table,
            "| `{name}` | {default} | {} | {} |",
            actions(input.offered_by),
            escaped(input.description)
        )
        .unwrap();
    }
    table
}

fn outputs_table(names: &[&str]) -> String {
    let mut table = String::from("| output | actions | value |\n| --- | --- | --- |\n");
    for name in names {
        let output = OUTPUTS
            .iter()
            .find(|output| output.name == *name)
            .unwrap_or_else(|| panic!("no output {name}"));
        writeln!(
            table,
            "| `{name}` | {} | {} |",
            actions(output.offered_by),
            escaped(output.description)
        )
        .unwrap();
    }
    table
}

#[test]
fn the_document_lists_every_input_and_output_once() {
    let document = Document::read("docs/inputs.md");
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    let text = with_sections(&document.text, "inputs", |names| {
        inputs.extend(names.iter().map(|name| (*name).to_owned()));
        inputs_table(names)
    });
    let text = with_sections(&text, "outputs", |names| {
        outputs.extend(names.iter().map(|name| (*name).to_owned()));
        outputs_table(names)
    });
    document.expect(&text);

    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let declared = INPUTS.iter().map(|input| input.name.to_owned()).collect();
    assert_eq!(sorted(inputs), sorted(declared));
    let declared = OUTPUTS
        .iter()
        .map(|output| output.name.to_owned())
        .collect();
    assert_eq!(sorted(outputs), sorted(declared));
}

/// A YAML scalar in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The `inputs:` and `outputs:` of an action file.
fn interface(kind: ActionKind) -> String {
    let mut text = String::from("inputs:\n");
    for input in INPUTS.iter().filter(|i| i.offered_by.contains(&kind)) {
        writeln!(text, "  {}:", input.name).unwrap();
        writeln!(text, "    description: {}", quoted(input.description)).unwrap();
        if input.required_by.contains(&kind) {
            text.push_str("    required: true\n");
        }
        if !input.default.is_empty() {
            writeln!(text, "    default: {}", quoted(input.default)).unwrap();
        }
    }
    text.push_str("\noutputs:\n");
    for output in OUTPUTS.iter().filter(|o| o.offered_by.contains(&kind)) {
        writeln!(text, "  {}:", output.name).unwrap();
        writeln!(text, "    description: {}", quoted(output.description)).unwrap();
    }
    text
}

#[test]
fn action_files_have_the_inputs_and_outputs_of_the_table() {
    for (kind, path) in [
        (ActionKind::Cache, "action.yml"),
        (ActionKind::Restore, "restore/action.yml"),
        (ActionKind::Save, "save/action.yml"),
        (ActionKind::Cache, "native/action.yml"),
        (ActionKind::Restore, "native/restore/action.yml"),
        (ActionKind::Save, "native/save/action.yml"),
    ] {
        let file = Document::read(path);
        let (before, rest) = file.text.split_once("\ninputs:\n").unwrap();
        let (_, after) = rest.split_once("\nruns:\n").unwrap();
        file.expect(&format!("{before}\n{}\nruns:\n{after}", interface(kind)));
    }
}
