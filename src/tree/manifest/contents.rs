//! What a manifest contains, and which files of the store it needs.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::fs::Timestamp;
use crate::tree::model::{Content, ContentLocation, FileData, LeafKind, Tree};

/// A tree with the digests of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// When the scan of the tree started.
    pub scanned_at: Timestamp,
    /// The packs that contain files of the tree.
    pub packs: Vec<Digest>,
    pub tree: Tree,
}

/// The packs and blobs that a manifest needs. They can be decoded without decoding the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Packs, each with the number of its bytes that the manifest uses.
    pub packs: Vec<(Digest, u64)>,
    pub blobs: Vec<Digest>,
}

impl Manifest {
    /// The packs and blobs that the manifest needs.
    pub fn references(&self) -> References {
        let mut packs: Vec<(Digest, u64)> = self.packs.iter().map(|pack| (*pack, 0)).collect();
        let mut blobs = Vec::new();
        for (file, Content { digest, location }) in self.contents() {
            match location {
                ContentLocation::Pack(pack) => {
                    if let Some((_, used)) = packs.get_mut(pack as usize) {
                        *used = used.saturating_add(file.data_len());
                    }
                }
                ContentLocation::Blob => blobs.push(digest),
            }
        }
        blobs.sort_unstable();
        blobs.dedup();
        References { packs, blobs }
    }

    /// The files that are not empty, each with where its contents are.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&FileData, Content)> {
        let files = self
            .tree
            .leaves()
            .iter()
            .filter_map(|leaf| match &leaf.kind {
                LeafKind::File(file) => Some(file),
                LeafKind::HardLink(_) | LeafKind::Symlink(_) => None,
            });
        files.filter_map(|file| Some((file, file.content?)))
    }
}
