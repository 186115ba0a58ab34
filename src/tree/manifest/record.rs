//! A tree with digests whose contents are kept nowhere.
//!
//! It has the form of a manifest, begins with another word and needs nothing of the store. So
//! neither can be taken for the other: a record is never restored from, and collecting never looks
//! for its contents.

use std::path::Path;

use super::{Manifest, References};
use crate::digest::Digest;
use crate::error::Result;
use crate::tree::model::Tree;

const MAGIC: [u8; 8] = *b"lc-srcs\n";

/// What files were like: paths, sizes, digests and times, without their contents.
///
/// The place of each content says [`crate::tree::ContentLocation::Blob`] and means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord(Manifest);

impl SourceRecord {
    /// A record of what a manifest describes.
    pub fn new(manifest: Manifest) -> Self {
        Self(Manifest {
            packs: Vec::new(),
            ..manifest
        })
    }

    /// What the files were like.
    pub fn manifest(&self) -> &Manifest {
        &self.0
    }

    /// Whether both say the same but for times: names, kinds, contents, modes.
    pub fn has_same_contents(&self, other: &Self) -> bool {
        let (one, other) = (&self.0.tree, &other.0.tree);
        let dirs = |tree: &Tree| -> Vec<_> {
            tree.dirs()
                .iter()
                .map(|dir| (dir.name.clone(), dir.dirs.clone(), dir.leaves.clone()))
                .collect()
        };
        one.leaves().len() == other.leaves().len()
            && dirs(one) == dirs(other)
            && one.leaves().iter().zip(other.leaves()).all(|(one, other)| {
                (&one.name, one.mode, &one.kind) == (&other.name, other.mode, &other.kind)
            })
    }

    /// The bytes of the record, and the digest that names them.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest)> {
        self.0.encode_as(MAGIC, &References::default())
    }

    /// Reads a record named `id` from the bytes of the file `path`.
    pub fn decode(bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        Manifest::decode_as(MAGIC, bytes, id, path).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Timestamp;
    use crate::tree::scan::{ScanOptions, scan};
    use crate::tree::{Content, ContentLocation, FileData, LeafId, Roots};

    fn tree() -> Tree {
        let top = tempfile::tempdir().unwrap();
        std::fs::write(top.path().join("file"), "text").unwrap();
        let roots = Roots::new([((*b".").into(), top.path().to_owned())]);
        let mut tree = scan(&roots, &ScanOptions::default()).unwrap().tree;
        let content = Some(Content {
            digest: Digest::of(b"text"),
            location: ContentLocation::Blob,
        });
        let data = FileData {
            size: 4,
            extents: Box::default(),
            content,
        };
        tree.set_file(LeafId(0), 0o644, Timestamp::default(), data);
        tree
    }

    #[test]
    fn a_record_is_read_back_and_is_no_manifest_nor_a_manifest_a_record() {
        let manifest = Manifest {
            scanned_at: Timestamp::now(),
            packs: Vec::new(),
            tree: tree(),
        };
        let path = Path::new("/m");
        let record = SourceRecord::new(manifest.clone());
        let (bytes, id) = record.encode().unwrap();
        assert_eq!(SourceRecord::decode(&bytes, &id, path).unwrap(), record);
        assert!(Manifest::decode(&bytes, &id, path).is_err());
        let (bytes, id) = manifest.encode().unwrap();
        assert!(SourceRecord::decode(&bytes, &id, path).is_err());
    }
}
