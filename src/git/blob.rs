//! Ids of blobs: git's hashes of the contents of files.

use std::fmt;
use std::io::{self, Read};

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::hex;

/// The hash function of a repository, for all its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    Sha1,
    Sha256,
}

impl ObjectFormat {
    /// The length of an id in bytes.
    pub const fn id_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// The id of a blob, which is a hash of its length and its bytes.
///
/// Git may convert a file when it stores it, for example line ends. Two files with the same id have
/// the same bytes only if they also have the same length: see [`super::list`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobId {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl BlobId {
    /// None if the length is not that of an id.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            20 => bytes.try_into().ok().map(Self::Sha1),
            32 => bytes.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// None if the text is not that many hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| {
            let [high, low] = pair else { return None };
            u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        Self::from_bytes(&bytes?)
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// The hash function that computed this id.
    pub fn format(&self) -> ObjectFormat {
        match self {
            Self::Sha1(_) => ObjectFormat::Sha1,
            Self::Sha256(_) => ObjectFormat::Sha256,
        }
    }
}

/// The id that a blob with the bytes of a file would have, without any conversion.
///
/// Errors: the file does not have exactly `size` bytes, because it changed meanwhile.
pub fn blob_id_of(reader: impl Read, size: u64, format: ObjectFormat) -> io::Result<BlobId> {
    match format {
        ObjectFormat::Sha1 => hash::<sha1::Sha1>(reader, size).map(|id| BlobId::Sha1(id.into())),
        ObjectFormat::Sha256 => {
            hash::<sha2::Sha256>(reader, size).map(|id| BlobId::Sha256(id.into()))
        }
    }
}

fn hash<H: sha2::Digest>(mut reader: impl Read, size: u64) -> io::Result<sha2::digest::Output<H>> {
    let mut hasher = H::new_with_prefix(format!("blob {size}\0"));
    let mut buffer = vec![0; 64 << 10];
    let mut read = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                hasher.update(&buffer[..length]);
                read += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if read == size {
        Ok(hasher.finalize())
    } else {
        Err(io::Error::other("it changed while it was read"))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.as_bytes()))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hexadecimal in formats for people, such as JSON; bytes in binary formats.
impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            Self::from_hex(&text).ok_or_else(|| {
                D::Error::invalid_value(Unexpected::Str(&text), &"40 or 64 hexadecimal digits")
            })
        } else {
            deserializer.deserialize_bytes(BlobIdVisitor)
        }
    }
}

struct BlobIdVisitor;

impl Visitor<'_> for BlobIdVisitor {
    type Value = BlobId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("20 or 32 bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<BlobId, E> {
        BlobId::from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_git_computes() {
        // `git hash-object --stdin`, in a repository of each format.
        let id = |bytes: &[u8], format| {
            let id = blob_id_of(bytes, bytes.len() as u64, format).unwrap();
            assert_eq!(id.format(), format);
            id.to_string()
        };
        assert_eq!(
            id(b"", ObjectFormat::Sha1),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            id(b"hello\n", ObjectFormat::Sha1),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        assert_eq!(
            id(b"", ObjectFormat::Sha256),
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        );
    }

    #[test]
    fn a_file_of_another_length_has_no_id() {
        for size in [0, 2, 4] {
            assert!(blob_id_of(&b"abc"[..], size, ObjectFormat::Sha1).is_err());
        }
    }

    #[test]
    fn ids_survive_text_and_bytes() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let id = blob_id_of(&b"x"[..], 1, format).unwrap();
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json.len(), 2 * format.id_len() + 2);
            assert_eq!(serde_json::from_str::<BlobId>(&json).unwrap(), id);
            let bytes = postcard::to_stdvec(&id).unwrap();
            assert_eq!(bytes.len(), format.id_len() + 1);
            assert_eq!(postcard::from_bytes::<BlobId>(&bytes).unwrap(), id);
        }
        for text in ["", "e6", "+f", &"g".repeat(40), &"a".repeat(41)] {
            assert!(BlobId::from_hex(text).is_none(), "{text}");
        }
    }
}
