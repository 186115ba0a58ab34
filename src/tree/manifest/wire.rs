//! The tree of a manifest as it is written, and the check of all that the rest of the program
//! relies on.

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::digest::Digest;
use crate::fs::xattrs::Attribute;
use crate::fs::{Extent, Timestamp};
use crate::tree::model::{
    Content, ContentLocation, DirId, Directory, FileData, Leaf, LeafId, LeafKind, Tree,
};

#[derive(Serialize, Deserialize)]
pub(super) struct WireBody<'a> {
    scanned: Timestamp,
    packs: Vec<Digest>,
    #[serde(borrow)]
    dirs: Vec<WireDir<'a>>,
    #[serde(borrow)]
    leaves: Vec<WireLeaf<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WireDir<'a> {
    #[serde(borrow)]
    name: Name<'a>,
    mode: u32,
    modified: Timestamp,
    attributes: Vec<Attribute>,
    dirs: u32,
    leaves: u32,
}

#[derive(Serialize, Deserialize)]
struct WireLeaf<'a> {
    #[serde(borrow)]
    name: Name<'a>,
    mode: u32,
    modified: Timestamp,
    attributes: Vec<Attribute>,
    #[serde(borrow)]
    kind: WireKind<'a>,
}

#[derive(Serialize, Deserialize)]
enum WireKind<'a> {
    File {
        size: u64,
        content: Option<Content>,
    },
    Sparse {
        size: u64,
        content: Option<Content>,
        extents: Vec<Extent>,
    },
    #[serde(borrow)]
    Symlink(Name<'a>),
    HardLink(LeafId),
}

/// Bytes written as bytes, not as a list of numbers.
struct Name<'a>(&'a [u8]);

impl Serialize for Name<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Name)
    }
}

impl<'a> From<&'a Manifest> for WireBody<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        let dirs = manifest.tree.dirs.iter().map(|dir| WireDir {
            name: Name(&dir.name),
            mode: dir.mode,
            modified: dir.mtime,
            attributes: dir.attributes.to_vec(),
            dirs: dir.dirs.end - dir.dirs.start,
            leaves: dir.leaves.end - dir.leaves.start,
        });
        let leaves = manifest.tree.leaves.iter().map(|leaf| WireLeaf {
            name: Name(&leaf.name),
            mode: leaf.mode,
            modified: leaf.mtime,
            attributes: leaf.attributes.to_vec(),
            kind: match &leaf.kind {
                LeafKind::File(file)
                    if file.extents.is_empty() && (file.size == 0 || file.content.is_some()) =>
                {
                    WireKind::File {
                        size: file.size,
                        content: file.content,
                    }
                }
                LeafKind::File(file) => WireKind::Sparse {
                    size: file.size,
                    content: file.content,
                    extents: file.extents.to_vec(),
                },
                LeafKind::Symlink(target) => WireKind::Symlink(Name(target)),
                LeafKind::HardLink(first) => WireKind::HardLink(*first),
            },
        });
        Self {
            scanned: manifest.scanned_at,
            packs: manifest.packs.clone(),
            dirs: dirs.collect(),
            leaves: leaves.collect(),
        }
    }
}

impl WireBody<'_> {
    /// Numbers the directories and leaves and checks all that the rest of the program relies on.
    pub(super) fn into_manifest(self) -> Result<Manifest, String> {
        let (dir_count, leaf_count) = (self.dirs.len(), self.leaves.len());
        if dir_count == 0 || u32::try_from(dir_count).is_err() || u32::try_from(leaf_count).is_err()
        {
            return Err(format!(
                "it has {dir_count} directories and {leaf_count} leaves"
            ));
        }
        let mut dirs = Vec::with_capacity(dir_count);
        let (mut next_dir, mut next_leaf) = (1_u32, 0_u32);
        for wire in self.dirs {
            let subdirs = next_dir
                ..next_dir
                    .checked_add(wire.dirs)
                    .ok_or("too many directories")?;
            let leaves = next_leaf
                ..next_leaf
                    .checked_add(wire.leaves)
                    .ok_or("too many leaves")?;
            (next_dir, next_leaf) = (subdirs.end, leaves.end);
            dirs.push(Directory {
                name: wire.name.0.into(),
                parent: Tree::TOP,
                mode: wire.mode & 0o7777,
                mtime: checked(wire.modified)?,
                attributes: wire.attributes.into(),
                dirs: subdirs,
                leaves,
            });
        }
        if (next_dir as usize, next_leaf as usize) != (dir_count, leaf_count) {
            return Err("its directories don't add up".to_owned());
        }
        let mut leaves = Vec::with_capacity(leaf_count);
        for (id, wire) in (0..).zip(self.leaves) {
            leaves.push(wire.into_leaf(id, self.packs.len())?);
        }
        let mut tree = Tree { dirs, leaves };
        number_parents(&mut tree)?;
        check_names(&tree)?;
        check_links(&tree)?;
        Ok(Manifest {
            scanned_at: checked(self.scanned)?,
            packs: self.packs,
            tree,
        })
    }
}

impl WireLeaf<'_> {
    fn into_leaf(self, id: u32, packs: usize) -> Result<Leaf, String> {
        let kind = match self.kind {
            WireKind::File { size, content } => {
                if (size == 0) != content.is_none() {
                    return Err(format!("leaf {id} has {size} bytes and does not say where"));
                }
                LeafKind::File(FileData {
                    size,
                    extents: Box::default(),
                    content,
                })
            }
            WireKind::Sparse {
                size,
                content,
                extents,
            } => {
                check_extents(size, &extents)
                    .map_err(|()| format!("the holes of leaf {id} are not in order"))?;
                if extents.is_empty() != content.is_none() {
                    return Err(format!("leaf {id} has data and does not say where"));
                }
                LeafKind::File(FileData {
                    size,
                    extents: extents.into(),
                    content,
                })
            }
            WireKind::Symlink(Name(target)) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(format!("the symlink {id} has an impossible target"));
                }
                LeafKind::Symlink(target.into())
            }
            WireKind::HardLink(first) => {
                if first.0 >= id {
                    return Err(format!("the link {id} does not point backwards"));
                }
                LeafKind::HardLink(first)
            }
        };
        if let LeafKind::File(FileData { size, .. }) = kind
            && i64::try_from(size).is_err()
        {
            return Err(format!(
                "leaf {id} has {size} bytes, which no file can have"
            ));
        }
        if let LeafKind::File(FileData {
            content:
                Some(Content {
                    location: ContentLocation::Pack(pack),
                    ..
                }),
            ..
        }) = kind
            && pack as usize >= packs
        {
            return Err(format!("leaf {id} lies in pack {pack} of {packs}"));
        }
        Ok(Leaf {
            name: self.name.0.into(),
            parent: Tree::TOP,
            mode: self.mode & 0o7777,
            mtime: checked(self.modified)?,
            attributes: self.attributes.into(),
            kind,
        })
    }
}

fn checked(time: Timestamp) -> Result<Timestamp, String> {
    if time.nanoseconds < 1_000_000_000 {
        Ok(time)
    } else {
        Err("it has an impossible time".to_owned())
    }
}

fn check_extents(size: u64, extents: &[Extent]) -> Result<(), ()> {
    let mut end = 0;
    for extent in extents {
        if extent.offset < end || extent.length == 0 {
            return Err(());
        }
        end = extent.offset.checked_add(extent.length).ok_or(())?;
    }
    if end <= size { Ok(()) } else { Err(()) }
}

/// Breadth first means that a directory stands before its subdirectories; anything else is made up.
fn number_parents(tree: &mut Tree) -> Result<(), String> {
    for id in 0..tree.dirs.len() {
        let (subdirs, leaves) = (tree.dirs[id].dirs.clone(), tree.dirs[id].leaves.clone());
        let parent = DirId(u32::try_from(id).unwrap_or(u32::MAX));
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

fn check_names(tree: &Tree) -> Result<(), String> {
    for (id, _) in (0..).map(DirId).zip(&tree.dirs) {
        let dirs = tree.dirs_in(id).map(|(_, dir)| &*dir.name);
        let leaves = tree.leaves_in(id).map(|(_, leaf)| &*leaf.name);
        for names in [dirs.collect::<Vec<_>>(), leaves.collect()] {
            let is_component = |name: &&[u8]| {
                !name.is_empty() && ![&b"."[..], b".."].contains(name) && !name.contains(&b'/')
            };
            let roots = id == Tree::TOP;
            if !names
                .iter()
                .all(|name| !name.contains(&0) && (roots || is_component(name)))
            {
                return Err("it has a name that no file can have".to_owned());
            }
            if !names.windows(2).all(|pair| pair[0] < pair[1]) {
                return Err("its names are not in order".to_owned());
            }
        }
        if tree
            .dirs_in(id)
            .any(|(_, dir)| tree.find_leaf(id, &dir.name).is_some())
        {
            return Err("it has a name twice".to_owned());
        }
    }
    Ok(())
}

fn check_links(tree: &Tree) -> Result<(), String> {
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
