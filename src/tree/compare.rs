//! Compares trees, and finds files whose contents are known from a manifest (pure).

use super::manifest::Manifest;
use super::model::{DirId, FileData, Leaf, LeafId, LeafKind, Tree};
use super::scan::Scan;
use super::stamps::{RootStamp, RootStamps};

/// The known contents of a scan's files: those that did not change since their roots matched the
/// manifest. One item for each leaf of the scan.
///
/// A file counts as unchanged if it is [`untouched`] and if its size and its mtime, to the
/// nanosecond, equal those in the manifest.
pub(crate) fn unchanged_contents<'m>(
    scan: &Scan,
    manifest: &'m Manifest,
    stamps: &RootStamps,
) -> Vec<Option<&'m FileData>> {
    let mut contents = vec![None; scan.tree.leaves().len()];
    let untouched = untouched(scan, stamps);
    // Directories with the same path, in the scan and in the manifest.
    let mut pairs = vec![(Tree::TOP, Tree::TOP)];
    while let Some((scanned, known)) = pairs.pop() {
        for (id, leaf) in scan.tree.leaves_in(scanned) {
            let known = manifest.tree.find_leaf(known, &leaf.name);
            if let Some(known) = known.filter(|_| untouched[id.index()]) {
                contents[id.index()] = contents_if_same(leaf, &manifest.tree, known);
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

fn contents_if_same<'m>(leaf: &Leaf, tree: &'m Tree, known: LeafId) -> Option<&'m FileData> {
    let LeafKind::File(file) = &leaf.kind else {
        return None;
    };
    let known = resolve_hard_link(tree, known);
    let LeafKind::File(known_file) = &known.kind else {
        return None;
    };
    (file.size == known_file.size && leaf.mtime == known.mtime).then_some(known_file)
}

/// For each leaf of a scan, whether its ctime shows that it did not change since its root matched
/// the manifest.
pub(super) fn untouched(scan: &Scan, stamps: &RootStamps) -> Vec<bool> {
    let tree = &scan.tree;
    let dir_stamps = dir_stamps(scan, stamps);
    let leaves = tree.leaves().iter().zip(&scan.stats);
    leaves
        .map(|(leaf, stat)| {
            let stamp = match leaf.parent {
                Tree::TOP => stamps.get(&leaf.name),
                parent => dir_stamps[parent.index()],
            };
            stamp.is_some_and(|stamp| stamp.is_clean(stat.ctime))
        })
        .collect()
}

fn dir_stamps(scan: &Scan, stamps: &RootStamps) -> Vec<Option<RootStamp>> {
    let tree = &scan.tree;
    let mut dir_stamps: Vec<Option<RootStamp>> = vec![None; tree.dirs().len()];
    // Parents come before their subdirectories.
    for id in tree.dir_ids() {
        let dir = &tree[id];
        dir_stamps[id.index()] = if dir.parent == Tree::TOP {
            stamps.get(&dir.name)
        } else {
            dir_stamps[dir.parent.index()]
                .and_then(|stamp| stamp.for_subdir(scan.dir_ctimes[id.index()], dir.mtime))
        };
    }
    dir_stamps
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

fn is_same_file(a: &FileData, b: &FileData) -> bool {
    let digest = |file: &FileData| file.content.map(|content| content.digest);
    (a.size, &a.extents, digest(a)) == (b.size, &b.extents, digest(b))
}

/// The file that a leaf is a hard link to; otherwise the leaf itself.
pub(super) fn resolve_hard_link(tree: &Tree, leaf: LeafId) -> &Leaf {
    match tree[leaf].kind {
        LeafKind::HardLink(first) => &tree[first],
        LeafKind::File(_) | LeafKind::Symlink(_) => &tree[leaf],
    }
}

/// For each directory of `tree`, the directory of `other` with the same path.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::fs::Timestamp;
    use crate::tree::roots::Roots;
    use crate::tree::scan::{ScanOptions, scan};

    /// A directory with a file and a subdirectory with a file, made at least a clock tick ago.
    fn sample() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("root/sub")).unwrap();
        fs::write(top.path().join("root/file"), "one").unwrap();
        fs::write(top.path().join("root/sub/file"), "two").unwrap();
        Timestamp::next_file_clock_tick().unwrap();
        top
    }

    /// The paths that are untouched as of a time, in scan order.
    fn untouched_paths(top: &Path, clean_as_of: Option<Timestamp>) -> Vec<String> {
        let roots = Roots::new([((*b"root").into(), top.join("root"))]);
        let found = scan(&roots, &ScanOptions::default()).unwrap();
        let mut stamps = RootStamps::default();
        if let Some(clean_as_of) = clean_as_of {
            stamps.insert(
                b"root",
                RootStamp {
                    clean_as_of,
                    no_extraneous_since: None,
                    restamped: None,
                },
            );
        }
        let leaves = found
            .tree
            .leaf_ids()
            .zip(untouched(&found, &stamps))
            .filter(|(_, untouched)| *untouched);
        leaves
            .map(|(leaf, _)| found.tree.leaf_path(leaf).display().to_string())
            .collect()
    }

    #[test]
    fn a_file_changed_under_its_old_mtime_is_not_untouched() {
        let top = sample();
        let now = Timestamp::next_file_clock_tick().unwrap();
        assert_eq!(
            untouched_paths(top.path(), Some(now)),
            ["root/file", "root/sub/file"]
        );
        assert!(untouched_paths(top.path(), None).is_empty());
        let file = fs::File::options()
            .write(true)
            .open(top.path().join("root/file"))
            .unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        fs::write(top.path().join("root/file"), "six").unwrap();
        file.set_modified(before).unwrap();
        assert_eq!(untouched_paths(top.path(), Some(now)), ["root/sub/file"]);
    }

    #[test]
    fn a_file_changed_in_the_same_clock_tick_is_not_untouched() {
        let top = sample();
        let now = Timestamp::file_clock_now();
        fs::write(top.path().join("root/file"), "six").unwrap();
        assert_eq!(untouched_paths(top.path(), Some(now)), ["root/sub/file"]);
    }

    #[test]
    fn files_below_a_moved_directory_are_not_untouched() {
        let top = sample();
        fs::create_dir(top.path().join("other")).unwrap();
        fs::write(top.path().join("other/file"), "six").unwrap();
        let now = Timestamp::next_file_clock_tick().unwrap();
        fs::rename(top.path().join("root/sub"), top.path().join("old")).unwrap();
        fs::rename(top.path().join("other"), top.path().join("root/sub")).unwrap();
        assert_eq!(untouched_paths(top.path(), Some(now)), ["root/file"]);
    }

    #[test]
    fn a_name_added_to_a_directory_leaves_the_others_untouched() {
        let top = sample();
        let now = Timestamp::next_file_clock_tick().unwrap();
        fs::write(top.path().join("root/sub/new"), "").unwrap();
        assert_eq!(
            untouched_paths(top.path(), Some(now)),
            ["root/file", "root/sub/file"]
        );
    }
}
