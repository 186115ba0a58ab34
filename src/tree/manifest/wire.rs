//! The tree of a manifest as it is encoded. The order of fields is part of the format.

use serde::{Deserialize, Serialize};

use super::contents::Manifest;
use super::validate::{valid_extents, valid_time, validate_tree};
use crate::digest::Digest;
use crate::fs::xattrs::Attribute;
use crate::fs::{Extent, Timestamp};
use crate::tree::model::{
    Content, ContentLocation, Directory, FileData, Leaf, LeafId, LeafKind, Tree,
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

/// Encoded as bytes, not as a list of numbers.
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
        Self {
            scanned: manifest.scanned_at,
            packs: manifest.packs.clone(),
            dirs: manifest.tree.dirs().iter().map(WireDir::from).collect(),
            leaves: manifest.tree.leaves().iter().map(WireLeaf::from).collect(),
        }
    }
}

impl<'a> From<&'a Directory> for WireDir<'a> {
    fn from(dir: &'a Directory) -> Self {
        Self {
            name: Name(&dir.name),
            mode: dir.mode,
            modified: dir.mtime,
            attributes: dir.attributes.to_vec(),
            dirs: dir.dirs.end - dir.dirs.start,
            leaves: dir.leaves.end - dir.leaves.start,
        }
    }
}

impl<'a> From<&'a Leaf> for WireLeaf<'a> {
    fn from(leaf: &'a Leaf) -> Self {
        let kind = match &leaf.kind {
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
        };
        Self {
            name: Name(&leaf.name),
            mode: leaf.mode,
            modified: leaf.mtime,
            attributes: leaf.attributes.to_vec(),
            kind,
        }
    }
}

impl WireBody<'_> {
    /// Numbers the directories and leaves, and validates everything that the rest of the program
    /// relies on.
    pub(super) fn into_manifest(self) -> Result<Manifest, String> {
        let (dir_count, leaf_count) = (self.dirs.len(), self.leaves.len());
        if dir_count == 0 || u32::try_from(dir_count).is_err() || u32::try_from(leaf_count).is_err()
        {
            return Err(format!(
                "it has {dir_count} directories and {leaf_count} leaves"
            ));
        }
        let dirs = into_dirs(self.dirs, leaf_count)?;
        let pack_count = self.packs.len();
        // Collecting into a `Result` would not reserve the capacity.
        let mut leaves = Vec::with_capacity(leaf_count);
        for (id, leaf) in (0..).zip(self.leaves) {
            leaves.push(leaf.into_leaf(id, pack_count)?);
        }
        let mut tree = Tree { dirs, leaves };
        validate_tree(&mut tree)?;
        Ok(Manifest {
            scanned_at: valid_time(self.scanned)?,
            packs: self.packs,
            tree,
        })
    }
}

/// Directories with the ranges that follow from their numbers of subdirectories and leaves. Their
/// parents are not set yet.
fn into_dirs(wire: Vec<WireDir<'_>>, leaf_count: usize) -> Result<Vec<Directory>, String> {
    let dir_count = wire.len();
    let mut dirs = Vec::with_capacity(dir_count);
    let (mut next_dir, mut next_leaf) = (1_u32, 0_u32);
    for dir in wire {
        let end_dir = next_dir
            .checked_add(dir.dirs)
            .ok_or("too many directories")?;
        let end_leaf = next_leaf.checked_add(dir.leaves).ok_or("too many leaves")?;
        dirs.push(Directory {
            name: dir.name.0.into(),
            parent: Tree::TOP,
            mode: dir.mode & 0o7777,
            mtime: valid_time(dir.modified)?,
            attributes: dir.attributes.into(),
            dirs: next_dir..end_dir,
            leaves: next_leaf..end_leaf,
        });
        (next_dir, next_leaf) = (end_dir, end_leaf);
    }
    if (next_dir as usize, next_leaf as usize) == (dir_count, leaf_count) {
        Ok(dirs)
    } else {
        Err("its directories don't add up".to_owned())
    }
}

impl WireLeaf<'_> {
    /// The parent is not set yet.
    fn into_leaf(self, id: u32, pack_count: usize) -> Result<Leaf, String> {
        let kind = self.kind.into_kind(id, pack_count)?;
        Ok(Leaf {
            name: self.name.0.into(),
            parent: Tree::TOP,
            mode: self.mode & 0o7777,
            mtime: valid_time(self.modified)?,
            attributes: self.attributes.into(),
            kind,
        })
    }
}

impl WireKind<'_> {
    fn into_kind(self, id: u32, pack_count: usize) -> Result<LeafKind, String> {
        Ok(match self {
            Self::File { size, content } => {
                if (size == 0) != content.is_none() {
                    return Err(format!("leaf {id} has {size} bytes and does not say where"));
                }
                LeafKind::File(valid_file(id, pack_count, size, Vec::new(), content)?)
            }
            Self::Sparse {
                size,
                content,
                extents,
            } => {
                if !valid_extents(size, &extents) {
                    return Err(format!("the holes of leaf {id} are not in order"));
                }
                if extents.is_empty() != content.is_none() {
                    return Err(format!("leaf {id} has data and does not say where"));
                }
                LeafKind::File(valid_file(id, pack_count, size, extents, content)?)
            }
            Self::Symlink(Name(target)) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(format!("the symlink {id} has an impossible target"));
                }
                LeafKind::Symlink(target.into())
            }
            Self::HardLink(first) => {
                if first.0 >= id {
                    return Err(format!("the link {id} does not point backwards"));
                }
                LeafKind::HardLink(first)
            }
        })
    }
}

fn valid_file(
    id: u32,
    pack_count: usize,
    size: u64,
    extents: Vec<Extent>,
    content: Option<Content>,
) -> Result<FileData, String> {
    if i64::try_from(size).is_err() {
        return Err(format!(
            "leaf {id} has {size} bytes, which no file can have"
        ));
    }
    if let Some(Content {
        location: ContentLocation::Pack(pack),
        ..
    }) = content
        && pack as usize >= pack_count
    {
        return Err(format!("leaf {id} lies in pack {pack} of {pack_count}"));
    }
    Ok(FileData {
        size,
        extents: extents.into(),
        content,
    })
}
