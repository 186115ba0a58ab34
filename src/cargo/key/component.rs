//! The parts of a key, and the digest over them.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// Where a part of a key came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentOrigin {
    /// A file or directory.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// An input of the action.
    Input(&'static str),
    /// The machine that this runs on.
    Machine,
    /// It was looked for and is not there.
    NotFound,
}

/// Which piece of a key's text a part is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySection {
    /// It stands in the key as it is, and in the digest that follows.
    Words,
    /// The digest of what artifacts can't be shared across.
    Environment,
    /// The digest of what cargo sorts out by itself.
    Contents,
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyComponent {
    /// What it is: `toolchain`, `RUSTFLAGS`, `Cargo.lock`.
    pub name: String,
    /// What counts: the value itself, or the SHA-256 of what matters of a file. Free of paths.
    pub value: String,
    /// Where it came from. Does not count.
    pub origin: ComponentOrigin,
    /// More for people. Does not count.
    pub note: Option<String>,
    /// Where it is in the key.
    pub piece: KeySection,
}

/// The value of a part that was looked for and is not there.
pub(crate) const NOT_FOUND: &str = "not found";

impl KeyComponent {
    pub(crate) fn new(
        name: &str,
        value: impl Into<String>,
        origin: ComponentOrigin,
        piece: KeySection,
    ) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            origin,
            note: None,
            piece,
        }
    }

    pub(crate) fn not_found(name: &str, piece: KeySection) -> Self {
        Self::new(name, NOT_FOUND, ComponentOrigin::NotFound, piece)
    }

    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// A number of things, for people.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Named in every digest, so that a change of the rules makes new keys instead of wrong hits.
const RULES: &str = "local-cache cargo keys 1";

/// 16 hexadecimal digits over the names and values of some parts, in whatever order they are, each
/// counted once.
pub(crate) fn digest<'p>(parts: impl IntoIterator<Item = &'p KeyComponent>) -> String {
    digest_of(
        parts
            .into_iter()
            .map(|part| [part.name.as_str(), part.value.as_str()]),
    )
}

/// The same over names and values by themselves.
pub(crate) fn digest_of<'p>(fields: impl IntoIterator<Item = [&'p str; 2]>) -> String {
    let mut fields: Vec<[&str; 2]> = fields.into_iter().collect();
    fields.sort_unstable();
    fields.dedup();
    let mut hasher = Sha256::new();
    hasher.update(RULES);
    for text in fields.as_flattened() {
        // The length first, so that no two lists of texts are the same bytes.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hex(&hasher.finalize()[..8])
}

/// The SHA-256 of a text, 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, value: &str) -> KeyComponent {
        KeyComponent::new(name, value, ComponentOrigin::Machine, KeySection::Words)
    }

    #[test]
    fn neither_order_nor_repetition_nor_origin_counts() {
        let (a, b) = (part("a", "1"), part("b", "2"));
        let elsewhere = KeyComponent {
            origin: ComponentOrigin::File("/x".into()),
            ..a.clone()
        }
        .note("more");
        assert_eq!(digest([&a, &b]), digest([&b, &elsewhere, &a]));
    }

    #[test]
    fn names_and_values_do_not_run_into_each_other() {
        let digests = [
            digest([&part("ab", "c")]),
            digest([&part("a", "bc")]),
            digest([&part("a", ""), &part("bc", "")]),
            digest([]),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert_eq!(one.len(), 16);
            assert!(!digests[at + 1..].contains(one), "{digests:?}");
        }
    }
}
