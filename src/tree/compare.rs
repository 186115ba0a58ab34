//! The contents of files that need not be read, because a manifest has them (pure).

use super::manifest::Manifest;
use super::scan::Scan;
use super::{DirId, FileData, Leaf, LeafId, LeafKind, Tree};
use crate::tree::stamps::RootStamps;

/// The contents of the scan's files that did not change since their roots were seen to be as the
/// manifest says, in the order of the scan's leaves.
///
/// A file counts as unchanged when it is untouched since then ([`RootStamps::untouched`]), and its
/// size and modification time to the nanosecond are those of the manifest.
pub fn unchanged_contents<'m>(
    scan: &Scan,
    manifest: &'m Manifest,
    seen: &RootStamps,
) -> Vec<Option<&'m FileData>> {
    let mut found = vec![None; scan.tree.leaves().len()];
    let untouched = seen.untouched(scan);
    // Pairs of directories with the same path, in the scan and in the manifest.
    let mut pairs = vec![(Tree::TOP, Tree::TOP)];
    while let Some((here, there)) = pairs.pop() {
        for (id, leaf) in scan.tree.leaves_in(here) {
            let other = manifest.tree.find_leaf(there, &leaf.name);
            if let Some(other) = other.filter(|_| untouched[id.index()]) {
                found[id.index()] = same_file(leaf, &manifest.tree, other);
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

fn same_file<'m>(leaf: &Leaf, tree: &'m Tree, other: LeafId) -> Option<&'m FileData> {
    let LeafKind::File(present) = &leaf.kind else {
        return None;
    };
    let other = resolve_hard_link(tree, other);
    let LeafKind::File(known) = &other.kind else {
        return None;
    };
    (present.size == known.size && leaf.mtime == other.mtime).then_some(known)
}

/// Whether two trees hold the same names, contents, modes and times of files.
///
/// Times of directories don't count: looking into a directory is enough for some programs to change
/// them. Nor does where the store keeps the contents.
pub fn is_same(one: &Tree, other: &Tree) -> bool {
    // Both are numbered in the same way, so equal trees have equal numbers.
    let dirs = |tree: &'_ Tree| tree.dirs().len();
    let leaves = |tree: &'_ Tree| tree.leaves().len();
    dirs(one) == dirs(other)
        && leaves(one) == leaves(other)
        && one.dirs().iter().zip(other.dirs()).all(|(a, b)| {
            (&a.name, a.parent, a.mode, &a.attributes) == (&b.name, b.parent, b.mode, &b.attributes)
        })
        && one
            .leaves()
            .iter()
            .zip(other.leaves())
            .all(|(a, b)| is_same_leaf(a, b))
}

fn is_same_leaf(one: &Leaf, other: &Leaf) -> bool {
    let digest = |file: &FileData| file.content.map(|content| content.digest);
    (&one.name, one.parent, &one.attributes) == (&other.name, other.parent, &other.attributes)
        && match (&one.kind, &other.kind) {
            (LeafKind::File(a), LeafKind::File(b)) => {
                (one.mode, one.mtime, a.size, &a.extents, digest(a))
                    == (other.mode, other.mtime, b.size, &b.extents, digest(b))
            }
            (LeafKind::Symlink(a), LeafKind::Symlink(b)) => a == b,
            (LeafKind::HardLink(a), LeafKind::HardLink(b)) => a == b,
            _ => false,
        }
}

/// The file that a leaf is a name of.
pub(super) fn resolve_hard_link(tree: &Tree, leaf: LeafId) -> &Leaf {
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
        matched[id.index()] =
            matched[dir.parent.index()].and_then(|parent| other.find_dir(parent, &dir.name));
    }
    matched
}
