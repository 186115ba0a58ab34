//! Merges the directories of all tasks into one tree: numbers, order, hard links.

use std::collections::{HashMap, VecDeque, hash_map};

use super::found::{Blocks, EncodedDir};
use super::leaf_stat::LeafStat;
use super::result::{ExtraneousName, Scan, SkippedPath};
use crate::error::Result;
use crate::fs::Timestamp;
use crate::tree::model::{DirId, Directory, Leaf, LeafId, LeafKind, Tree, len_u32};
use crate::tree::rare_list::RareList;

/// Removes subdirectories that could not be read and so have no result, and empty directories that
/// are only included if non-empty. `found` is indexed by task.
pub(super) fn drop_empty(found: &mut [Option<EncodedDir>]) {
    // A task has a lower number than those of its subdirectories, so this goes from the bottom up.
    for task in (1..found.len()).rev().chain([0]) {
        let Some(mut encoded) = found[task].take() else {
            continue;
        };
        let dir = &mut encoded.dir;
        dir.dirs.retain(|(_, task)| found[*task as usize].is_some());
        if !dir.only_if_non_empty || !dir.dirs.is_empty() || encoded.leaf_count > 0 {
            found[task] = Some(encoded);
        }
    }
}

/// Numbers the directories breadth-first and sorts the names in each. `found` is indexed by task.
pub(super) fn flatten(
    mut found: Vec<Option<EncodedDir>>,
    blocks: &Blocks,
    started: Timestamp,
    skipped: Vec<SkippedPath>,
) -> Result<Scan> {
    let mut scan = empty_scan(&found, started, skipped);
    let mut queue = VecDeque::from([(0, Tree::TOP)]);
    let mut next_dir = 1;
    while let Some((task, parent)) = queue.pop_front() {
        // Never missing: `drop_empty` removed the subdirectories without a result.
        let Some(mut encoded) = found[task].take() else {
            continue;
        };
        let mut subdirs = std::mem::take(&mut encoded.dir.dirs);
        subdirs.sort_unstable();
        // Breadth-first, the subdirectories of a directory get adjacent numbers: a range holds them.
        let first_dir = next_dir;
        next_dir += len_u32(&subdirs);
        let id = append(&mut scan, encoded, blocks, parent)?;
        scan.tree.dirs[id.index()].dirs = first_dir..next_dir;
        queue.extend(subdirs.into_iter().map(|(_, task)| (task as usize, id)));
    }
    mark_hard_links(&mut scan.tree.leaves, &scan.stats);
    Ok(scan)
}

/// A scan without directories, with room for those in `found`.
fn empty_scan(found: &[Option<EncodedDir>], started: Timestamp, skipped: Vec<SkippedPath>) -> Scan {
    let leaf_count = found.iter().flatten().map(|dir| dir.leaf_count).sum();
    Scan {
        tree: Tree {
            dirs: Vec::with_capacity(found.len()),
            leaves: Vec::with_capacity(leaf_count),
        },
        stats: Vec::with_capacity(leaf_count),
        dir_stats: Vec::with_capacity(found.len()),
        extraneous: Vec::new(),
        stale_temps: Vec::new(),
        skipped,
        started,
        uid: crate::fs::effective_uid(),
    }
}

/// Appends a directory with its leaves to the tree, still without its subdirectories.
fn append(scan: &mut Scan, encoded: EncodedDir, blocks: &Blocks, parent: DirId) -> Result<DirId> {
    let id = DirId(len_u32(&scan.tree.dirs));
    let first = len_u32(&scan.tree.leaves);
    for leaf in blocks.leaves(&encoded) {
        let (leaf, stat) = leaf?;
        scan.tree.leaves.push(Leaf { parent: id, ..leaf });
        scan.stats.push(stat);
    }
    let leaves = first..len_u32(&scan.tree.leaves);
    let dir = encoded.dir;
    let in_dir = |name| ExtraneousName { parent: id, name };
    scan.extraneous
        .extend(dir.extraneous.into_iter().map(in_dir));
    scan.stale_temps
        .extend(dir.stale_temps.into_iter().map(in_dir));
    scan.dir_stats.push(dir.stat);
    scan.tree.dirs.push(Directory {
        name: dir.name,
        parent,
        mode: dir.stat.map_or(0, |stat| stat.mode),
        mtime: dir.stat.map_or_else(Timestamp::default, |stat| stat.mtime),
        attributes: dir.attributes,
        dirs: 0..0,
        leaves,
    });
    Ok(id)
}

/// Turns every name of a file but its first into a hard link to the first.
fn mark_hard_links(leaves: &mut [Leaf], stats: &[LeafStat]) {
    // The names are sorted, so each scan of the same files selects the same first name.
    let mut first: HashMap<(u64, u64), LeafId> = HashMap::new();
    for (id, (leaf, stat)) in (0..).zip(leaves.iter_mut().zip(stats)) {
        if stat.links > 1 && matches!(leaf.kind, LeafKind::File(_)) {
            match first.entry((stat.device, stat.inode)) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(LeafId(id));
                }
                hash_map::Entry::Occupied(entry) => {
                    leaf.kind = LeafKind::HardLink(*entry.get());
                    // They belong to the inode; its first name has them.
                    leaf.attributes = RareList::default();
                }
            }
        }
    }
}
