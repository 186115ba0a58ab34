//! Reads the metadata of one leaf.

use std::io;

use super::filter::ScanOptions;
use super::guide::GuideEntry;
use super::result::{ScanObstacle, SkipReason};
use super::visit::{ParentDir, ScanName};
use crate::fs::{FileKind, Stat, is_gone, xattrs};
use crate::tree::model::{FileData, Leaf, LeafKind, Tree};
use crate::tree::rare_list::RareList;

/// Reads a name that is not a directory. None if it is gone by now, or if the guide can't have it.
pub(super) fn read_leaf(
    options: &ScanOptions<'_>,
    parent: &ParentDir<'_>,
    name: &ScanName<'_, '_>,
    stat: &Stat,
) -> Result<Option<Leaf>, ScanObstacle> {
    let Some(kind) = read_kind(parent, name, stat)? else {
        return Ok(None);
    };
    let reads_attributes = stat.kind == FileKind::File
        && !options.without_attributes
        && name
            .guide
            .is_none_or(|guide| may_differ_in_attributes(options, guide, stat));
    let attributes = if reads_attributes {
        match if_present(xattrs::read_at(parent.dir, name.on_disk))? {
            Some(attributes) => attributes.into(),
            None => return Ok(None),
        }
    } else {
        RareList::default()
    };
    Ok(Some(Leaf {
        name: name.in_tree.into(),
        parent: Tree::TOP,
        mode: stat.mode,
        mtime: stat.mtime,
        attributes,
        kind,
    }))
}

/// Reading attributes costs a call for each file. A file without attributes in the guide has none if
/// its stamp is right; otherwise it is compared when its contents are, if it has any.
fn may_differ_in_attributes(options: &ScanOptions<'_>, guide: GuideEntry<'_>, stat: &Stat) -> bool {
    let is_unchanged = || {
        let stamp = options.stamp.zip(guide.leaf);
        stamp.is_some_and(|(stamp, leaf)| stamp.is_unchanged(leaf, stat))
    };
    guide.has_leaf_attributes() || (stat.size == 0 && !is_unchanged())
}

fn read_kind(
    parent: &ParentDir<'_>,
    name: &ScanName<'_, '_>,
    stat: &Stat,
) -> Result<Option<LeafKind>, ScanObstacle> {
    match stat.kind {
        FileKind::Symlink => {
            let target = if_present(parent.dir.read_link(name.on_disk))?;
            Ok(target.map(LeafKind::Symlink))
        }
        FileKind::File => Ok(Some(LeafKind::File(FileData {
            size: stat.size,
            extents: RareList::default(),
            content: None,
        }))),
        // A restore replaces it as if the name were free.
        FileKind::Special if name.guide.is_some() => Ok(None),
        FileKind::Special | FileKind::Directory => Err(ScanObstacle::Skip(SkipReason::Special)),
    }
}

/// None for a name that is gone by now.
pub(super) fn if_present<T>(result: io::Result<T>) -> Result<Option<T>, ScanObstacle> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
