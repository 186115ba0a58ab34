//! README.md says what the code says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use local_cache::action::inputs::{INPUTS, OUTPUTS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// What stands between the two marks of a name.
fn section<'t>(text: &'t str, name: &str) -> &'t str {
    let after = text.split_once(&format!("<!-- {name} -->")).unwrap().1;
    after
        .split_once(&format!("<!-- /{name} -->"))
        .unwrap()
        .0
        .trim()
}

/// Compares a section with what it should be; `LOCAL_CACHE_TESTS_UPDATE=1` writes it.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn check(name: &str, wanted: &str) {
    let text = readme();
    let found = section(&text, name);
    if found == wanted.trim() {
        return;
    }
    if std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok() {
        let (before, rest) = text.split_once(&format!("<!-- {name} -->")).unwrap();
        let after = rest.split_once(&format!("<!-- /{name} -->")).unwrap().1;
        let new = format!(
            "{before}<!-- {name} -->\n{}\n<!-- /{name} -->{after}",
            wanted.trim()
        );
        fs::write(root().join("README.md"), new).unwrap();
    } else {
        panic!(
            "README.md, section {name}: run the tests with LOCAL_CACHE_TESTS_UPDATE=1 to write\n{wanted}"
        );
    }
}

fn sections() -> [(&'static str, String); 2] {
    let mut inputs = String::from("| input | default | meaning |\n| --- | --- | --- |\n");
    for input in INPUTS {
        let default = if input.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", input.default)
        };
        writeln!(
            inputs,
            "| `{}` | {default} | {} |",
            input.name,
            input.description.replace('|', "\\|")
        )
        .unwrap();
    }
    let mut outputs = String::from("| output | value |\n| --- | --- |\n");
    for output in OUTPUTS {
        writeln!(outputs, "| `{}` | {} |", output.name, output.description).unwrap();
    }
    [("inputs", inputs), ("outputs", outputs)]
}

#[test]
fn its_tables_are_those_of_the_code() {
    for (name, wanted) in sections() {
        check(name, &wanted);
    }
}

#[test]
fn every_file_it_links_to_exists() {
    let text = readme();
    for link in text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if !link.starts_with("https://") {
            assert!(root().join(link).exists(), "{link}");
        }
    }
}

#[test]
fn its_first_commands_are_the_demo_and_the_tests() {
    let text = readme();
    let block = text
        .split("```sh\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let commands: Vec<&str> = block
        .lines()
        .map(|line| line.split('#').next().unwrap().trim())
        .collect();
    assert_eq!(commands, ["cargo run --release -- demo", "cargo test"]);
}
