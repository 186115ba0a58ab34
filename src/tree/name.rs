//! Names of leaves, without an allocation for most of them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name that is stored inside of a [`LeafName`].
const INLINE: usize = 22;

/// One path component. Most names are short: stored here, they take half the memory of a box.
#[derive(Clone, PartialEq, Eq)]
pub struct LeafName(Storage);

/// A name is stored in one way only, so equal names have equal storages.
#[derive(Clone, PartialEq, Eq)]
enum Storage {
    /// The bytes after the length are zero.
    Inline(u8, [u8; INLINE]),
    Boxed(Box<[u8]>),
}

impl From<&[u8]> for LeafName {
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(name);
                Self(Storage::Inline(length, bytes))
            }
            _ => Self(Storage::Boxed(name.into())),
        }
    }
}

impl Default for LeafName {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl Deref for LeafName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Storage::Boxed(bytes) => bytes,
        }
    }
}

impl PartialOrd for LeafName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LeafName {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for LeafName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

/// Borrowed bytes that are encoded as bytes, not as a list of numbers.
pub(super) struct EncodedBytes<'a>(pub(super) &'a [u8]);

impl Serialize for EncodedBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for EncodedBytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_keep_their_bytes_and_their_order() {
        let names: Vec<Vec<u8>> = (0..=INLINE + 3).map(|length| vec![b'x'; length]).collect();
        for name in &names {
            assert_eq!(*LeafName::from(&name[..]), name[..]);
            for other in &names {
                let of = |name: &[u8]| LeafName::from(name);
                assert_eq!(of(name).cmp(&of(other)), name.cmp(other));
                assert_eq!(of(name) == of(other), name == other);
            }
        }
        assert_eq!(size_of::<LeafName>(), 24);
    }
}
