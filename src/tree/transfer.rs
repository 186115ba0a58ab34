//! What the stamp of one manifest says about the files of another one (pure).
//!
//! A state of a file says that an inode had certain contents and attributes at a ctime; the one of a
//! directory, that it had no names but certain ones, and certain attributes. Neither depends on the
//! rest of the manifest. So both hold for every manifest that has the same contents, or these names
//! and perhaps more, with the same attributes at the same path.

use super::compare::{is_same_file, match_dirs};
use super::model::{DirId, LeafKind, Tree};
use super::stamp::Stamp;

/// A stamp for the manifest of `to`, by the one for that of `from`.
pub(crate) fn transfer(known: &Stamp, from: &Tree, to: &Tree) -> Stamp {
    let mut stamp = Stamp::for_tree(to);
    let matched = match_dirs(to, from);
    for (id, leaf) in to.leaf_ids().zip(to.leaves()) {
        let former = matched[leaf.parent.index()]
            .and_then(|parent| from.find_leaf(parent, &leaf.name))
            .filter(|former| match (&from[*former].kind, &leaf.kind) {
                (LeafKind::File(former), LeafKind::File(file)) => is_same_file(former, file),
                _ => false,
            })
            .filter(|former| from[*former].attributes == leaf.attributes);
        stamp.set_leaf(id, former.and_then(|former| known.leaf(former)));
    }
    for id in to.dir_ids() {
        let former = matched[id.index()]
            .filter(|former| from[*former].attributes == to[id].attributes)
            .filter(|former| has_all_names(to, id, (from, *former)));
        stamp.set_dir(id, former.and_then(|former| known.dir(former)));
    }
    stamp
}

/// Whether a directory has all names that another one has, for the same kinds.
fn has_all_names(tree: &Tree, dir: DirId, (other, other_dir): (&Tree, DirId)) -> bool {
    let has_leaf = |name: &[u8]| tree.find_leaf(dir, name).is_some();
    let has_dir = |name: &[u8]| tree.find_dir(dir, name).is_some();
    other
        .leaves_in(other_dir)
        .all(|(_, leaf)| has_leaf(&leaf.name))
        && other.dirs_in(other_dir).all(|(_, dir)| has_dir(&dir.name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::digest::Digest;
    use crate::fs::{Stat, Timestamp, files};
    use crate::tree::model::{Content, ContentLocation, Directory, FileData, Leaf, LeafId};
    use crate::tree::stamp::InodeState;

    /// A tree with one root that has files of these names and contents, and a directory.
    fn tree(files: &[(&str, &str)], dir: &str) -> Tree {
        let directory = |name: &str, parent, dirs, leaves| Directory {
            name: name.as_bytes().into(),
            parent: DirId(parent),
            mode: 0o755,
            mtime: Timestamp::default(),
            attributes: Box::default(),
            dirs,
            leaves,
        };
        let count = u32::try_from(files.len()).unwrap();
        let file = |(name, text): &(&str, &str)| Leaf {
            name: name.as_bytes().into(),
            parent: DirId(1),
            mode: 0o644,
            mtime: Timestamp::default(),
            attributes: crate::tree::RareList::default(),
            kind: LeafKind::File(FileData {
                size: text.len() as u64,
                extents: crate::tree::RareList::default(),
                content: Some(Content {
                    digest: Digest::of(text.as_bytes()),
                    location: ContentLocation::Blob,
                }),
            }),
        };
        Tree {
            dirs: vec![
                directory("", 0, 1..2, 0..0),
                directory("root", 0, 2..3, 0..count),
                directory(dir, 1, 3..3, count..count),
            ],
            leaves: files.iter().map(file).collect(),
        }
    }

    fn state(inode: u64) -> InodeState {
        let stat = Stat {
            inode,
            ctime: Timestamp {
                seconds: 1,
                nanoseconds: 1,
            },
            ..files::stat(Path::new("/")).unwrap().unwrap()
        };
        InodeState::of(&stat).unwrap()
    }

    /// A stamp with a state of each leaf and directory.
    fn stamp(tree: &Tree) -> Stamp {
        let mut stamp = Stamp::for_tree(tree);
        for leaf in tree.leaf_ids() {
            stamp.set_leaf(leaf, Some(state(leaf.0.into())));
        }
        for dir in tree.dir_ids() {
            stamp.set_dir(dir, Some(state(u64::from(dir.0) + 100)));
        }
        stamp.restamped = Some(Timestamp::default());
        stamp
    }

    #[test]
    fn only_files_with_the_same_path_and_contents_keep_their_states() {
        let from = tree(&[("b", "same"), ("c", "one"), ("d", "gone")], "sub");
        let to = tree(&[("a", "new"), ("b", "same"), ("c", "two")], "sub");
        let moved = transfer(&stamp(&from), &from, &to);
        let states: Vec<_> = to.leaf_ids().map(|leaf| moved.leaf(leaf)).collect();
        assert_eq!(states, [None, Some(state(0)), None]);
        assert_eq!(
            moved.restamped, None,
            "it is about files of another manifest"
        );
        let linked = |mut tree: Tree| {
            tree.leaves[1].kind = LeafKind::HardLink(LeafId(0));
            tree
        };
        let (from, to) = (linked(from), linked(to));
        assert_eq!(transfer(&stamp(&from), &from, &to).leaf(LeafId(1)), None);
    }

    #[test]
    fn a_directory_keeps_its_state_where_no_name_became_extraneous() {
        let dirs = |from: &Tree, to: &Tree| {
            let moved = transfer(&stamp(from), from, to);
            [moved.dir(DirId(1)), moved.dir(DirId(2))]
        };
        let from = tree(&[("a", "x")], "sub");
        let more = tree(&[("a", "y"), ("b", "z")], "sub");
        assert_eq!(dirs(&from, &more), [Some(state(101)), Some(state(102))]);
        assert_eq!(dirs(&more, &from), [None, Some(state(102))]);
        assert_eq!(dirs(&from, &tree(&[("a", "x")], "other")), [None, None]);
        // A file and a directory of the same name.
        assert_eq!(dirs(&from, &tree(&[("sub", "x")], "a")), [None, None]);
    }
}
