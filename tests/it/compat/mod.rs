//! Steps written for actions/cache, run through the phases of the program as the runner runs them.
//!
//! README.md beside this file says which point of the list of public steps is covered by which
//! test.

mod act;
mod disk;
mod exclusions;
mod isolation;
mod keys;
mod matching;
mod outputs;
mod paths;
mod saving;
pub(crate) mod step;
mod steps;
mod steps_paths;
pub(crate) mod support;
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
        let (module, test) = name.split_once("::").unwrap_or((name, ""));
        let read = |file: String| std::fs::read_to_string(here.join(file)).ok();
        let source = read(format!("compat/{module}.rs"))
            .or_else(|| read(format!("{module}.rs")))
            .or_else(|| read(format!("{module}/{test}.rs")).map(|source| format!("{source}{test}")))
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
