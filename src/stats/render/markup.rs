//! Pieces that the page and its charts share.

/// An entry of the store, and the room that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryRow {
    /// Whose it is: the entry's scope.
    pub repository: String,
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// Bytes that it takes; of what several entries share, its part.
    pub bytes: u64,
    /// How long ago it was used, in words.
    pub last_used: String,
}

/// Entries of the command line have no scope.
pub(crate) fn name_of(repository: &str) -> &str {
    if repository.is_empty() {
        "(no repository)"
    } else {
        repository
    }
}

/// Text in HTML, in an attribute too; what turns the direction of writing, or is not seen, becomes
/// visible.
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
