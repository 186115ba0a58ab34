//! Decides which contents of an entry are uploaded, and which segments on the remote already have
//! the others (pure).

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::digest::Digest;
use crate::remote::manifest::{ContentMap, UniqueContent};
use crate::remote::record::SegmentReference;
use crate::store::pack::LARGEST_CONTENT;
use crate::tree::LeafId;
use crate::tree::apply::Batch;

/// Small contents in one frame, in bytes: enough to compress well, little enough to fetch for one
/// file.
const SMALL_FRAME: u64 = 1 << 20;
/// A segment of which an entry needs less than one part in this many is not reused. Otherwise old
/// segments would stay on the remote for a few files.
const LEAST_USED: u64 = 4;
/// An entry reuses at most this many segments, so that after many small pushes a pull does not read
/// from hundreds of objects.
const MOST_REUSED: usize = 48;

/// A content of the local store that is to be uploaded.
#[derive(Clone, Debug)]
pub(super) struct LocalContent {
    pub(super) digest: Digest,
    /// The file of the store that has it.
    pub(super) path: Arc<Path>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What one thread uploads without a break.
#[derive(Clone, Debug)]
pub(super) enum UploadUnit {
    /// Contents that share a frame.
    Small(Vec<LocalContent>),
    /// A content with frames of its own.
    Large(LocalContent),
}

/// The contents of `known` that an entry with `contents` should refer to.
pub(super) fn reused(contents: &[UniqueContent], known: &ContentMap) -> ContentMap {
    // Of a content that a push did not finish, only a part may be known.
    let find = |unique: &UniqueContent| {
        let found = known.get(&unique.digest);
        found.filter(|content| content.length == unique.length)
    };
    let mut used: HashMap<SegmentReference, u64> = HashMap::new();
    for unique in contents {
        for frame in find(unique).iter().flat_map(|it| &it.frames) {
            // A share of the frame, at its size in the segment.
            let plain = u64::from(frame.range.plain).max(1);
            let share = unique.length.min(plain) * u64::from(frame.range.packed) / plain;
            *used.entry(frame.segment).or_default() += share;
        }
    }
    let mut segments: Vec<(u64, SegmentReference)> = used
        .into_iter()
        .filter(|(segment, used)| used.saturating_mul(LEAST_USED) >= segment.bytes)
        .map(|(segment, used)| (used, segment))
        .collect();
    segments.sort_by_key(|(used, segment)| (std::cmp::Reverse(*used), segment.digest));
    segments.truncate(MOST_REUSED);
    let segments: HashSet<SegmentReference> = segments.into_iter().map(|(_, it)| it).collect();
    contents
        .iter()
        .filter_map(|unique| Some((unique.digest, find(unique)?)))
        .filter(|(_, content)| {
            let mut frames = content.frames.iter();
            frames.all(|frame| segments.contains(&frame.segment))
        })
        .map(|(digest, content)| (digest, content.clone()))
        .collect()
}

/// Divides contents among units. `digest_of` tells the content of a leaf.
pub(super) fn units(
    batches: &[Batch],
    digest_of: impl Fn(LeafId) -> Option<Digest>,
) -> Vec<UploadUnit> {
    let mut units = Vec::new();
    let mut small: Vec<LocalContent> = Vec::new();
    let mut bytes = 0;
    for batch in batches {
        for item in &batch.items {
            let Some(digest) = digest_of(item.leaf) else {
                continue;
            };
            let content = LocalContent {
                digest,
                path: Arc::clone(&batch.path),
                offset: batch.offset + item.start,
                length: item.length,
            };
            if content.length > LARGEST_CONTENT {
                units.push(UploadUnit::Large(content));
                continue;
            }
            if bytes + content.length > SMALL_FRAME {
                units.push(UploadUnit::Small(std::mem::take(&mut small)));
                bytes = 0;
            }
            bytes += content.length;
            small.push(content);
        }
    }
    if !small.is_empty() {
        units.push(UploadUnit::Small(small));
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::manifest::{RemoteContent, RemoteFrame};
    use crate::remote::segment::FrameRange;
    use crate::tree::apply::BatchItem;

    fn unique(name: &str, length: u64) -> UniqueContent {
        UniqueContent {
            digest: Digest::of(name.as_bytes()),
            length,
            leaf: LeafId(0),
            in_pack: true,
            as_blob: false,
        }
    }

    fn in_segment(name: &str, bytes: u64, length: u32) -> RemoteContent {
        RemoteContent {
            length: length.into(),
            start: 0,
            frames: vec![RemoteFrame {
                segment: SegmentReference {
                    digest: Digest::of(name.as_bytes()),
                    bytes,
                },
                range: FrameRange {
                    offset: 16,
                    packed: length,
                    plain: length,
                },
            }],
        }
    }

    #[test]
    fn a_segment_of_which_little_is_used_is_not_reused() {
        let contents = [unique("a", 250), unique("b", 249), unique("new", 5)];
        let known = ContentMap::from([
            (contents[0].digest, in_segment("full", 1_000, 250)),
            (contents[1].digest, in_segment("stale", 1_000, 249)),
            (Digest::of(b"other"), in_segment("full", 1_000, 500)),
        ]);
        let reused = reused(&contents, &known);
        assert_eq!(reused.len(), 1);
        assert!(reused.contains_key(&contents[0].digest));
    }

    #[test]
    fn at_most_so_many_segments_are_reused_and_the_most_used_first() {
        let contents: Vec<_> = (0..60_u64)
            .map(|n| unique(&n.to_string(), 100 + n))
            .collect();
        let known: ContentMap = contents
            .iter()
            .map(|it| {
                let length = u32::try_from(it.length).unwrap();
                (
                    it.digest,
                    in_segment(&length.to_string(), it.length, length),
                )
            })
            .collect();
        let reused = reused(&contents, &known);
        assert_eq!(reused.len(), MOST_REUSED);
        assert!(
            contents[12..]
                .iter()
                .all(|it| reused.contains_key(&it.digest))
        );
    }

    #[test]
    fn small_contents_share_units_and_large_ones_do_not() {
        let item = |leaf, start, length| BatchItem {
            leaf: LeafId(leaf),
            start,
            length,
        };
        let batch = |offset, items: Vec<BatchItem>| Batch {
            path: Path::new("/pack").into(),
            offset,
            length: items.iter().map(|item| item.length).sum(),
            items,
        };
        let batches = [
            batch(0, vec![item(0, 0, LARGEST_CONTENT + 1)]),
            batch(16, vec![item(1, 0, 10), item(2, 10, 20)]),
            batch(
                900,
                (3..8).map(|leaf| item(leaf, 0, LARGEST_CONTENT)).collect(),
            ),
        ];
        let digest = |leaf: LeafId| Some(Digest::of(&leaf.0.to_le_bytes()));
        let units = units(&batches, digest);
        let shape: Vec<Vec<u64>> = units
            .iter()
            .map(|unit| match unit {
                UploadUnit::Small(contents) => contents.iter().map(|it| it.length).collect(),
                UploadUnit::Large(content) => vec![content.length],
            })
            .collect();
        let large = LARGEST_CONTENT;
        assert_eq!(
            shape,
            [
                vec![large + 1],
                vec![10, 20, large, large, large],
                vec![large, large]
            ]
        );
        match &units[1] {
            UploadUnit::Small(contents) => assert_eq!(contents[1].offset, 26),
            UploadUnit::Large(_) => unreachable!(),
        }
    }
}
