//! Names of entries and of groups of entries.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// What an entry holds. Entries of different kinds never stand in for each other, and retention
/// counts them separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheKind {
    /// Paths that the user listed.
    Path,
    Registry,
    Git,
    Target,
}

impl CacheKind {
    pub const ALL: [Self; 4] = [Self::Path, Self::Registry, Self::Git, Self::Target];
}

impl fmt::Display for CacheKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "path",
            Self::Registry => "registry",
            Self::Git => "git",
            Self::Target => "target",
        })
    }
}

/// What entries must have in common for one to be restored in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryGroup {
    /// Who shares them, such as `owner/name` of a repository; empty on the command line.
    pub scope: String,
    /// The full git ref, if each branch has its own entries; else empty.
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub kind: CacheKind,
    /// The normalized paths, in the order of the list.
    pub paths: Vec<String>,
}

impl EntryGroup {
    /// 16 hexadecimal digits of the SHA-256 of all fields.
    pub fn id(&self) -> String {
        let mut hasher = Sha256::new();
        let kind = self.kind.to_string();
        for part in [&self.scope, &self.git_ref, &kind]
            .into_iter()
            .chain(&self.paths)
        {
            // The length makes ("a", "bc") and ("ab", "c") different.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hex(&hasher.finalize()[..8])
    }

    /// The id of the entry with this key.
    pub fn entry_id(&self, key: &str) -> EntryId {
        EntryId(format!("{}-{}", self.id(), hex(&Sha256::digest(key)[..16])))
    }
}

/// The id of an entry: that of its group, a dash, and 32 hexadecimal digits of its key's SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntryId(String);

impl EntryId {
    pub fn parse(text: &str) -> Option<Self> {
        let (group, key) = text.split_once('-')?;
        let is_hex = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        (group.len() == 16 && key.len() == 32 && is_hex(group) && is_hex(key))
            .then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the entry's group.
    pub fn group(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(group, _)| group)
    }

    /// The digits of the entry's key. Entries of several groups with the same key have the same.
    pub(crate) fn key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, key)| key)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_id_depends_on_each_field() {
        let group = EntryGroup {
            scope: "acme/repo".into(),
            git_ref: "refs/heads/main".into(),
            kind: CacheKind::Path,
            paths: vec!["target".into(), "~/.cargo/registry".into()],
        };
        let others = [
            EntryGroup {
                scope: "acme/other".into(),
                ..group.clone()
            },
            EntryGroup {
                git_ref: String::new(),
                ..group.clone()
            },
            EntryGroup {
                kind: CacheKind::Target,
                ..group.clone()
            },
            EntryGroup {
                paths: vec!["~/.cargo/registry".into(), "target".into()],
                ..group.clone()
            },
            EntryGroup {
                paths: vec!["target~/.cargo/registry".into()],
                ..group.clone()
            },
        ];
        for other in others {
            assert_ne!(other.id(), group.id());
        }
    }
}
