//! Links and file names in documents lead to something that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository::{below, below_recursively, root};

fn documents() -> Vec<PathBuf> {
    [below(".", "md"), below("docs", "md"), below("bench", "md")].concat()
}

/// The targets of the links of a document, code blocks apart.
fn links(text: &str) -> Vec<String> {
    let outside: String = text.split("```").step_by(2).collect();
    let targets = outside
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The anchors of a document's headings, as GitHub makes them: lower case, blanks as dashes, no
/// other punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside: String = text
        .split("\n```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    let headings = outside
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_of_every_document_leads_to_a_file_and_to_a_heading_that_exist() {
    let mut followed = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}", document.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(
                    there.contains(anchor),
                    "{}: {link} is none of {there:?}",
                    document.display()
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 3, "{followed}");
}

/// Names in backquotes that begin with a directory of the repository.
fn names(text: &str) -> Vec<&str> {
    let outside = text.split('`').skip(1).step_by(2);
    let places = [
        "docs/",
        "examples/",
        ".ci/",
        ".github/",
        "bench/",
        "src/",
        "tests/it/",
    ];
    outside
        .filter(|name| places.iter().any(|place| name.starts_with(place)) && !name.contains(' '))
        .collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap().replace("```", "");
        for name in names(&text) {
            assert!(
                root().join(Path::new(name)).exists(),
                "{}: {name}",
                document.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen}");
}

#[test]
fn every_test_that_the_promises_of_security_name_exists() {
    let sources = ["src", "tests"].map(|directory| below_recursively(directory, "rs"));
    let sources: String = sources
        .concat()
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_test = |name: &&str| {
        name.contains('_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let mut seen = 0;
    for name in quoted.filter(is_test) {
        let is_function = sources.contains(&format!("fn {name}("));
        // Of a table that a macro turns into tests.
        let is_row = sources.contains(&format!("    {name}: "));
        assert!(is_function || is_row, "{name}");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_migration_guide_names_every_example() {
    let text = fs::read_to_string(root().join("docs/migration.md")).unwrap();
    for example in below("examples", "yml") {
        let name = example.file_name().unwrap().to_string_lossy().into_owned();
        assert!(text.contains(&format!("../examples/{name}")), "{name}");
    }
}
