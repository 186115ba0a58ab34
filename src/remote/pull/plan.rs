//! Decides which ranges of which segments are read (pure).

use std::collections::BTreeMap;
use std::ops::Range;

use crate::digest::Digest;
use crate::remote::manifest::{RemoteContent, RemoteFrame};
use crate::remote::record::SegmentReference;

/// Bytes that are read at once, except for a single larger frame.
const LARGEST_RANGE: u32 = 4 << 20;
/// Up to this many bytes that are not needed are read too, instead of starting another request.
const GAP: u32 = 128 << 10;

/// A content that the local store lacks.
#[derive(Clone, Debug)]
pub(super) struct WantedContent {
    pub(super) digest: Digest,
    pub(super) content: RemoteContent,
    /// Whether the entry needs it as a blob, in a pack, or both.
    pub(super) as_blob: bool,
    pub(super) in_pack: bool,
}

/// What one thread downloads without a break.
#[derive(Clone, Debug)]
pub(super) enum DownloadUnit {
    /// Contents in frames that they may share, all in one range of a segment.
    Small(RangeOfFrames),
    /// A content with several frames, in several ranges.
    Large(WantedContent),
}

/// A range of a segment with the frames that are needed, each with its contents.
#[derive(Clone, Debug)]
pub(super) struct RangeOfFrames {
    pub(super) segment: SegmentReference,
    pub(super) bytes: Range<u32>,
    pub(super) frames: Vec<(RemoteFrame, Vec<WantedContent>)>,
}

impl DownloadUnit {
    /// The bytes that are read from segments.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Small(range) => u64::from(range.bytes.end - range.bytes.start),
            Self::Large(wanted) => {
                let frames = wanted.content.frames.iter();
                frames.map(|frame| u64::from(frame.range.packed)).sum()
            }
        }
    }
}

/// Divides wanted contents among units. Large ones come first, so that no thread is left with one
/// at the end.
pub(super) fn units(wanted: Vec<WantedContent>) -> Vec<DownloadUnit> {
    let mut large = Vec::new();
    let mut frames: BTreeMap<(Digest, u32), (RemoteFrame, Vec<WantedContent>)> = BTreeMap::new();
    for wanted in wanted {
        match wanted.content.frames[..] {
            [only] => {
                let key = (only.segment.digest, only.range.offset);
                let (_, contents) = frames.entry(key).or_insert((only, Vec::new()));
                contents.push(wanted);
            }
            _ => large.push(wanted),
        }
    }
    large.sort_by_key(|wanted| std::cmp::Reverse(wanted.content.length));
    let mut ranges: Vec<RangeOfFrames> = Vec::new();
    for (frame, contents) in frames.into_values() {
        let start = frame.range.offset;
        let end = start + frame.range.packed;
        match ranges.last_mut() {
            Some(last)
                if last.segment == frame.segment
                    && start <= last.bytes.end.saturating_add(GAP)
                    && end - last.bytes.start <= LARGEST_RANGE =>
            {
                last.bytes.end = last.bytes.end.max(end);
                last.frames.push((frame, contents));
            }
            _ => ranges.push(RangeOfFrames {
                segment: frame.segment,
                bytes: start..end,
                frames: vec![(frame, contents)],
            }),
        }
    }
    let large = large.into_iter().map(DownloadUnit::Large);
    large
        .chain(ranges.into_iter().map(DownloadUnit::Small))
        .collect()
}

/// The frames of a large content in pieces, each of which is one range of one segment.
pub(super) fn pieces(frames: &[RemoteFrame]) -> Vec<&[RemoteFrame]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in 1..=frames.len() {
        let follows = frames.get(at).is_some_and(|next| {
            let (first, last) = (&frames[start], &frames[at - 1]);
            next.segment == last.segment
                && next.range.offset == last.range.offset + last.range.packed
                && next.range.offset + next.range.packed - first.range.offset <= LARGEST_RANGE
        });
        if !follows {
            pieces.push(&frames[start..at]);
            start = at;
        }
    }
    pieces
}

/// Where the bytes of a piece are in its segment.
pub(super) fn range_of(piece: &[RemoteFrame]) -> Range<u64> {
    let start = piece.first().map_or(0, |frame| frame.range.offset);
    let end = piece
        .last()
        .map_or(0, |frame| frame.range.offset + frame.range.packed);
    start.into()..end.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::segment::FrameRange;

    fn frame(segment: &str, offset: u32, packed: u32) -> RemoteFrame {
        RemoteFrame {
            segment: SegmentReference {
                digest: Digest::of(segment.as_bytes()),
                bytes: 100 << 20,
            },
            range: FrameRange {
                offset,
                packed,
                plain: packed,
            },
        }
    }

    fn wanted(name: &str, frames: &[RemoteFrame]) -> WantedContent {
        WantedContent {
            digest: Digest::of(name.as_bytes()),
            content: RemoteContent {
                length: 10,
                start: 0,
                frames: frames.to_vec(),
            },
            as_blob: false,
            in_pack: true,
        }
    }

    #[test]
    fn frames_that_are_near_share_a_range_and_others_do_not() {
        let near = frame("a", 16 + 1000 + GAP, 1000);
        let far = frame("a", near.range.offset + 1001 + GAP, 1000);
        let units = units(vec![
            wanted("other", &[frame("b", 16, 1000)]),
            wanted("far", &[far]),
            wanted("1", &[frame("a", 16, 1000)]),
            wanted("near", &[near]),
            wanted("2", &[frame("a", 16, 1000)]),
            wanted("large", &[frame("b", 2000, 10), frame("b", 2010, 10)]),
        ]);
        assert!(matches!(&units[0], DownloadUnit::Large(_)));
        let mut ranges: Vec<_> = units[1..]
            .iter()
            .map(|unit| match unit {
                DownloadUnit::Small(range) => {
                    let contents = range.frames.iter().map(|(_, contents)| contents.len());
                    (range.bytes.clone(), contents.collect::<Vec<_>>())
                }
                DownloadUnit::Large(_) => unreachable!(),
            })
            .collect();
        ranges.sort_by_key(|(range, contents)| (range.start, contents.len()));
        let near_end = near.range.offset + 1000;
        assert_eq!(
            ranges,
            [
                (16..1016, vec![1]),
                (16..near_end, vec![2, 1]),
                (far.range.offset..far.range.offset + 1000, vec![1]),
            ]
        );
    }

    #[test]
    fn no_range_is_longer_than_its_limit() {
        let many: Vec<_> = (0..100)
            .map(|n| wanted(&n.to_string(), &[frame("a", n * 900_000, 900_000)]))
            .collect();
        for unit in units(many) {
            match unit {
                DownloadUnit::Small(range) => {
                    assert!(range.bytes.end - range.bytes.start <= LARGEST_RANGE);
                }
                DownloadUnit::Large(_) => unreachable!(),
            }
        }
    }

    #[test]
    fn a_large_content_is_read_in_pieces_of_adjacent_frames() {
        let half = LARGEST_RANGE / 2;
        let frames = [
            frame("a", 16, half),
            frame("a", 16 + half, half),
            frame("a", 16 + 2 * half, half),
            frame("b", 16, half),
            frame("b", 17 + half, half),
        ];
        let pieces = pieces(&frames);
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        assert_eq!(range_of(pieces[0]), 16..u64::from(16 + LARGEST_RANGE));
    }
}
