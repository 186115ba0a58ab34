//! The tree of a manifest as it is encoded. The order of fields is part of the format.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::contents::Manifest;
use super::validate::{valid_extents, valid_time, validate_tree};
use crate::digest::Digest;
use crate::fs::xattrs::Attribute;
use crate::fs::{Extent, Timestamp};
use crate::tree::model::{Content, Directory, FileData, Leaf, LeafId, LeafKind, Tree};
use crate::tree::name::EncodedBytes;

/// The lists are encoded and decoded item by item: as a whole, they would take as much memory as
/// the tree.
#[derive(Serialize, Deserialize)]
pub(super) struct WireBody<D, L> {
    scanned: Timestamp,
    packs: Vec<Digest>,
    dirs: D,
    leaves: L,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireDir<'a> {
    #[serde(borrow)]
    name: EncodedBytes<'a>,
    mode: u32,
    modified: Timestamp,
    attributes: Vec<Attribute>,
    dirs: u32,
    leaves: u32,
}

#[derive(Serialize, Deserialize)]
struct WireLeaf<'a> {
    #[serde(borrow)]
    name: EncodedBytes<'a>,
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
    Symlink(EncodedBytes<'a>),
    HardLink(LeafId),
}

/// The directories of a tree, encoded one after another.
pub(super) struct EncodedDirs<'a>(&'a Tree);

impl Serialize for EncodedDirs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.dirs().iter().map(WireDir::from))
    }
}

/// The leaves of a tree, encoded one after another.
pub(super) struct EncodedLeaves<'a>(&'a Tree);

impl Serialize for EncodedLeaves<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.leaves().iter().map(WireLeaf::from))
    }
}

/// Leaves, decoded one after another. Their parents are not set yet.
pub(super) struct DecodedLeaves {
    leaves: Vec<Leaf>,
    /// What is wrong with the first leaf that is not valid. There are none from it on.
    defect: Option<String>,
}

impl<'de> Deserialize<'de> for DecodedLeaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LeavesVisitor)
    }
}

/// Room is made for at most so many items before they are decoded: the count may be forged. While a
/// list grows, it leaves holes of its earlier lengths in memory.
const RESERVED: usize = 1 << 20;

struct LeavesVisitor;

impl<'de> Visitor<'de> for LeavesVisitor {
    type Value = DecodedLeaves;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of leaves")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<DecodedLeaves, A::Error> {
        let mut decoded = DecodedLeaves {
            leaves: Vec::with_capacity(list.size_hint().unwrap_or(0).min(RESERVED)),
            defect: None,
        };
        while let Some(wire) = list.next_element::<WireLeaf<'_>>()? {
            if decoded.defect.is_some() {
                continue;
            }
            match wire.into_leaf(decoded.leaves.len()) {
                Ok(leaf) => decoded.leaves.push(leaf),
                Err(reason) => decoded.defect = Some(reason),
            }
        }
        Ok(decoded)
    }
}

impl<'a> From<&'a Manifest> for WireBody<EncodedDirs<'a>, EncodedLeaves<'a>> {
    fn from(manifest: &'a Manifest) -> Self {
        Self {
            scanned: manifest.scanned_at,
            packs: manifest.packs.clone(),
            dirs: EncodedDirs(&manifest.tree),
            leaves: EncodedLeaves(&manifest.tree),
        }
    }
}

impl<'a> From<&'a Directory> for WireDir<'a> {
    fn from(dir: &'a Directory) -> Self {
        Self {
            name: EncodedBytes(&dir.name),
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
            LeafKind::Symlink(target) => WireKind::Symlink(EncodedBytes(target)),
            LeafKind::HardLink(first) => WireKind::HardLink(*first),
        };
        Self {
            name: EncodedBytes(&leaf.name),
            mode: leaf.mode,
            modified: leaf.mtime,
            attributes: leaf.attributes.to_vec(),
            kind,
        }
    }
}

impl WireBody<Vec<WireDir<'_>>, DecodedLeaves> {
    /// Numbers the directories and leaves, and validates everything that the rest of the program
    /// relies on.
    pub(super) fn into_manifest(self) -> Result<Manifest, String> {
        let DecodedLeaves { leaves, defect } = self.leaves;
        if let Some(defect) = defect {
            return Err(defect);
        }
        let (dir_count, leaf_count) = (self.dirs.len(), leaves.len());
        if dir_count == 0 || u32::try_from(dir_count).is_err() || u32::try_from(leaf_count).is_err()
        {
            return Err(format!(
                "it has {dir_count} directories and {leaf_count} leaves"
            ));
        }
        let dirs = into_dirs(self.dirs, leaf_count)?;
        let mut tree = Tree { dirs, leaves };
        validate_tree(&mut tree, self.packs.len())?;
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
    fn into_leaf(self, id: usize) -> Result<Leaf, String> {
        let kind = self.kind.into_kind(id)?;
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
    fn into_kind(self, id: usize) -> Result<LeafKind, String> {
        Ok(match self {
            Self::File { size, content } => {
                if (size == 0) != content.is_none() {
                    return Err(format!("leaf {id} has {size} bytes and does not say where"));
                }
                LeafKind::File(valid_file(id, size, Vec::new(), content)?)
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
                LeafKind::File(valid_file(id, size, extents, content)?)
            }
            Self::Symlink(EncodedBytes(target)) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(format!("the symlink {id} has an impossible target"));
                }
                LeafKind::Symlink(target.into())
            }
            Self::HardLink(first) => {
                if first.index() >= id {
                    return Err(format!("the link {id} does not point backwards"));
                }
                LeafKind::HardLink(first)
            }
        })
    }
}

fn valid_file(
    id: usize,
    size: u64,
    extents: Vec<Extent>,
    content: Option<Content>,
) -> Result<FileData, String> {
    if i64::try_from(size).is_err() {
        return Err(format!(
            "leaf {id} has {size} bytes, which no file can have"
        ));
    }
    Ok(FileData {
        size,
        extents: extents.into(),
        content,
    })
}
