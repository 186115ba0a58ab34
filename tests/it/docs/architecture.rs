//! docs/architecture.md describes the rooms of the code.

use super::generated::Document;

/// The names in backquotes that follow a prefix at the start of a line.
fn names(text: &str, prefix: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(prefix)?.split_once('`'));
    lines.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn its_map_has_the_rooms_of_lib_in_the_same_order() {
    let document = Document::read("docs/architecture.md");
    let library = Document::read("src/lib.rs");
    let rooms = names(&library.text, "//! - `");
    assert!(rooms.len() > 10, "{rooms:?}");
    assert_eq!(names(&document.text, "| `"), rooms);
}
