//! Encodes and decodes manifests: a header with digests, the references, then the tree.

use std::path::Path;

use super::contents::{Manifest, References};
use super::wire::{DecodedLeaves, WireBody, WireDir};
use crate::digest::Digest;
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"lc-tree\n";
/// The version of the encoding. Versions up to this one can be decoded.
pub const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 8 + 2 * Digest::LEN;

impl Manifest {
    /// The encoded manifest, and the digest that identifies it.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest)> {
        self.encode_as(MAGIC, &self.references())
    }

    pub(super) fn encode_as(
        &self,
        magic: [u8; 8],
        references: &References,
    ) -> Result<(Vec<u8>, Digest)> {
        let encoding_error =
            |error| Error::defect(format!("the manifest cannot be encoded: {error}"));
        let bytes = postcard::to_extend(references, vec![0; HEADER]).map_err(encoding_error)?;
        let references_len = bytes.len() - HEADER;
        let bytes = postcard::to_extend(&WireBody::from(self), bytes).map_err(encoding_error)?;
        Self::seal(magic, bytes, references_len)
    }

    /// Writes the header into its place before the references and the tree.
    fn seal(
        magic: [u8; 8],
        mut bytes: Vec<u8>,
        references_len: usize,
    ) -> Result<(Vec<u8>, Digest)> {
        let (references, body) = bytes[HEADER..].split_at(references_len);
        let references_len = u32::try_from(references_len)
            .map_err(|_| Error::defect("the manifest cannot be encoded: too many contents"))?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(&magic);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&references_len.to_le_bytes());
        header.extend_from_slice(&(body.len() as u64).to_le_bytes());
        header.extend_from_slice(Digest::of(references).as_bytes());
        header.extend_from_slice(Digest::of(body).as_bytes());
        bytes[..HEADER].copy_from_slice(&header);
        Ok((bytes, Digest::of(&header)))
    }

    /// A manifest with the right digests of any references and any tree.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn forge(references: &[u8], body: &[u8]) -> Result<(Vec<u8>, Digest)> {
        Self::seal(
            MAGIC,
            [&[0; HEADER], references, body].concat(),
            references.len(),
        )
    }

    /// How many bytes a manifest has, given the first [`References::PREFIX`] bytes.
    pub(crate) fn encoded_len(prefix: &[u8], id: &Digest, path: &Path) -> Result<u64> {
        let header = Header::decode(MAGIC, prefix, id, path)?;
        Ok((HEADER as u64 + header.references_len as u64).saturating_add(header.body_len))
    }

    /// Decodes the manifest `id` from the bytes of the file `path`.
    pub fn decode(bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        Self::decode_as(MAGIC, bytes, id, path)
    }

    pub(super) fn decode_as(
        magic: [u8; 8],
        bytes: &[u8],
        id: &Digest,
        path: &Path,
    ) -> Result<Self> {
        let header = Header::decode(magic, bytes, id, path)?;
        header.references(bytes, path)?;
        let body = header.body(bytes, path)?;
        let wire: WireBody<Vec<WireDir<'_>>, DecodedLeaves> = postcard::from_bytes(body)
            .map_err(|error| Error::damaged(path, format!("its tree cannot be read ({error})")))?;
        wire.into_manifest()
            .map_err(|reason| Error::damaged(path, reason))
    }
}

impl References {
    /// How many bytes at the start of a manifest [`References::required_len`] needs.
    pub const PREFIX: usize = HEADER;

    /// How many bytes at the start of a manifest [`References::decode`] needs, given the first
    /// [`References::PREFIX`] bytes.
    pub fn required_len(prefix: &[u8], id: &Digest, path: &Path) -> Result<usize> {
        Header::decode(MAGIC, prefix, id, path).map(|header| HEADER + header.references_len)
    }

    /// Decodes the references from the bytes of the file `path`, which may end after them.
    pub fn decode(bytes: &[u8], id: &Digest, path: &Path) -> Result<Self> {
        let part = Header::decode(MAGIC, bytes, id, path)?.references(bytes, path)?;
        postcard::from_bytes(part).map_err(|error| {
            Error::damaged(path, format!("its references cannot be read ({error})"))
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
        // The id is the digest of the header, which has the digests of everything else.
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
        Ok(Self::parse(header))
    }

    fn parse(header: &[u8; HEADER]) -> Self {
        Self {
            references_len: u32::from_le_bytes(array(&header[12..16])) as usize,
            body_len: u64::from_le_bytes(array(&header[16..24])),
            references: Digest::from_bytes(array(&header[24..56])),
            body: Digest::from_bytes(array(&header[56..88])),
        }
    }

    /// The bytes of the references, verified.
    fn references<'b>(&self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        bytes
            .get(HEADER..HEADER + self.references_len)
            .filter(|part| Digest::of(part) == self.references)
            .ok_or_else(|| Error::damaged(path, "its references don't have the digest they should"))
    }

    /// The bytes of the tree, verified.
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
