//! Segments: contents as independently compressed frames, with an index at the end.
//!
//! ```text
//! header    "lc-segm\n", version u32, 4 zero bytes
//! frames    one after another
//! index     postcard of SegmentIndex
//! trailer   length of the index u32, 4 zero bytes, digest of the index
//! ```
//!
//! A segment is named by the digest of its index, and the index has the digest of each frame, so the
//! name covers the whole object. The index has the id of the push, so no two pushes write segments
//! of the same name.
//!
//! Small contents share frames; a large content has frames of its own, as many as it needs. A frame
//! that does not become smaller is stored as it is: its two lengths are equal then.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::error::{RemoteError, RemoteResult};
use super::name::PushId;
use super::record::VERSION;
use crate::digest::Digest;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"lc-segm\n";
const HEADER: usize = 16;
/// The length of the trailer.
const TRAILER: usize = 8 + Digest::LEN;
/// Contents of a frame, in bytes. Memory for compressing and reading depends on it.
pub(crate) const LARGEST_FRAME: usize = 4 << 20;
/// A segment that is longer than this is closed. One request writes it, so there are no parts of
/// uploads to clean up.
pub(crate) const FULL_SEGMENT: usize = 16 << 20;
/// The level of zstd. Two cores compress faster at this level than a network of 1 Gbit/s sends.
pub(super) const LEVEL: i32 = 3;

/// What a segment holds, in the order of its frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentIndex {
    pub(crate) push: PushId,
    pub(crate) frames: Vec<SegmentFrame>,
    pub(crate) contents: Vec<SegmentContent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentFrame {
    /// Of the bytes as they are stored.
    digest: Digest,
    /// The length as it is stored.
    packed: u32,
    /// The length of the contents.
    plain: u32,
}

/// A content, or the part of it that is in this segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentContent {
    pub(crate) digest: Digest,
    /// Where the part begins in the content.
    pub(crate) offset: u64,
    /// The length of the part.
    pub(crate) length: u64,
    /// Its first frame, and where it begins in that.
    pub(crate) frame: u32,
    pub(crate) start: u32,
}

/// A frame as it is stored. Its digest is not checked on a restore: those of its contents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FrameRange {
    /// In the segment.
    pub(crate) offset: u32,
    pub(crate) packed: u32,
    pub(crate) plain: u32,
}

impl SegmentIndex {
    /// Where the frames are in the segment.
    pub(crate) fn frame_ranges(&self) -> Vec<FrameRange> {
        let mut offset = u32::try_from(HEADER).unwrap_or_default();
        let ranges = self.frames.iter().map(|frame| {
            let range = FrameRange {
                offset,
                packed: frame.packed,
                plain: frame.plain,
            };
            offset = offset.saturating_add(frame.packed);
            range
        });
        ranges.collect()
    }

    /// Finds the index by the last bytes of a segment: its bytes and where it starts, counted from
    /// the end of the segment. None if `tail` is too short for it, with the length that is needed.
    pub(crate) fn in_tail<'t>(
        tail: &'t [u8],
        name: &str,
        digest: &Digest,
    ) -> RemoteResult<std::result::Result<&'t [u8], usize>> {
        let damaged = |reason: &str| RemoteError::damaged(name, reason);
        let trailer_at = tail.len().checked_sub(TRAILER);
        let trailer_at = trailer_at.ok_or_else(|| damaged("it is too short"))?;
        let (before, trailer) = tail.split_at(trailer_at);
        if trailer[4..8] != [0; 4] || trailer[8..] != *digest.as_bytes() {
            return Err(damaged("its trailer is not the one of this segment"));
        }
        let length = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]) as usize;
        if length > FULL_SEGMENT {
            return Err(damaged("its index is too long"));
        }
        match before.len().checked_sub(length) {
            Some(start) => Ok(Ok(&before[start..])),
            None => Ok(Err(length + TRAILER)),
        }
    }

    pub(crate) fn decode(bytes: &[u8], name: &str, digest: &Digest) -> RemoteResult<Self> {
        if Digest::of(bytes) != *digest {
            return Err(RemoteError::damaged(
                name,
                "its index does not have the digest it is named by",
            ));
        }
        let index: Self = postcard::from_bytes(bytes).map_err(|error| {
            RemoteError::damaged(name, format!("its index cannot be read ({error})"))
        })?;
        let is_valid = |frame: &SegmentFrame| {
            frame.plain as usize <= LARGEST_FRAME && frame.packed <= frame.plain
        };
        if !index.frames.iter().all(is_valid) {
            return Err(RemoteError::damaged(name, "it has an impossible frame"));
        }
        Ok(index)
    }

    /// Checks a whole segment: its index, and each frame.
    pub(crate) fn verify(segment: &[u8], name: &str, digest: &Digest) -> RemoteResult<()> {
        let Ok(index) = Self::in_tail(segment, name, digest)? else {
            return Err(RemoteError::damaged(name, "it is too short"));
        };
        let frames_end = segment.len() - TRAILER - index.len();
        let index = Self::decode(index, name, digest)?;
        let ranges = index.frame_ranges();
        for (frame, range) in index.frames.iter().zip(&ranges) {
            let bytes = segment
                .get(range.bytes())
                .filter(|_| range.bytes().end <= frames_end);
            if bytes.is_none_or(|bytes| Digest::of(bytes) != frame.digest) {
                return Err(RemoteError::damaged(name, "a frame has another digest"));
            }
        }
        Ok(())
    }
}

impl FrameRange {
    pub(crate) fn bytes(&self) -> Range<usize> {
        let start = self.offset as usize;
        start..start + self.packed as usize
    }

    /// The contents of a frame, from its stored bytes. None if these are damaged.
    pub(crate) fn unpack(&self, packed: &[u8]) -> Option<Vec<u8>> {
        let plain = self.plain as usize;
        if packed.len() != self.packed as usize || plain > LARGEST_FRAME {
            return None;
        }
        if self.packed == self.plain {
            return Some(packed.to_vec());
        }
        zstd::bulk::decompress(packed, plain)
            .ok()
            .filter(|bytes| bytes.len() == plain)
    }
}

/// A segment that is being filled.
pub(crate) struct SegmentBuilder {
    bytes: Vec<u8>,
    index: SegmentIndex,
    compressor: zstd::bulk::Compressor<'static>,
}

/// A segment that can be written to the remote.
pub(crate) struct BuiltSegment {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl SegmentBuilder {
    pub(crate) fn new(push: &PushId) -> Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(Error::defect)?;
        Ok(Self {
            bytes: header(),
            index: SegmentIndex {
                push: push.clone(),
                frames: Vec::new(),
                contents: Vec::new(),
            },
            compressor,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.frames.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_SEGMENT
    }

    /// Appends a frame with these contents, at most [`LARGEST_FRAME`] bytes. Returns where it is.
    pub(crate) fn append(&mut self, plain: &[u8]) -> Result<FrameRange> {
        let offset = self.bytes.len();
        let packed = self.compressor.compress(plain).map_err(Error::defect)?;
        // A frame that saves less is not worth the time to unpack it.
        let stored = if packed.len() < plain.len() / 32 * 31 {
            &packed[..]
        } else {
            plain
        };
        self.bytes.extend_from_slice(stored);
        let length = |bytes: usize| u32::try_from(bytes).map_err(Error::defect);
        let range = FrameRange {
            offset: length(offset)?,
            packed: length(stored.len())?,
            plain: length(plain.len())?,
        };
        self.index.frames.push(SegmentFrame {
            digest: Digest::of(stored),
            packed: range.packed,
            plain: range.plain,
        });
        Ok(range)
    }

    /// Notes a part of a content that is in the last frame.
    pub(crate) fn note(&mut self, digest: Digest, offset: u64, length: u64, start: usize) {
        let frame = self.index.frames.len().saturating_sub(1);
        // A further part of the same content extends the one before.
        if let Some(last) = self.index.contents.last_mut()
            && last.digest == digest
            && last.offset + last.length == offset
        {
            last.length += length;
            return;
        }
        self.index.contents.push(SegmentContent {
            digest,
            offset,
            length,
            frame: u32::try_from(frame).unwrap_or(u32::MAX),
            start: u32::try_from(start).unwrap_or(u32::MAX),
        });
    }

    /// Closes the segment and begins an empty one.
    pub(crate) fn close(&mut self) -> Result<BuiltSegment> {
        let index = postcard::to_stdvec(&self.index).map_err(Error::defect)?;
        let digest = Digest::of(&index);
        let mut bytes = std::mem::replace(&mut self.bytes, header());
        let length = u32::try_from(index.len()).map_err(Error::defect)?;
        bytes.extend_from_slice(&index);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(digest.as_bytes());
        self.index.frames.clear();
        self.index.contents.clear();
        Ok(BuiltSegment { digest, bytes })
    }
}

/// The start of a segment, with room for the rest: growing would copy it and need twice the memory.
fn header() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FULL_SEGMENT + LARGEST_FRAME + (1 << 20));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.resize(HEADER, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment with a frame of two small contents and a content of two frames.
    fn built() -> (BuiltSegment, Vec<FrameRange>, [Vec<u8>; 3]) {
        let small = [vec![b'a'; 5_000], b"short".to_vec()];
        let noise: Vec<u8> = (0_u32..20_000)
            .flat_map(|n| Digest::of(&n.to_le_bytes()).as_bytes()[..4].to_vec())
            .collect();
        let mut builder = SegmentBuilder::new(&PushId::random()).unwrap();
        let mut frames = vec![builder.append(&small.concat()).unwrap()];
        builder.note(Digest::of(&small[0]), 0, 5_000, 0);
        builder.note(Digest::of(&small[1]), 0, 5, 5_000);
        for (offset, part) in [(0, &noise[..50_000]), (50_000, &noise[50_000..])] {
            frames.push(builder.append(part).unwrap());
            builder.note(Digest::of(&noise), offset, part.len() as u64, 0);
        }
        let [a, b] = small;
        (builder.close().unwrap(), frames, [a, b, noise])
    }

    #[test]
    fn frames_are_read_by_their_ranges() {
        let (segment, frames, contents) = built();
        let unpack = |frame: &FrameRange| frame.unpack(&segment.bytes[frame.bytes()]).unwrap();
        assert_eq!(unpack(&frames[0]), contents[..2].concat());
        assert_eq!(
            [unpack(&frames[1]), unpack(&frames[2])].concat(),
            contents[2]
        );
        assert!(frames[0].packed < 200, "text is compressed");
        assert_eq!(
            frames[1].packed, frames[1].plain,
            "noise is stored as it is"
        );
    }

    #[test]
    fn the_index_at_the_end_lists_contents_and_frames() {
        let (segment, frames, contents) = built();
        let tail = &segment.bytes[segment.bytes.len() - 20..];
        assert!(SegmentIndex::in_tail(tail, "s", &segment.digest).is_err());
        let tail = &segment.bytes[segment.bytes.len() - TRAILER - 1..];
        let needed = SegmentIndex::in_tail(tail, "s", &segment.digest).unwrap();
        let needed = needed.unwrap_err();
        let tail = &segment.bytes[segment.bytes.len() - needed..];
        let bytes = SegmentIndex::in_tail(tail, "s", &segment.digest).unwrap();
        let index = SegmentIndex::decode(bytes.unwrap(), "s", &segment.digest).unwrap();
        assert_eq!(index.frame_ranges(), frames);
        let found: Vec<_> = index
            .contents
            .iter()
            .map(|content| (content.digest, content.length, content.frame))
            .collect();
        let digest = |n: usize| Digest::of(&contents[n]);
        let expected = [
            (digest(0), 5_000, 0),
            (digest(1), 5, 0),
            (digest(2), 80_000, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_changed_byte_after_the_header_and_every_cut_is_found() {
        let (segment, ..) = built();
        SegmentIndex::verify(&segment.bytes, "s", &segment.digest).unwrap();
        for at in (HEADER..segment.bytes.len()).step_by(97) {
            let mut changed = segment.bytes.clone();
            changed[at] ^= 1;
            assert!(
                SegmentIndex::verify(&changed, "s", &segment.digest).is_err(),
                "changed at {at}"
            );
            assert!(
                SegmentIndex::verify(&segment.bytes[..at], "s", &segment.digest).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_frame_that_claims_another_length_is_refused() {
        let (segment, frames, _) = built();
        let packed = &segment.bytes[frames[0].bytes()];
        for plain in [0, 1, frames[0].plain - 1, frames[0].plain + 1, u32::MAX] {
            let frame = FrameRange { plain, ..frames[0] };
            assert_eq!(frame.unpack(packed), None, "{plain}");
        }
        assert_eq!(frames[0].unpack(&packed[1..]), None);
    }

    #[test]
    fn the_same_contents_of_two_pushes_have_different_names() {
        let (a, b) = (built().0, built().0);
        assert_ne!(a.digest, b.digest);
    }
}
