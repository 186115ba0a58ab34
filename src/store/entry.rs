//! Entries: what was saved, under which key, for whom.
//!
//! An entry is a small JSON file. It names its manifest by digest, the manifest names all contents
//! by digest, and the entry's own checksum covers the rest of it, so that no change to any file of
//! the store goes unnoticed.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;

/// What kind of things an entry holds; kinds are kept apart and counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheKind {
    /// Paths that somebody listed.
    Path,
    /// Cargo's registry.
    Registry,
    /// Cargo's git checkouts.
    Git,
    /// A target directory.
    Target,
}

impl CacheKind {
    /// All of them.
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

/// What entries must have in common for one to stand in for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryGroup {
    /// Who shares them, such as a repository; empty on the command line.
    pub scope: String,
    /// The git ref they belong to, where branches are kept apart; else empty.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Their kind.
    pub kind: CacheKind,
    /// The normalised paths, in the order in which they were listed.
    pub paths: Vec<String>,
}

impl EntryGroup {
    /// Names the group: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        let mut hasher = Sha256::new();
        let kind = self.kind.to_string();
        for part in [&self.scope, &self.git_ref, &kind]
            .into_iter()
            .chain(&self.paths)
        {
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hex(&hasher.finalize()[..8])
    }

    /// Names the group's entry of a key.
    pub fn entry_id(&self, key: &str) -> EntryId {
        EntryId(format!("{}-{}", self.id(), hex(&Sha256::digest(key)[..16])))
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Names an entry: its group's name, a dash, and 32 hexadecimal digits for its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntryId(String);

impl EntryId {
    /// The id in a file name, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (group, key) = text.split_once('-')?;
        let is_hex = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        (group.len() == 16 && key.len() == 32 && is_hex(group) && is_hex(key))
            .then(|| Self(text.to_owned()))
    }

    /// The name of the entry's group.
    pub fn group(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(group, _)| group)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the format.
    pub format: u32,
    /// What it may stand in for.
    #[serde(flatten)]
    pub group: EntryGroup,
    /// The key it was saved under, any text.
    pub key: String,
    /// When it was saved.
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
    /// Its list of files.
    pub manifest: Digest,
    /// How many files and symlinks it has.
    pub files: u64,
    /// How many directories it has.
    pub directories: u64,
    /// Bytes in its files.
    pub bytes: u64,
    /// Bytes that saving it added to the store.
    pub added_bytes: u64,
    /// The record of the sources that it was built from, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    entry: Entry,
    checksum: Digest,
}

impl Entry {
    /// Names the entry.
    pub fn id(&self) -> EntryId {
        self.group.entry_id(&self.key)
    }

    /// The bytes of the entry's file.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let sealed = Sealed {
            entry: self.clone(),
            checksum: self.checksum()?,
        };
        let mut bytes =
            serde_json::to_vec_pretty(&sealed).map_err(|error| cannot_encode(&error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads an entry named `id` from the bytes of the file `path`.
    pub fn decode(bytes: &[u8], id: &EntryId, path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let unreadable =
            |error: serde_json::Error| Error::damaged(path, format!("it can't be read ({error})"));
        let Versioned { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > super::layout::VERSION && !Self::is_older_than_it_says(bytes) {
            let supported = super::layout::VERSION;
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found: format,
                supported,
            });
        }
        let Sealed { entry, checksum } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if entry.checksum()? != checksum {
            return Err(Error::damaged(path, "its checksum is wrong"));
        }
        if entry.id() != *id {
            return Err(Error::damaged(
                path,
                "it is not the entry that its name says",
            ));
        }
        Ok(entry)
    }

    /// Whether the checksum is right for a version that is understood, so that it is the version
    /// that was altered.
    fn is_older_than_it_says(bytes: &[u8]) -> bool {
        let Ok(Sealed {
            mut entry,
            checksum,
        }) = serde_json::from_slice::<Sealed>(bytes)
        else {
            return false;
        };
        (1..=super::layout::VERSION).any(|version| {
            entry.format = version;
            entry.checksum().is_ok_and(|right| right == checksum)
        })
    }

    fn checksum(&self) -> Result<Digest> {
        serde_json::to_vec(self)
            .map(|bytes| Digest::of(&bytes))
            .map_err(|error| cannot_encode(&error))
    }
}

/// Times as people read them: `2026-11-23T01:44:12.000000005Z`.
mod rfc3339 {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::fs::Timestamp;

    pub(super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_nanos((*time).into()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Timestamp::from)
            .map_err(D::Error::custom)
    }
}

fn cannot_encode(error: &serde_json::Error) -> Error {
    Error::defect(format!("the entry can't be encoded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            format: 1,
            group: EntryGroup {
                scope: "acme/repo".into(),
                git_ref: "refs/heads/main".into(),
                kind: CacheKind::Path,
                paths: vec!["target".into(), "~/.cargo/registry".into()],
            },
            key: "linux-/../\n🦀".into(),
            created: Timestamp {
                seconds: 1_700_000_000,
                nanoseconds: 5,
            },
            manifest: Digest::of(b"manifest"),
            files: 3,
            directories: 2,
            bytes: 100,
            added_bytes: 50,
            sources: Some(Digest::of(b"record")),
        }
    }

    #[test]
    fn an_entry_without_a_record_has_the_bytes_that_it_had_before_there_were_records() {
        let entry = Entry {
            sources: None,
            ..entry()
        };
        let bytes = entry.encode().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("sources"));
        assert_eq!(
            Entry::decode(&bytes, &entry.id(), Path::new("/e")).unwrap(),
            entry
        );
    }

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        let entry = entry();
        let bytes = entry.encode().unwrap();
        assert_eq!(
            Entry::decode(&bytes, &entry.id(), Path::new("/e")).unwrap(),
            entry
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let entry = entry();
        let bytes = entry.encode().unwrap();
        let read = |bytes: &[u8]| Entry::decode(bytes, &entry.id(), Path::new("/e"));
        for at in 0..bytes.len() - 1 {
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // A blank between fields is the only thing that may change without changing the entry.
            assert!(
                read(&changed).is_err() || bytes[at].is_ascii_whitespace(),
                "changed at {at}"
            );
        }
    }

    #[test]
    fn groups_differ_by_each_of_their_parts() {
        let group = entry().group;
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
