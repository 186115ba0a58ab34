//! Batches: what is read from the store in one go.

use std::path::Path;
use std::sync::Arc;

use crate::tree::model::LeafId;

/// The most work that a thread takes at a time, in bytes.
const LARGEST_SHARE: u64 = 2 << 20;
/// The least work that a thread takes at a time, in bytes.
const SMALLEST_SHARE: u64 = 64 << 10;
/// How many shares each thread gets if all work is divided evenly. More than one, so that at the
/// end no thread waits long for the others.
const SHARES_PER_THREAD: u64 = 8;
/// Creating a file takes about as long as writing this many bytes.
const BYTES_PER_FILE: u64 = 32 << 10;

/// A range of a file of the store with the contents of one or more files, read in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The file of the store.
    pub path: Arc<Path>,
    /// In the file of the store; like all offsets and lengths here, in bytes.
    pub offset: u64,
    pub length: u64,
    /// The files whose contents it has, by offset.
    pub items: Vec<BatchItem>,
}

/// The contents of one file in a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem {
    pub leaf: LeafId,
    /// The offset from the start of the batch, in bytes.
    pub start: u64,
    pub length: u64,
}

/// Divides batches into shares, one of which a thread takes at a time. Adjacent batches stay
/// together, because their files are often in the same directories.
pub(super) fn shares(mut batches: &[Batch], threads: u64) -> Vec<&[Batch]> {
    let total = batches
        .iter()
        .fold(0, |sum: u64, batch| sum.saturating_add(work(batch)));
    let share_size =
        (total / (threads * SHARES_PER_THREAD).max(1)).clamp(SMALLEST_SHARE, LARGEST_SHARE);
    let mut shares = Vec::new();
    while !batches.is_empty() {
        let mut taken: u64 = 0;
        let fits = |batch: &&Batch| {
            // The batch that exceeds the size still belongs to the share, so no share is empty.
            let has_room = taken < share_size;
            taken = taken.saturating_add(work(batch));
            has_room
        };
        let (share, rest) = batches.split_at(batches.iter().take_while(fits).count());
        shares.push(share);
        batches = rest;
    }
    shares
}

/// The work of writing a batch, in bytes.
fn work(batch: &Batch) -> u64 {
    batch
        .length
        .saturating_add(batch.items.len() as u64 * BYTES_PER_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_little_work_are_small_and_of_much_work_large() {
        let batch = |length| Batch {
            path: Path::new("/pack").into(),
            offset: 0,
            length,
            items: vec![BatchItem {
                leaf: LeafId(0),
                start: 0,
                length,
            }],
        };
        let lengths = |count: usize, length: u64| -> Vec<usize> {
            let batches = vec![batch(length); count];
            let shares = shares(&batches, 2);
            assert_eq!(shares.concat(), batches);
            shares.iter().map(|share| share.len()).collect()
        };
        assert_eq!(lengths(3, 10), [2, 1]);
        assert_eq!(lengths(160, SMALLEST_SHARE).len(), 16);
        assert_eq!(lengths(1000, LARGEST_SHARE), vec![1; 1000]);
        assert!(lengths(0, 0).is_empty());
    }
}
