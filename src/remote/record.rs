//! Records: what a push saved, in a small JSON object. It exists only when everything it names does.
//!
//! A record is written last and never changed. Its checksum covers its other fields; it names the
//! manifest and the segments by digests. A [signature](super::signature) is next to the checksum.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::error::{RemoteError, RemoteResult};
use super::name::{PushId, key_id};
use super::signature::{RecordAuthor, RecordKeys, RecordSignature};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::store::{Entry, EntryGroup, layout};

/// The version of records, manifests and segments on the remote.
pub(crate) const VERSION: u32 = 1;
/// Larger records are damaged.
pub(crate) const LARGEST_RECORD: u64 = 4 << 20;
/// A larger manifest is damaged, packed or not. One of a million files has about 100 MB.
const LARGEST_MANIFEST: u64 = 256 << 20;
/// A larger segment is damaged: a full one, its last frame and its index are much smaller.
pub(crate) const LARGEST_SEGMENT: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteRecord {
    pub(crate) format: u32,
    pub(crate) push: PushId,
    /// The entry of the store that was pushed. Its manifest is that store's own.
    pub(crate) entry: Entry,
    pub(crate) manifest: ManifestReference,
    /// All segments that hold contents of the entry.
    pub(crate) segments: Vec<SegmentReference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestReference {
    /// The digest of the object's bytes.
    pub(crate) digest: Digest,
    /// The length of the object.
    pub(crate) bytes: u64,
    /// Its length without compression.
    pub(crate) plain_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SegmentReference {
    pub(crate) digest: Digest,
    /// The length of the object.
    pub(crate) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct SealedRecord<'r> {
    #[serde(flatten)]
    record: Cow<'r, RemoteRecord>,
    checksum: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<RecordSignature>,
}

/// A record as it was read, and who signed it.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord {
    pub(crate) record: RemoteRecord,
    pub(crate) author: RecordAuthor,
}

impl ReadRecord {
    /// Reads the record from the object `name`.
    pub(crate) fn decode(bytes: &[u8], name: &str, keys: &RecordKeys) -> RemoteResult<Self> {
        let (record, signature) = RemoteRecord::decode(bytes, name)?;
        let author = keys.author(&record.plain()?, name, signature.as_ref());
        Ok(Self { record, author })
    }

    /// The record, if the machine uses those of its author.
    pub(crate) fn accepted(self, keys: &RecordKeys, name: &str) -> RemoteResult<RemoteRecord> {
        if keys.accepts(self.author) {
            return Ok(self.record);
        }
        Err(self.refusal(name))
    }

    /// Why the record is not used.
    pub(crate) fn refusal(&self, name: &str) -> RemoteError {
        RemoteError::Refused {
            object: name.to_owned(),
            reason: match self.author {
                RecordAuthor::Unknown => "it is not signed",
                _ => "no key that is trusted here signed it",
            },
        }
    }
}

impl RemoteRecord {
    /// The bytes of the object `name`, signed if there is a key for that.
    pub(crate) fn encode(&self, name: &str, keys: &RecordKeys) -> Result<Vec<u8>> {
        let sealed = SealedRecord {
            record: Cow::Borrowed(self),
            checksum: self.checksum()?,
            signature: keys.sign(&self.plain()?, name)?,
        };
        serde_json::to_vec(&sealed).map_err(Error::defect)
    }

    /// Reads the record from the object `name`, with a signature that is not checked yet.
    pub(super) fn decode(
        bytes: &[u8],
        name: &str,
    ) -> RemoteResult<(Self, Option<RecordSignature>)> {
        #[derive(Deserialize)]
        struct RecordVersion {
            format: u32,
        }
        let damaged = |error: serde_json::Error| {
            RemoteError::damaged(name, format!("it cannot be read ({error})"))
        };
        let RecordVersion { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format > VERSION {
            return Err(RemoteError::Newer {
                object: name.to_owned(),
                found: format,
                supported: VERSION,
            });
        }
        let SealedRecord {
            record,
            checksum,
            signature,
        } = serde_json::from_slice(bytes).map_err(damaged)?;
        let record = record.into_owned();
        if record.checksum()? != checksum {
            return Err(RemoteError::damaged(name, "its checksum is wrong"));
        }
        if !record.has_possible_sizes() {
            return Err(RemoteError::damaged(name, "it claims an impossible size"));
        }
        let named = key_id(&record.entry.group, &record.entry.key);
        let expected = format!("/{named}-{}.json", record.push);
        if !name.ends_with(&expected) {
            return Err(RemoteError::damaged(
                name,
                "it is not the record that its name says",
            ));
        }
        if record.entry.format > layout::VERSION {
            return Err(RemoteError::Newer {
                object: name.to_owned(),
                found: record.entry.format,
                supported: layout::VERSION,
            });
        }
        Ok((record, signature))
    }

    /// Whether the record is of this very group. The name has only a short digest of it.
    pub(crate) fn is_of(&self, group: &EntryGroup) -> bool {
        self.entry.group == *group
    }

    /// Anyone who may write to the group chooses these numbers, and memory depends on them.
    fn has_possible_sizes(&self) -> bool {
        let manifest = self.manifest.bytes.max(self.manifest.plain_bytes);
        let mut segments = self.segments.iter();
        manifest <= LARGEST_MANIFEST && segments.all(|it| it.bytes <= LARGEST_SEGMENT)
    }

    /// The bytes of all objects that the record names.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.bytes);
        segments.fold(self.manifest.bytes, u64::saturating_add)
    }

    /// What checksum and signature cover.
    fn plain(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::defect)
    }

    fn checksum(&self) -> Result<Digest> {
        Ok(Digest::of(&self.plain()?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fs::Timestamp;
    use crate::remote::name::{GroupName, Trust};
    use crate::store::CacheKind;

    pub(in crate::remote) fn record(key: &str, created: i64, segments: &[Digest]) -> RemoteRecord {
        let group = EntryGroup {
            scope: "acme/repo".into(),
            git_ref: "refs/heads/main".into(),
            kind: CacheKind::Path,
            paths: vec!["target".into()],
        };
        RemoteRecord {
            format: VERSION,
            push: PushId::random(),
            entry: Entry {
                format: 1,
                group,
                key: key.into(),
                created: Timestamp {
                    seconds: created,
                    nanoseconds: 0,
                },
                manifest: Digest::of(b"local"),
                files: 1,
                directories: 1,
                bytes: 1,
                added_bytes: 1,
                record: None,
                parts: std::collections::BTreeMap::new(),
            },
            manifest: ManifestReference {
                digest: Digest::of(key.as_bytes()),
                bytes: 10,
                plain_bytes: 20,
            },
            segments: segments
                .iter()
                .map(|digest| SegmentReference {
                    digest: *digest,
                    bytes: 100,
                })
                .collect(),
        }
    }

    fn encode(record: &RemoteRecord) -> Vec<u8> {
        record
            .encode(&name(record), &RecordKeys::default())
            .unwrap()
    }

    fn name(record: &RemoteRecord) -> String {
        let group = &record.entry.group;
        GroupName::new(Trust::Branch, group).record(&key_id(group, &record.entry.key), &record.push)
    }

    #[test]
    fn decoding_reverses_encoding_and_detects_every_change() {
        let record = record("linux-1", 5, &[Digest::of(b"a"), Digest::of(b"b")]);
        let bytes = encode(&record);
        let name = name(&record);
        assert_eq!(RemoteRecord::decode(&bytes, &name).unwrap().0, record);
        for at in 0..bytes.len() {
            assert!(RemoteRecord::decode(&bytes[..at], &name).is_err(), "{at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(RemoteRecord::decode(&changed, &name).is_err(), "{at}");
        }
    }

    #[test]
    fn a_record_under_another_name_is_damaged() {
        let [a, b] = ["a", "b"].map(|key| record(key, 5, &[]));
        let error = RemoteRecord::decode(&encode(&a), &name(&b)).unwrap_err();
        assert!(error.is_of_object(), "{error}");
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let claim = |change: &dyn Fn(&mut RemoteRecord)| {
            let mut record = record("linux-1", 5, &[Digest::of(b"a")]);
            change(&mut record);
            RemoteRecord::decode(&encode(&record), &name(&record))
        };
        assert!(claim(&|record| record.segments[0].bytes = LARGEST_SEGMENT).is_ok());
        let wrong: [&dyn Fn(&mut RemoteRecord); 3] = [
            &|record| record.manifest.bytes = u64::MAX,
            &|record| record.manifest.plain_bytes = LARGEST_MANIFEST + 1,
            &|record| record.segments[0].bytes = LARGEST_SEGMENT + 1,
        ];
        for change in wrong {
            let error = claim(change).unwrap_err();
            assert!(error.to_string().contains("impossible size"), "{error}");
        }
    }

    #[test]
    fn a_newer_record_says_so() {
        let mut record = record("linux-1", 5, &[]);
        record.format = VERSION + 1;
        let error = RemoteRecord::decode(&encode(&record), &name(&record)).unwrap_err();
        assert!(error.to_string().contains("format version 2"), "{error}");
    }
}
