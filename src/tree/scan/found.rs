//! Directories as the tasks of a scan found them, until all are known and can be numbered.
//!
//! A leaf takes a few times more memory in the tree than is needed to describe it. So that both need
//! not be held at once, the leaves of a directory wait as encoded bytes: about 50 for each.

use serde::{Deserialize, Serialize};

use super::leaf_stat::LeafStat;
use crate::error::{Error, Result};
use crate::fs::xattrs::Attribute;
use crate::fs::{Stat, Timestamp};
use crate::tree::model::{FileData, Leaf, LeafKind, Tree};
use crate::tree::name::EncodedBytes;
use crate::tree::rare_list::RareList;

/// Bytes. Encoded leaves share blocks that are large enough for the allocator to return each of
/// them to the system.
const BLOCK: usize = 4 << 20;

/// A directory and the names in it.
#[derive(Default)]
pub(super) struct FoundDir {
    pub(super) name: Box<[u8]>,
    /// From before its names were read. None for the top, which is no directory on disk.
    pub(super) stat: Option<Stat>,
    pub(super) attributes: Box<[Attribute]>,
    /// Unsorted. The parents of these leaves are not set yet.
    pub(super) leaves: Vec<(Leaf, LeafStat)>,
    /// Names of subdirectories, and the numbers of their tasks.
    pub(super) dirs: Vec<(Box<[u8]>, u32)>,
    pub(super) extraneous: Vec<Box<[u8]>>,
    pub(super) stale_temps: Vec<Box<[u8]>>,
    pub(super) only_if_non_empty: bool,
}

/// A finished directory. Its leaves are in the blocks of [`FoundDirs`].
pub(super) struct EncodedDir {
    /// Without its leaves.
    pub(super) dir: FoundDir,
    pub(super) leaf_count: usize,
    block: usize,
    start: usize,
}

/// The finished directories, with the numbers of their tasks.
#[derive(Default)]
pub(super) struct FoundDirs {
    pub(super) dirs: Vec<(u32, EncodedDir)>,
    pub(super) blocks: Blocks,
}

#[derive(Default)]
pub(super) struct Blocks(Vec<Vec<u8>>);

#[derive(Serialize, Deserialize)]
struct EncodedLeaf<'a> {
    #[serde(borrow)]
    name: EncodedBytes<'a>,
    /// The target of a symlink.
    #[serde(borrow)]
    target: Option<EncodedBytes<'a>>,
    mode: u32,
    mtime: Timestamp,
    attributes: Vec<Attribute>,
    stat: LeafStat,
}

impl FoundDir {
    /// Removes the leaves from the directory, and encodes them in the order of their names.
    pub(super) fn encode_leaves(&mut self) -> Result<Vec<u8>> {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let mut bytes = Vec::new();
        for (leaf, stat) in leaves {
            let encoded = EncodedLeaf {
                name: EncodedBytes(&leaf.name),
                target: match &leaf.kind {
                    LeafKind::Symlink(target) => Some(EncodedBytes(target)),
                    LeafKind::File(_) | LeafKind::HardLink(_) => None,
                },
                mode: leaf.mode,
                mtime: leaf.mtime,
                attributes: leaf.attributes.to_vec(),
                stat,
            };
            bytes = postcard::to_extend(&encoded, bytes).map_err(Error::defect)?;
        }
        Ok(bytes)
    }
}

impl FoundDirs {
    pub(super) fn add(&mut self, task: u32, dir: FoundDir, leaf_count: usize, leaves: &[u8]) {
        let (block, start) = self.blocks.add(leaves);
        let dir = EncodedDir {
            dir,
            leaf_count,
            block,
            start,
        };
        self.dirs.push((task, dir));
    }
}

impl Blocks {
    /// Returns the number of the block and where the bytes begin in it.
    fn add(&mut self, bytes: &[u8]) -> (usize, usize) {
        let has_room = |block: &Vec<u8>| block.capacity() - block.len() >= bytes.len();
        if !self.0.last().is_some_and(has_room) {
            self.0.push(Vec::with_capacity(bytes.len().max(BLOCK)));
        }
        let number = self.0.len() - 1;
        let block = &mut self.0[number];
        let start = block.len();
        block.extend_from_slice(bytes);
        (number, start)
    }

    /// The leaves of a directory, sorted by name.
    pub(super) fn leaves(
        &self,
        dir: &EncodedDir,
    ) -> impl Iterator<Item = Result<(Leaf, LeafStat)>> {
        let mut rest = &self.0[dir.block][dir.start..];
        (0..dir.leaf_count).map(move |_| {
            let (encoded, after) =
                postcard::take_from_bytes::<EncodedLeaf<'_>>(rest).map_err(Error::defect)?;
            rest = after;
            Ok(encoded.into_leaf())
        })
    }
}

impl EncodedLeaf<'_> {
    fn into_leaf(self) -> (Leaf, LeafStat) {
        let kind = match self.target {
            Some(EncodedBytes(target)) => LeafKind::Symlink(target.into()),
            None => LeafKind::File(FileData {
                size: self.stat.size,
                extents: RareList::default(),
                content: None,
            }),
        };
        let leaf = Leaf {
            name: self.name.0.into(),
            parent: Tree::TOP,
            mode: self.mode,
            mtime: self.mtime,
            attributes: self.attributes.into(),
            kind,
        };
        (leaf, self.stat)
    }
}
