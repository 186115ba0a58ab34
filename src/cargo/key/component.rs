//! The components of a key, and the digest over them.

use sha2::{Digest as _, Sha256};

use crate::cargo::origin::ComponentOrigin;
use crate::digest::hex;

/// The section of a key that a component is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySection {
    /// Readable text in the key. The digest that follows covers it too.
    Readable,
    /// The digest of everything that artifacts must not be shared across.
    Environment,
    /// The digest of everything that cargo itself checks.
    Contents,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyComponent {
    /// For example `toolchain`, `RUSTFLAGS`, `Cargo.lock`.
    pub name: String,
    /// The value itself, or the SHA-256 of the relevant contents of a file. It has no paths.
    pub value: String,
    /// Shown in the log; not part of the digest.
    pub origin: ComponentOrigin,
    /// Shown in the log; not part of the digest.
    pub note: Option<String>,
    pub section: KeySection,
}

/// The value of a component that is not present.
pub(crate) const NOT_FOUND: &str = "not found";

impl KeyComponent {
    pub(crate) fn new(
        name: &str,
        value: impl Into<String>,
        origin: ComponentOrigin,
        section: KeySection,
    ) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            origin,
            note: None,
            section,
        }
    }

    pub(crate) fn not_found(name: &str, section: KeySection) -> Self {
        Self::new(name, NOT_FOUND, ComponentOrigin::NotFound, section)
    }

    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

pub(crate) fn count_of(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// Part of every digest. If these rules change, another value here prevents wrong hits.
const RULES: &str = "local-cache cargo keys 1";

/// 16 hexadecimal digits over the names and values of components. Order and repetition do not
/// matter.
pub(crate) fn digest<'p>(components: impl IntoIterator<Item = &'p KeyComponent>) -> String {
    digest_of(
        components
            .into_iter()
            .map(|component| [component.name.as_str(), component.value.as_str()]),
    )
}

/// Like [`digest`], for pairs of names and values.
pub(crate) fn digest_of<'p>(fields: impl IntoIterator<Item = [&'p str; 2]>) -> String {
    let mut fields: Vec<[&str; 2]> = fields.into_iter().collect();
    fields.sort_unstable();
    fields.dedup();
    let mut hasher = Sha256::new();
    hasher.update(RULES);
    for text in fields.as_flattened() {
        // The length keeps different lists from giving the same bytes.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hex(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str, value: &str) -> KeyComponent {
        KeyComponent::new(name, value, ComponentOrigin::Machine, KeySection::Readable)
    }

    #[test]
    fn neither_order_nor_repetition_nor_origin_counts() {
        let (a, b) = (component("a", "1"), component("b", "2"));
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
            digest([&component("ab", "c")]),
            digest([&component("a", "bc")]),
            digest([&component("a", ""), &component("bc", "")]),
            digest([]),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert_eq!(one.len(), 16);
            assert!(!digests[at + 1..].contains(one), "{digests:?}");
        }
    }
}
