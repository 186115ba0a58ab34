//! Entries: what was saved, under which key and for which group.
//!
//! An entry is a small JSON file. It names its manifest by digest, and the manifest names all
//! contents by digest. The entry's checksum covers its other fields. So every change to a file of
//! the store is detected.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::id::{EntryGroup, EntryId};
use super::layout;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the store's format.
    pub format: u32,
    #[serde(flatten)]
    pub group: EntryGroup,
    pub key: String,
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
    pub manifest: Digest,
    /// Number of files and symlinks.
    pub files: u64,
    pub directories: u64,
    /// Total size of the files.
    pub bytes: u64,
    /// Bytes of contents that the store did not have before.
    pub added_bytes: u64,
    /// What is known of the units of a target directory.
    #[serde(default, rename = "sources", skip_serializing_if = "Option::is_none")]
    pub record: Option<Digest>,
    /// What the key was computed from: a digest for each part, by name. Empty for a key that a user
    /// wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    entry: Entry,
    checksum: Digest,
}

impl Entry {
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
            |error: serde_json::Error| Error::damaged(path, format!("it cannot be read ({error})"));
        let sealed: serde_json::Result<Sealed> = serde_json::from_slice(bytes);
        let format = if let Ok(sealed) = &sealed {
            sealed.entry.format
        } else {
            // A newer format may have other fields.
            let versioned: Versioned = serde_json::from_slice(bytes).map_err(unreadable)?;
            versioned.format
        };
        if format > layout::VERSION && !Self::has_damaged_version(bytes) {
            let supported = layout::VERSION;
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found: format,
                supported,
            });
        }
        let Sealed { entry, checksum } = sealed.map_err(unreadable)?;
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

    /// Whether the checksum is right for a version that is supported. Then the version number is
    /// damaged, and the entry is not from a newer program.
    fn has_damaged_version(bytes: &[u8]) -> bool {
        let Ok(Sealed {
            mut entry,
            checksum,
        }) = serde_json::from_slice::<Sealed>(bytes)
        else {
            return false;
        };
        (1..=layout::VERSION).any(|version| {
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

/// Times as text: `2026-11-23T01:44:12.000000005Z`.
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
    Error::defect(format!("the entry cannot be encoded: {error}"))
}

#[cfg(any(test, fuzzing))]
impl Entry {
    /// An entry without files.
    pub(crate) fn empty(group: EntryGroup, key: &str) -> Self {
        Self {
            format: 1,
            group,
            key: key.to_owned(),
            created: Timestamp::default(),
            manifest: Digest::of(b""),
            files: 0,
            directories: 0,
            bytes: 0,
            added_bytes: 0,
            record: None,
            parts: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::id::CacheKind;

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
            record: Some(Digest::of(b"record")),
            parts: BTreeMap::from([("toolchain".to_owned(), "0123".to_owned())]),
        }
    }

    #[test]
    fn an_entry_without_a_record_or_parts_has_no_fields_for_them() {
        let entry = Entry {
            record: None,
            parts: BTreeMap::new(),
            ..entry()
        };
        let bytes = entry.encode().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("sources") && !text.contains("parts"));
        assert_eq!(
            Entry::decode(&bytes, &entry.id(), Path::new("/e")).unwrap(),
            entry
        );
    }

    #[test]
    fn decoding_reverses_encoding() {
        let entry = entry();
        let bytes = entry.encode().unwrap();
        assert_eq!(
            Entry::decode(&bytes, &entry.id(), Path::new("/e")).unwrap(),
            entry
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_detected() {
        let entry = entry();
        let bytes = entry.encode().unwrap();
        let read = |bytes: &[u8]| Entry::decode(bytes, &entry.id(), Path::new("/e"));
        for at in 0..bytes.len() - 1 {
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // Only white space between fields may change without changing the entry.
            assert!(
                read(&changed).is_err() || bytes[at].is_ascii_whitespace(),
                "changed at {at}"
            );
        }
    }
}
