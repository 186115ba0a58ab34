//! A record of source files: a tree with digests whose contents are not stored.
//!
//! It is encoded like a manifest without references, but starts with another magic number. One is
//! therefore never mistaken for the other: no restore uses a record, and no garbage collection
//! looks for its contents.

use std::path::Path;

use super::contents::{Manifest, References};
use crate::digest::Digest;
use crate::error::Result;
use crate::tree::model::Tree;

const MAGIC: [u8; 8] = *b"lc-srcs\n";

/// Paths, sizes, digests and times of files.
///
/// The location of each content is [`crate::tree::ContentLocation::Blob`], without meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord(Manifest);

impl SourceRecord {
    /// Takes a manifest, and drops its packs.
    pub fn new(manifest: Manifest) -> Self {
        Self(Manifest {
            packs: Vec::new(),
            ..manifest
        })
    }

    /// The record in the form of a manifest without packs.
    pub fn manifest(&self) -> &Manifest {
        &self.0
    }

    /// Whether both have the same names, kinds, contents and modes, whatever their times.
    pub(crate) fn has_same_contents(&self, other: &Self) -> bool {
        let (a, b) = (&self.0.tree, &other.0.tree);
        let dirs = |tree: &Tree| -> Vec<_> {
            tree.dirs()
                .iter()
                .map(|dir| (dir.name.clone(), dir.dirs.clone(), dir.leaves.clone()))
                .collect()
        };
        a.leaves().len() == b.leaves().len()
            && dirs(a) == dirs(b)
            && a.leaves()
                .iter()
                .zip(b.leaves())
                .all(|(a, b)| (&a.name, a.mode, &a.kind) == (&b.name, b.mode, &b.kind))
    }

    /// The encoded record, and the digest that identifies it.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest)> {
        self.0.encode_as(MAGIC, &References::default())
    }

    /// Decodes the record `id` from the bytes of the file `path`.
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
    fn records_and_manifests_are_not_mistaken_for_each_other() {
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
