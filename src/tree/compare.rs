//! Which files of a scan are as a manifest has them, so that their contents need not be read (pure).

use super::manifest::Manifest;
use super::scan::Scan;
use super::{DirId, FileData, Leaf, LeafId, LeafKind, Tree};
use crate::fs::Timestamp;

/// The contents of the scan's files that did not change since the manifest was made, in the order of its leaves.
///
/// A file is taken for unchanged when its size and modification time to the nanosecond are those of the manifest,
/// unless these may not tell: see [`Manifest::tells`].
pub fn unchanged<'m>(scan: &Scan, manifest: &'m Manifest) -> Vec<Option<&'m FileData>> {
    let mut found = vec![None; scan.tree.leaves().len()];
    // Pairs of directories with the same path, in the scan and in the manifest.
    let mut pairs = vec![(Tree::TOP, Tree::TOP)];
    while let Some((here, there)) = pairs.pop() {
        for (id, leaf) in scan.tree.leaves_in(here) {
            if let Some(other) = manifest.tree.find_leaf(there, &leaf.name) {
                let changed = scan.stats[id.0 as usize].changed;
                found[id.0 as usize] = same_file(leaf, changed, other, manifest);
            }
        }
        for (id, dir) in scan.tree.dirs_in(here) {
            if let Some(other) = manifest.tree.find_dir(there, &dir.name) {
                pairs.push((id, other));
            }
        }
    }
    found
}

fn same_file<'m>(
    leaf: &Leaf,
    changed: Timestamp,
    other: LeafId,
    manifest: &'m Manifest,
) -> Option<&'m FileData> {
    let LeafKind::File(present) = &leaf.kind else { return None };
    let other = resolve(&manifest.tree, other);
    let LeafKind::File(known) = &other.kind else { return None };
    let same = present.size == known.size && leaf.modified == other.modified;
    (same && manifest.tells(other.modified, changed)).then_some(known)
}

/// Whether two trees hold the same names, contents, modes and times of files.
///
/// Times of directories don't count: looking into a directory is enough for some programs to change them. Nor does where
/// the store keeps the contents.
pub fn is_same(one: &Tree, other: &Tree) -> bool {
    // Both are numbered in the same way, so equal trees have equal numbers.
    let dirs = |tree: &'_ Tree| tree.dirs().len();
    let leaves = |tree: &'_ Tree| tree.leaves().len();
    dirs(one) == dirs(other)
        && leaves(one) == leaves(other)
        && one.dirs().iter().zip(other.dirs()).all(|(a, b)| {
            (&a.name, a.parent, a.mode, &a.attributes) == (&b.name, b.parent, b.mode, &b.attributes)
        })
        && one.leaves().iter().zip(other.leaves()).all(|(a, b)| is_same_leaf(a, b))
}

fn is_same_leaf(one: &Leaf, other: &Leaf) -> bool {
    let digest = |file: &FileData| file.content.map(|content| content.digest);
    (&one.name, one.parent, &one.attributes) == (&other.name, other.parent, &other.attributes)
        && match (&one.kind, &other.kind) {
            (LeafKind::File(a), LeafKind::File(b)) => {
                (one.mode, one.modified, a.size, &a.extents, digest(a))
                    == (other.mode, other.modified, b.size, &b.extents, digest(b))
            }
            (LeafKind::Symlink(a), LeafKind::Symlink(b)) => a == b,
            (LeafKind::HardLink(a), LeafKind::HardLink(b)) => a == b,
            _ => false,
        }
}

/// The file that a leaf is a name of.
pub(super) fn resolve(tree: &Tree, leaf: LeafId) -> &Leaf {
    match tree[leaf].kind {
        LeafKind::HardLink(first) => &tree[first],
        LeafKind::File(_) | LeafKind::Symlink(_) => &tree[leaf],
    }
}

/// The directory of `other` with the same path as `dir` of `tree`, for each directory of `tree`.
pub(super) fn match_dirs(tree: &Tree, other: &Tree) -> Vec<Option<DirId>> {
    let mut matched = vec![None; tree.dirs().len()];
    if let Some(top) = matched.first_mut() {
        *top = Some(Tree::TOP);
    }
    for id in tree.dir_ids() {
        let dir = &tree[id];
        matched[id.0 as usize] =
            matched[dir.parent.0 as usize].and_then(|parent| other.find_dir(parent, &dir.name));
    }
    matched
}
