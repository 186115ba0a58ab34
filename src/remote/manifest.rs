//! Manifests on the remote: the manifest of an entry, and where each of its contents is.
//!
//! The object is compressed and named by the digest of its bytes. Its places are in the order in
//! which contents first appear in the tree, so they need no digests of their own.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{RemoteError, RemoteResult};
use super::name::PushId;
use super::record::{ManifestReference, RemoteRecord, SegmentReference};
use super::segment::{FrameRange, LARGEST_FRAME, LEVEL};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::tree::manifest::Manifest;
use crate::tree::{Content, ContentLocation, LeafId, LeafKind};

/// Where contents are on the remote.
pub(crate) type ContentMap = HashMap<Digest, RemoteContent>;

/// Where one content is: in one frame among others, or in frames of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteContent {
    pub(crate) length: u64,
    /// Where it begins in its first frame.
    pub(crate) start: u32,
    pub(crate) frames: Vec<RemoteFrame>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RemoteFrame {
    pub(crate) segment: SegmentReference,
    pub(crate) range: FrameRange,
}

/// A content of a manifest, with the first leaf that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UniqueContent {
    pub(crate) digest: Digest,
    pub(crate) length: u64,
    pub(crate) leaf: LeafId,
    /// Whether files have it in a pack, as a blob, or both.
    pub(crate) in_pack: bool,
    pub(crate) as_blob: bool,
}

/// The contents of a manifest in the order in which they first appear.
///
/// None if one has two lengths: one of the files is damaged then, and a restore would put the blame
/// on the pack that has the content.
pub(crate) fn unique_contents(manifest: &Manifest) -> Option<Vec<UniqueContent>> {
    let mut numbers = HashMap::new();
    let mut contents: Vec<UniqueContent> = Vec::new();
    for leaf in manifest.tree.leaf_ids() {
        let LeafKind::File(file) = &manifest.tree[leaf].kind else {
            continue;
        };
        let Some(Content { digest, location }) = file.content else {
            continue;
        };
        let number = *numbers.entry(digest).or_insert(contents.len());
        if number == contents.len() {
            contents.push(UniqueContent {
                digest,
                length: file.data_len(),
                leaf,
                in_pack: false,
                as_blob: false,
            });
        }
        let content = &mut contents[number];
        if content.length != file.data_len() {
            return None;
        }
        match location {
            ContentLocation::Pack(_) => content.in_pack = true,
            ContentLocation::Blob => content.as_blob = true,
        }
    }
    Some(contents)
}

/// What the object of a manifest holds.
pub(crate) struct RemoteManifest {
    pub(crate) manifest: Manifest,
    /// The record of a target directory's units.
    pub(crate) record: Option<Vec<u8>>,
    pub(crate) unique: Vec<UniqueContent>,
    pub(crate) contents: ContentMap,
}

/// An encoded manifest, and what a record says about it.
pub(crate) struct EncodedManifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reference: ManifestReference,
    pub(crate) segments: Vec<SegmentReference>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireManifest<'a> {
    pub(super) push: PushId,
    pub(super) manifest: &'a [u8],
    #[serde(borrow)]
    pub(super) record: Option<&'a [u8]>,
    pub(super) frames: Vec<WireFrame>,
    pub(super) places: Vec<WirePlace>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireFrame {
    /// The number of the segment in the record.
    segment: u32,
    offset: u32,
    packed: u32,
    plain: u32,
}

/// A content begins here, and continues in the frames that follow.
#[derive(Serialize, Deserialize)]
pub(super) struct WirePlace {
    frame: u32,
    start: u32,
}

impl RemoteManifest {
    /// Encodes a manifest with the contents `unique`, which are all in `contents`.
    pub(crate) fn encode(
        push: &PushId,
        manifest: &Manifest,
        record: Option<&[u8]>,
        unique: &[UniqueContent],
        contents: &ContentMap,
    ) -> Result<EncodedManifest> {
        let (encoded, _) = manifest.encode()?;
        let mut frames = FrameTable::default();
        let mut places = Vec::new();
        for unique in unique {
            let content = contents
                .get(&unique.digest)
                .ok_or_else(|| Error::defect("a content of the push was not uploaded"))?;
            places.push(frames.place(content)?);
        }
        let wire = WireManifest {
            push: push.clone(),
            manifest: &encoded,
            record,
            frames: frames.frames,
            places,
        };
        let (bytes, reference) = wire.seal()?;
        Ok(EncodedManifest {
            reference,
            bytes,
            segments: frames.segments,
        })
    }

    /// Decodes the manifest of a record from the bytes of the object `name`.
    pub(crate) fn decode(bytes: &[u8], record: &RemoteRecord, name: &str) -> RemoteResult<Self> {
        let damaged = |reason: &str| RemoteError::damaged(name, reason);
        let reference = &record.manifest;
        if Digest::of(bytes) != reference.digest {
            return Err(damaged("it does not have the digest it is named by"));
        }
        let length = usize::try_from(reference.plain_bytes).map_err(Error::defect)?;
        let plain = zstd::bulk::decompress(bytes, length)
            .map_err(|_| damaged("it cannot be decompressed"))?;
        let wire: WireManifest<'_> =
            postcard::from_bytes(&plain).map_err(|_| damaged("it cannot be decoded"))?;
        let manifest = Manifest::decode(wire.manifest, &record.entry.manifest, Path::new(name))
            .map_err(|error| match error {
                Error::Damaged { reason, .. } => damaged(&reason),
                other => other.into(),
            })?;
        let unique =
            unique_contents(&manifest).ok_or_else(|| damaged("a content has two lengths"))?;
        let contents = wire
            .contents(&unique, &record.segments)
            .ok_or_else(|| damaged("its places are impossible"))?;
        let units = wire
            .record
            .filter(|units| record.entry.record == Some(Digest::of(units)))
            .map(<[u8]>::to_vec);
        Ok(Self {
            manifest,
            record: units,
            unique,
            contents,
        })
    }
}

impl WireManifest<'_> {
    /// The bytes of the object, and how a record refers to it.
    pub(super) fn seal(&self) -> Result<(Vec<u8>, ManifestReference)> {
        let plain = postcard::to_stdvec(self).map_err(Error::defect)?;
        let bytes = zstd::bulk::compress(&plain, LEVEL).map_err(Error::defect)?;
        let reference = ManifestReference {
            digest: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            plain_bytes: plain.len() as u64,
        };
        Ok((bytes, reference))
    }

    /// None if a place is outside of the frames, a frame outside of its segment, or a frame of a
    /// large content belongs to another one too. The last would let few bytes claim any amount of
    /// memory.
    fn contents(
        &self,
        unique: &[UniqueContent],
        segments: &[SegmentReference],
    ) -> Option<ContentMap> {
        let frames: Option<Vec<RemoteFrame>> = self
            .frames
            .iter()
            .map(|frame| frame.in_segment(segments))
            .collect();
        let frames = frames?;
        if unique.len() != self.places.len() {
            return None;
        }
        let mut unshared = frames.len();
        let contents = unique.iter().zip(&self.places).map(|(unique, place)| {
            let first = place.frame as usize;
            let mut count = 1;
            let mut covered = u64::from(frames.get(first)?.range.plain);
            let needed = u64::from(place.start).checked_add(unique.length)?;
            while covered < needed {
                covered += u64::from(frames.get(first + count)?.range.plain);
                count += 1;
            }
            if count > 1 {
                unshared = unshared.checked_sub(count)?;
                if place.start != 0 || covered != needed {
                    return None;
                }
            }
            let content = RemoteContent {
                length: unique.length,
                start: place.start,
                frames: frames[first..first + count].to_vec(),
            };
            Some((unique.digest, content))
        });
        contents.collect()
    }
}

impl WireFrame {
    fn in_segment(&self, segments: &[SegmentReference]) -> Option<RemoteFrame> {
        let segment = *segments.get(self.segment as usize)?;
        let range = FrameRange {
            offset: self.offset,
            packed: self.packed,
            plain: self.plain,
        };
        let end = u64::from(self.offset) + u64::from(self.packed);
        let is_possible = end <= segment.bytes
            && self.packed <= self.plain
            && self.plain > 0
            && self.plain as usize <= LARGEST_FRAME;
        is_possible.then_some(RemoteFrame { segment, range })
    }
}

/// The frames and segments of a manifest, each listed once.
#[derive(Default)]
struct FrameTable {
    frames: Vec<WireFrame>,
    shared: HashMap<RemoteFrame, u32>,
    segments: Vec<SegmentReference>,
    numbers: HashMap<SegmentReference, u32>,
}

impl FrameTable {
    fn place(&mut self, content: &RemoteContent) -> Result<WirePlace> {
        let frame = match &content.frames[..] {
            [only] => self.shared_frame(only)?,
            // Frames that follow one another must stay together, and no other content has them.
            several => {
                let first = u32::try_from(self.frames.len()).map_err(Error::defect)?;
                for frame in several {
                    self.append(frame)?;
                }
                first
            }
        };
        Ok(WirePlace {
            frame,
            start: content.start,
        })
    }

    fn shared_frame(&mut self, frame: &RemoteFrame) -> Result<u32> {
        if let Some(known) = self.shared.get(frame) {
            return Ok(*known);
        }
        let number = self.append(frame)?;
        self.shared.insert(*frame, number);
        Ok(number)
    }

    fn append(&mut self, frame: &RemoteFrame) -> Result<u32> {
        let number = u32::try_from(self.frames.len()).map_err(Error::defect)?;
        let next = u32::try_from(self.segments.len()).map_err(Error::defect)?;
        let segment = *self.numbers.entry(frame.segment).or_insert_with(|| {
            self.segments.push(frame.segment);
            next
        });
        self.frames.push(WireFrame {
            segment,
            offset: frame.range.offset,
            packed: frame.range.packed,
            plain: frame.range.plain,
        });
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::record::tests::record;

    fn segments() -> Vec<SegmentReference> {
        [b"a", b"b"]
            .map(|name| SegmentReference {
                digest: Digest::of(name),
                bytes: 1_000,
            })
            .to_vec()
    }

    fn frame(segment: u32, offset: u32, packed: u32, plain: u32) -> WireFrame {
        WireFrame {
            segment,
            offset,
            packed,
            plain,
        }
    }

    #[test]
    fn a_frame_outside_of_its_segment_is_refused() {
        let segments = segments();
        assert!(frame(1, 16, 984, 4_000).in_segment(&segments).is_some());
        for wrong in [
            frame(2, 16, 10, 10),
            frame(0, 16, 985, 4_000),
            frame(0, u32::MAX, u32::MAX, u32::MAX),
            frame(0, 16, 11, 10),
            frame(0, 16, 0, 0),
            frame(0, 16, 10, 5 << 20),
        ] {
            assert_eq!(wrong.in_segment(&segments), None);
        }
    }

    #[test]
    fn shared_frames_are_listed_once_and_frames_of_one_content_stay_together() {
        let [a, b] = segments()[..] else {
            unreachable!()
        };
        let at = |segment, offset| RemoteFrame {
            segment,
            range: FrameRange {
                offset,
                packed: 10,
                plain: 10,
            },
        };
        let content = |start, frames: &[RemoteFrame]| RemoteContent {
            length: 5,
            start,
            frames: frames.to_vec(),
        };
        let mut table = FrameTable::default();
        let places = [
            content(0, &[at(b, 16)]),
            content(0, &[at(a, 16), at(b, 26)]),
            content(5, &[at(b, 16)]),
        ]
        .map(|content| table.place(&content).unwrap());
        assert_eq!(places.map(|place| place.frame), [0, 1, 0]);
        assert_eq!(table.frames.len(), 3);
        assert_eq!(table.segments, [b, a]);
    }

    /// Where contents of these lengths are, if each of them begins in the frame with this number.
    fn places(frames: Vec<WireFrame>, contents: &[(u64, u32)]) -> Option<ContentMap> {
        let wire = WireManifest {
            push: PushId::random(),
            manifest: b"",
            record: None,
            frames,
            places: contents
                .iter()
                .map(|(_, frame)| WirePlace {
                    frame: *frame,
                    start: 0,
                })
                .collect(),
        };
        let unique: Vec<UniqueContent> = (0_u32..)
            .zip(contents)
            .map(|(n, (length, _))| UniqueContent {
                digest: Digest::of(&n.to_le_bytes()),
                length: *length,
                leaf: LeafId(n),
                in_pack: true,
                as_blob: false,
            })
            .collect();
        wire.contents(&unique, &segments())
    }

    #[test]
    fn a_content_outside_of_the_frames_is_refused() {
        let one = || vec![frame(0, 16, 10, 10)];
        assert!(places(one(), &[(10, 0)]).is_some());
        for wrong in [(11, 0), (10, 1), (0, 1), (u64::MAX, 0), (10, u32::MAX)] {
            assert_eq!(places(one(), &[wrong]), None, "{wrong:?}");
        }
        assert_eq!(places(Vec::new(), &[(0, 0)]), None);
        // Something must be read even for a content without bytes.
        let empty = places(one(), &[(0, 0)]).unwrap();
        assert_eq!(empty.values().next().unwrap().frames.len(), 1);
    }

    #[test]
    fn frames_of_a_large_content_are_refused_for_another_one() {
        let two = || vec![frame(0, 16, 10, 10), frame(0, 26, 10, 10)];
        assert!(places(two(), &[(20, 0)]).is_some());
        assert!(places(two(), &[(20, 0), (5, 0)]).is_some());
        assert_eq!(places(two(), &[(20, 0), (20, 0)]), None);
    }

    #[test]
    fn a_manifest_with_another_digest_is_damaged() {
        let record = record("linux-1", 5, &[]);
        let decoded = RemoteManifest::decode(b"other", &record, "m");
        assert!(decoded.is_err_and(|error| error.is_of_object()));
    }
}
