//! Files of a store written by hand after `docs/format.md`: valid and hostile ones.

use std::fs;
use std::path::Path;

use local_cache::digest::Digest;
use local_cache::fs::xattrs::Attribute;
use local_cache::fs::{Extent, Timestamp};
use local_cache::store::{Entry, EntryId};
use local_cache::tree::Content;
use serde::Serialize;

/// The tree of a manifest, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Body {
    pub(crate) scanned: Timestamp,
    pub(crate) packs: Vec<Digest>,
    pub(crate) dirs: Vec<Dir>,
    pub(crate) leaves: Vec<Leaf>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Dir {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) dirs: u32,
    pub(crate) leaves: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Leaf {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Kind {
    File {
        size: u64,
        content: Option<Content>,
    },
    Sparse {
        size: u64,
        content: Option<Content>,
        extents: Vec<Extent>,
    },
    Symlink(Vec<u8>),
    HardLink(u32),
}

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds: 7,
    }
}

/// A directory with numbers of subdirectories and leaves.
pub(crate) fn dir(name: &[u8], dirs: u32, leaves: u32) -> Dir {
    Dir {
        name: name.to_vec(),
        mode: 0o755,
        modified: time(1_600_000_000),
        attributes: Vec::new(),
        dirs,
        leaves,
    }
}

pub(crate) fn leaf(name: &[u8], kind: Kind) -> Leaf {
    Leaf {
        name: name.to_vec(),
        mode: 0o644,
        modified: time(1_600_000_001),
        attributes: Vec::new(),
        kind,
    }
}

pub(crate) fn empty(name: &[u8]) -> Leaf {
    leaf(
        name,
        Kind::File {
            size: 0,
            content: None,
        },
    )
}

impl Body {
    /// A body of these directories and leaves.
    pub(crate) fn of(dirs: Vec<Dir>, leaves: Vec<Leaf>) -> Self {
        Self {
            scanned: time(1_700_000_000),
            packs: Vec::new(),
            dirs,
            leaves,
        }
    }

    /// The bytes of the body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap()
    }

    /// The bytes of a manifest with this body, and its name.
    pub(crate) fn seal(&self) -> (Vec<u8>, Digest) {
        let blobs: Vec<Digest> = Vec::new();
        let references: Vec<(Digest, u64)> = self.packs.iter().map(|pack| (*pack, 1)).collect();
        seal(
            &postcard::to_stdvec(&(references, blobs)).unwrap(),
            &self.bytes(),
        )
    }
}

/// The bytes of a manifest with correct digests and any contents, and its name.
pub(crate) fn seal(references: &[u8], body: &[u8]) -> (Vec<u8>, Digest) {
    let mut bytes = b"lc-tree\n".to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(u32::try_from(references.len()).unwrap().to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(Digest::of(references).as_bytes());
    bytes.extend(Digest::of(body).as_bytes());
    let id = Digest::of(&bytes);
    bytes.extend(references);
    bytes.extend(body);
    (bytes, id)
}

/// The bytes of a pack, and its name.
pub(crate) fn pack(contents: &[&[u8]]) -> (Vec<u8>, Digest) {
    let mut bytes = b"lc-pack\n".to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0; 4]);
    let mut index = Vec::new();
    for content in contents {
        bytes.extend(*content);
        index.extend(Digest::of(content).as_bytes());
        index.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    }
    let index_at = bytes.len() as u64;
    let id = Digest::of(&index);
    bytes.extend(index);
    bytes.extend(index_at.to_le_bytes());
    bytes.extend(u32::try_from(contents.len()).unwrap().to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(id.as_bytes());
    (bytes, id)
}

/// Makes the only entry of a store refer to another manifest.
pub(crate) fn redirect_entry(store: &Path, manifest: &[u8], id: &Digest) {
    let mut entries = fs::read_dir(store.join("entries")).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    let entry_id = EntryId::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
    let mut entry = Entry::decode(&fs::read(&path).unwrap(), &entry_id, &path).unwrap();
    entry.manifest = *id;
    fs::write(&path, entry.encode().unwrap()).unwrap();
    fs::write(store.join("manifests").join(id.to_string()), manifest).unwrap();
}
