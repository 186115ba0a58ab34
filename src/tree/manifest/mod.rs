//! The list of everything in an entry, and its encoding.
//!
//! `docs/format.md` describes the bytes. A manifest is read only whole and only when its digests
//! are right, and what it says is checked before anything relies on it: names are single
//! components, sorted and unique, so that a manifest that somebody made up can't name anything
//! outside its roots; links point backwards; numbers stay in their ranges.

mod record;
mod wire;

use std::path::Path;

pub use record::SourceRecord;

use serde::{Deserialize, Serialize};

use wire::WireBody;

use super::model::{Content, ContentLocation, LeafKind, Tree};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;

/// A tree with the digests of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// When the scan began that the manifest was made from.
    pub scanned_at: Timestamp,
    /// The packs that hold contents of the tree.
    pub packs: Vec<Digest>,
    /// The tree.
    pub tree: Tree,
}

/// What a manifest needs of the store: enough to tell what is still in use without reading the
/// tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// The packs, each with the bytes in it that the manifest uses.
    pub packs: Vec<(Digest, u64)>,
    /// The blobs, sorted.
    pub blobs: Vec<Digest>,
}

const MAGIC: [u8; 8] = *b"lc-tree\n";
/// The version of the encoding that this program writes.
pub const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 8 + 2 * Digest::LEN;

impl Manifest {
    /// What the manifest needs of the store.
    pub fn references(&self) -> References {
        let mut packs: Vec<(Digest, u64)> = self.packs.iter().map(|pack| (*pack, 0)).collect();
        let mut blobs = Vec::new();
        for leaf in self.tree.leaves() {
            let LeafKind::File(file) = &leaf.kind else {
                continue;
            };
            match file.content {
                Some(Content {
                    location: ContentLocation::Pack(pack),
                    ..
                }) => {
                    if let Some((_, used)) = packs.get_mut(pack as usize) {
                        *used = used.saturating_add(file.data_len());
                    }
                }
                Some(Content {
                    location: ContentLocation::Blob,
                    digest,
                }) => blobs.push(digest),
                None => {}
            }
        }
        blobs.sort_unstable();
        blobs.dedup();
        References { packs, blobs }
    }

    /// The bytes of the manifest, and the digest that names them.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest)> {
        self.encode_as(MAGIC, &self.references())
    }

    fn encode_as(&self, magic: [u8; 8], references: &References) -> Result<(Vec<u8>, Digest)> {
        let too_large = |error| Error::defect(format!("the manifest can't be encoded: {error}"));
        let references = postcard::to_stdvec(references).map_err(too_large)?;
        let body = postcard::to_stdvec(&WireBody::from(self)).map_err(too_large)?;
        let mut bytes = Vec::with_capacity(HEADER + references.len() + body.len());
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let references_len = u32::try_from(references.len())
            .map_err(|_| Error::defect("the manifest can't be encoded: too many contents"))?;
        bytes.extend_from_slice(&references_len.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(Digest::of(&references).as_bytes());
        bytes.extend_from_slice(Digest::of(&body).as_bytes());
        let id = Digest::of(&bytes);
        bytes.extend_from_slice(&references);
        bytes.extend_from_slice(&body);
        Ok((bytes, id))
    }

    /// Reads a manifest named `id` from the bytes of the file `path`.
    pub fn decode(bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        Self::decode_as(MAGIC, bytes, id, path)
    }

    fn decode_as(magic: [u8; 8], bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        let header = Header::decode(magic, bytes, id, path)?;
        header.references(bytes, path)?;
        let body = header.body(bytes, path)?;
        let wire: WireBody<'_> = postcard::from_bytes(body)
            .map_err(|error| Error::damaged(path, format!("its tree can't be read ({error})")))?;
        wire.into_manifest()
            .map_err(|reason| Error::damaged(path, reason))
    }
}

impl References {
    /// Bytes at the start of a manifest that tell how long its references are.
    pub const PREFIX: usize = HEADER;

    /// The length of the part of a manifest that [`References::decode`] needs, by its first
    /// [`References::PREFIX`] bytes.
    pub fn required_len(prefix: &[u8], id: &Digest, path: &Path) -> Result<usize> {
        Header::decode(MAGIC, prefix, id, path).map(|header| HEADER + header.references_len)
    }

    /// Reads what a manifest needs of the store from the bytes of the file `path`, which may end
    /// after that part.
    pub fn decode(bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        let part = Header::decode(MAGIC, bytes, id, path)?.references(bytes, path)?;
        postcard::from_bytes(part).map_err(|error| {
            Error::damaged(path, format!("its references can't be read ({error})"))
        })
    }
}

struct Header {
    references_len: usize,
    body_len: u64,
    references: Digest,
    body: Digest,
}

impl Header {
    fn decode(magic: [u8; 8], bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>().ok_or_else(|| {
            Error::damaged(path, format!("it is only {} bytes long", bytes.len()))
        })?;
        if header[..8] != magic {
            return Err(Error::damaged(path, "it does not begin like a manifest"));
        }
        if Digest::of(header) != *id {
            return Err(Error::damaged(
                path,
                "its header does not have the digest it is named by",
            ));
        }
        let version = u32::from_le_bytes(array(&header[8..12]));
        if version > VERSION {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        Ok(Self {
            references_len: u32::from_le_bytes(array(&header[12..16])) as usize,
            body_len: u64::from_le_bytes(array(&header[16..24])),
            references: Digest::from_bytes(array(&header[24..56])),
            body: Digest::from_bytes(array(&header[56..88])),
        })
    }

    fn references<'b>(&self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        bytes
            .get(HEADER..HEADER + self.references_len)
            .filter(|part| Digest::of(part) == self.references)
            .ok_or_else(|| Error::damaged(path, "its references don't have the digest they should"))
    }

    fn body<'b>(&self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        let body = bytes
            .get(HEADER + self.references_len..)
            .unwrap_or_default();
        if body.len() as u64 != self.body_len {
            return Err(Error::damaged(
                path,
                format!("its tree has {} of {} bytes", body.len(), self.body_len),
            ));
        }
        if Digest::of(body) != self.body {
            return Err(Error::damaged(
                path,
                "its tree does not have the digest it should",
            ));
        }
        Ok(body)
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
