//! Steps written for actions/cache, run through the phases of the program as the runner runs them.
//!
//! README.md beside this file says which point of the list of public steps is covered by which
//! test.

mod act;
mod disk;
mod exclusions;
mod isolation;
mod keys;
mod links;
mod matching;
mod outputs;
mod paths;
mod saving;
mod steps;
mod steps_paths;
mod validation;

use std::path::Path;

/// The names in backquotes that look like tests or modules of them.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '*'))
    })
}

#[test]
fn the_table_of_points_names_tests_that_exist() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let table = std::fs::read_to_string(here.join("compat/README.md")).unwrap();
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.split('|').nth(3));
    let mut checked = 0;
    for name in rows.flat_map(named) {
        // The longest path that names a file is the module; the rest is a test in it.
        let parts: Vec<&str> = name.split("::").collect();
        let (source, test) = (1..=parts.len())
            .rev()
            .flat_map(|count| ["compat/", ""].map(|below| (below, count)))
            .find_map(|(below, count)| {
                let path = here.join(format!("{below}{}.rs", parts[..count].join("/")));
                let source = std::fs::read_to_string(path).ok()?;
                Some((source, parts[count..].join("::")))
            })
            .unwrap_or_default();
        let found = test
            .split("*::")
            .flat_map(|part| part.split('*'))
            .all(|part| source.contains(part));
        assert!(found && !source.is_empty(), "{name} is not there");
        checked += 1;
    }
    assert!(checked > 50, "only {checked} names were found");
}
