//! What the HTML page and its charts share.

use std::fmt::Write as _;

/// An entry of the store in the tables of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryRow {
    pub repository: String,
    pub branch: String,
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    pub key: String,
    /// Size on disk; its share of files that several entries need.
    pub bytes: u64,
    /// How long ago it was used, as text.
    pub last_used: String,
}

/// The name to show; entries of the command line have no scope.
pub(crate) fn name_of(repository: &str) -> &str {
    if repository.is_empty() {
        "(no repository)"
    } else {
        repository
    }
}

/// Escapes text for HTML, also for attributes. Makes invisible characters and those that change the
/// writing direction visible.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                safe.extend(character.escape_unicode());
            }
            _ if character.is_control() => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// The attributes of the header of a column.
pub(super) const TEXT: &str = "";
pub(super) const NUMBER: &str = " class=\"number\"";

/// A table with the given column headers; `rows` is HTML.
pub(super) fn table(columns: &[(&str, &str)], rows: &str) -> String {
    let mut header = String::new();
    for (name, attributes) in columns {
        // Writing to a string does not fail.
        let _ = write!(header, "<th{attributes}>{name}</th>");
    }
    format!(
        "<div class=\"scroll\"><table><thead><tr>{header}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
    )
}
