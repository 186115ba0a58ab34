//! Compares trees, and finds files whose contents are known from a manifest (pure).

use super::manifest::Manifest;
use super::model::{DirId, FileData, Leaf, LeafId, LeafKind, Tree};
use super::scan::Scan;
use super::stamp::Stamp;

/// The known contents of a scan's files: those that did not change since they matched the manifest.
/// One item for each leaf of the scan.
///
/// A file counts as unchanged if its stamp says so and if its size and its mtime, to the nanosecond,
/// equal those in the manifest.
pub(crate) fn unchanged_contents<'m>(
    scan: &Scan,
    manifest: &'m Manifest,
    stamp: &Stamp,
) -> Vec<Option<&'m FileData>> {
    let mut contents = vec![None; scan.tree.leaves().len()];
    // Directories with the same path, in the scan and in the manifest.
    let mut pairs = vec![(Tree::TOP, Tree::TOP)];
    while let Some((scanned, known)) = pairs.pop() {
        for (id, leaf) in scan.tree.leaves_in(scanned) {
            let known = manifest.tree.find_leaf(known, &leaf.name);
            let known = known.map(|known| first_name(&manifest.tree, known));
            let stat = &scan.stats[id.index()];
            if let Some(known) = known.filter(|known| stamp.is_unchanged(*known, stat)) {
                contents[id.index()] = contents_if_same(leaf, &manifest.tree[known]);
            }
        }
        for (id, dir) in scan.tree.dirs_in(scanned) {
            if let Some(known) = manifest.tree.find_dir(known, &dir.name) {
                pairs.push((id, known));
            }
        }
    }
    contents
}

fn contents_if_same<'m>(leaf: &Leaf, known: &'m Leaf) -> Option<&'m FileData> {
    let (LeafKind::File(file), LeafKind::File(known_file)) = (&leaf.kind, &known.kind) else {
        return None;
    };
    (file.size == known_file.size && leaf.mtime == known.mtime).then_some(known_file)
}

/// Whether two trees have the same names, contents, modes and file times.
///
/// Times of directories are ignored, because some programs change them by only listing a directory.
/// So is the location of the contents in the store.
pub(crate) fn is_same(a: &Tree, b: &Tree) -> bool {
    // Equal trees number their directories and leaves equally.
    a.dirs().len() == b.dirs().len()
        && a.leaves().len() == b.leaves().len()
        && a.dirs().iter().zip(b.dirs()).all(|(a, b)| {
            (&a.name, a.parent, a.mode, &a.attributes) == (&b.name, b.parent, b.mode, &b.attributes)
        })
        && a.leaves()
            .iter()
            .zip(b.leaves())
            .all(|(a, b)| is_same_leaf(a, b))
}

fn is_same_leaf(a: &Leaf, b: &Leaf) -> bool {
    (&a.name, a.parent, &a.attributes) == (&b.name, b.parent, &b.attributes)
        && match (&a.kind, &b.kind) {
            (LeafKind::File(a_file), LeafKind::File(b_file)) => {
                (a.mode, a.mtime) == (b.mode, b.mtime) && is_same_file(a_file, b_file)
            }
            (LeafKind::Symlink(a), LeafKind::Symlink(b)) => a == b,
            (LeafKind::HardLink(a), LeafKind::HardLink(b)) => a == b,
            _ => false,
        }
}

pub(super) fn is_same_file(a: &FileData, b: &FileData) -> bool {
    let digest = |file: &FileData| file.content.map(|content| content.digest);
    (a.size, &a.extents, digest(a)) == (b.size, &b.extents, digest(b))
}

/// The first name of a leaf's file, which is the leaf itself unless it is a hard link.
pub(super) fn first_name(tree: &Tree, leaf: LeafId) -> LeafId {
    match tree[leaf].kind {
        LeafKind::HardLink(first) => first,
        LeafKind::File(_) | LeafKind::Symlink(_) => leaf,
    }
}

/// For each directory of `tree`, the directory of `other` with the same path.
pub(crate) fn match_dirs(tree: &Tree, other: &Tree) -> Vec<Option<DirId>> {
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

/// For each leaf of `tree`, the leaf of `other` with the same path.
pub(crate) fn match_leaves(tree: &Tree, other: &Tree) -> Vec<Option<LeafId>> {
    let matched = match_dirs(tree, other);
    let leaves = tree.leaves().iter();
    leaves
        .map(|leaf| other.find_leaf(matched[leaf.parent.index()]?, &leaf.name))
        .collect()
}
