//! README.md agrees with the code.

use super::generated::{Document, root};

#[test]
fn every_file_it_links_to_exists() {
    let text = Document::read("README.md").text;
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
    let text = Document::read("README.md").text;
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

#[test]
fn it_fits_a_few_screens() {
    let lines = Document::read("README.md").text.lines().count();
    assert!(lines <= 130, "{lines} lines");
}
