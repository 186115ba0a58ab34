//! Validates what a manifest claims, because somebody may have forged it.

use crate::fs::{Extent, Timestamp};
use crate::tree::model::{ContentLocation, DirId, FileData, Leaf, LeafKind, Tree};

/// Sets the parents of all directories and leaves, and validates names and hard links.
pub(super) fn validate_tree(tree: &mut Tree, pack_count: usize) -> Result<(), String> {
    validate_packs(tree, pack_count)?;
    set_parents(tree)?;
    for id in (0..).map(DirId).take(tree.dirs.len()) {
        validate_names(tree, id)?;
    }
    validate_links(tree)
}

pub(super) fn valid_time(time: Timestamp) -> Result<Timestamp, String> {
    if time.nanoseconds < 1_000_000_000 {
        Ok(time)
    } else {
        Err("it has an impossible time".to_owned())
    }
}

/// Whether extents are in order, do not overlap, and end within the file.
pub(super) fn valid_extents(size: u64, extents: &[Extent]) -> bool {
    let mut end = 0;
    for extent in extents {
        if extent.offset < end || extent.length == 0 {
            return false;
        }
        match extent.offset.checked_add(extent.length) {
            Some(sum) => end = sum,
            None => return false,
        }
    }
    end <= size
}

fn set_parents(tree: &mut Tree) -> Result<(), String> {
    for id in 0..tree.dirs.len() {
        let (subdirs, leaves) = (tree.dirs[id].dirs.clone(), tree.dirs[id].leaves.clone());
        let parent = DirId(u32::try_from(id).unwrap_or(u32::MAX));
        // Breadth-first order puts a directory before its subdirectories. Anything else could be a
        // circle.
        if !subdirs.is_empty() && subdirs.start as usize <= id {
            return Err(format!("directory {id} stands in itself"));
        }
        for subdir in subdirs {
            tree.dirs[subdir as usize].parent = parent;
        }
        for leaf in leaves {
            tree.leaves[leaf as usize].parent = parent;
        }
    }
    Ok(())
}

fn validate_packs(tree: &Tree, pack_count: usize) -> Result<(), String> {
    for (id, leaf) in tree.leaves.iter().enumerate() {
        if let LeafKind::File(FileData { content, .. }) = &leaf.kind
            && let Some(ContentLocation::Pack(pack)) = content.map(|content| content.location)
            && pack as usize >= pack_count
        {
            return Err(format!("leaf {id} lies in pack {pack} of {pack_count}"));
        }
    }
    Ok(())
}

fn validate_names(tree: &Tree, dir: DirId) -> Result<(), String> {
    let dirs: Vec<_> = tree.dirs_in(dir).map(|(_, dir)| &*dir.name).collect();
    let leaves: Vec<_> = tree.leaves_in(dir).map(|(_, leaf)| &*leaf.name).collect();
    for names in [&dirs, &leaves] {
        // Roots may have any name: it is only looked up in the caller's list.
        let is_valid =
            |name: &&[u8]| !name.contains(&0) && (dir == Tree::TOP || is_component(name));
        if !names.iter().all(is_valid) {
            return Err("it has a name that no file can have".to_owned());
        }
        if !names.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("its names are not in order".to_owned());
        }
    }
    if dirs.iter().any(|name| leaves.binary_search(name).is_ok()) {
        return Err("it has a name twice".to_owned());
    }
    Ok(())
}

fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/')
}

fn validate_links(tree: &Tree) -> Result<(), String> {
    let points_to_file = |leaf: &Leaf| match leaf.kind {
        LeafKind::HardLink(first) => matches!(tree[first].kind, LeafKind::File(_)),
        LeafKind::File(_) | LeafKind::Symlink(_) => true,
    };
    if tree.leaves.iter().all(points_to_file) {
        Ok(())
    } else {
        Err("it has a link to a link".to_owned())
    }
}
