//! From the results of the jobs to one tree: numbers, order, hard links.

use std::collections::{HashMap, VecDeque, hash_map};

use super::{ExtraneousName, Scan, SkippedPath};
use crate::fs::{Stat, Timestamp};
use crate::tree::scan::walk::FoundDir;
use crate::tree::{DirId, Directory, Leaf, LeafId, LeafKind, Tree, count};

/// Takes out directories that could not be read, and so have no result, and those that are empty
/// but need not be.
pub(super) fn drop_empty(found: &mut [Option<FoundDir>]) {
    // A job gets its number before those of its subdirectories, so this goes from the bottom up.
    for id in (1..found.len()).rev().chain([0]) {
        let Some(mut dir) = found[id].take() else {
            continue;
        };
        dir.dirs.retain(|(_, job)| found[*job as usize].is_some());
        if !dir.only_if_non_empty || !dir.dirs.is_empty() || !dir.leaves.is_empty() {
            found[id] = Some(dir);
        }
    }
}

/// Numbers the directories breadth first and sorts the names in each.
pub(super) fn flatten(
    mut found: Vec<Option<FoundDir>>,
    started: Timestamp,
    left_out: Vec<SkippedPath>,
) -> Scan {
    let leaf_count = found.iter().flatten().map(|dir| dir.leaves.len()).sum();
    let mut dirs = Vec::with_capacity(found.len());
    let (mut leaves, mut stats) = (
        Vec::with_capacity(leaf_count),
        Vec::with_capacity(leaf_count),
    );
    let mut dir_changed = Vec::with_capacity(found.len());
    let (mut extra, mut leftovers) = (Vec::new(), Vec::new());
    let mut queue = VecDeque::from([(0, Tree::TOP)]);
    let mut numbered = 1;
    while let Some((job, parent)) = queue.pop_front() {
        let Some(mut dir) = found[job].take() else {
            continue;
        };
        let id = DirId(count(&dirs));
        dir.leaves
            .sort_unstable_by(|one, other| one.0.name.cmp(&other.0.name));
        dir.dirs.sort_unstable();
        let first = count(&leaves);
        for (leaf, stat) in dir.leaves {
            leaves.push(Leaf { parent: id, ..leaf });
            stats.push(stat);
        }
        extra.extend(
            dir.extraneous
                .into_iter()
                .map(|name| ExtraneousName { parent: id, name }),
        );
        leftovers.extend(
            dir.stale_temps
                .into_iter()
                .map(|name| ExtraneousName { parent: id, name }),
        );
        let children = u32::try_from(dir.dirs.len()).unwrap_or(u32::MAX);
        dir_changed.push(dir.ctime);
        dirs.push(Directory {
            name: dir.name,
            parent,
            mode: dir.mode,
            mtime: dir.mtime,
            attributes: dir.attributes,
            dirs: numbered..numbered + children,
            leaves: first..count(&leaves),
        });
        numbered += children;
        queue.extend(dir.dirs.into_iter().map(|(_, job)| (job as usize, id)));
    }
    mark_hard_links(&mut leaves, &stats);
    let user = crate::fs::effective_uid();
    Scan {
        tree: Tree { dirs, leaves },
        stats,
        dir_ctimes: dir_changed,
        extraneous: extra,
        stale_temps: leftovers,
        skipped: left_out,
        started,
        uid: user,
    }
}

/// Makes all but the first name of a file that has several hard links to the first.
fn mark_hard_links(leaves: &mut [Leaf], stats: &[Stat]) {
    let mut first: HashMap<(u64, u64), LeafId> = HashMap::new();
    for (id, (leaf, stat)) in (0..).zip(leaves.iter_mut().zip(stats)) {
        if stat.links > 1 && matches!(leaf.kind, LeafKind::File(_)) {
            match first.entry((stat.device, stat.inode)) {
                hash_map::Entry::Vacant(free) => {
                    free.insert(LeafId(id));
                }
                hash_map::Entry::Occupied(known) => {
                    leaf.kind = LeafKind::HardLink(*known.get());
                    leaf.attributes = Box::default();
                }
            }
        }
    }
}
