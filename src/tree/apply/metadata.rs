//! Sets extended attributes, mode and modification time of open files and directories.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::applier::Applier;
use crate::fs::xattrs::{self, Attribute};
use crate::fs::{set_mode, set_mtime, stat_of};
use crate::tree::model::LeafId;

/// Sets attributes, mode and time of a file, in this order: each step may change what a later one
/// sets. `existed` tells whether the file may have attributes already.
pub(super) fn set_metadata(
    applier: &Applier<'_>,
    leaf: LeafId,
    file: &File,
    existed: bool,
) -> io::Result<()> {
    let leaf = &applier.tree[leaf];
    if existed || !leaf.attributes.is_empty() {
        set_attributes(applier, file, &leaf.attributes)?;
    }
    // `fstat` costs a fraction of `fchmod`, and a new file usually has its mode from the start.
    if stat_of(file)?.mode != leaf.mode {
        set_mode(file, leaf.mode)?;
    }
    set_mtime(file, leaf.mtime)
}

/// Gives an open file or directory exactly these attributes, and makes it writable if necessary:
/// attributes can't be set otherwise.
pub(super) fn set_attributes(
    applier: &Applier<'_>,
    file: &impl AsFd,
    attributes: &[Attribute],
) -> io::Result<()> {
    if *xattrs::read_open(file)? == *attributes {
        return Ok(());
    }
    let mode = stat_of(file)?.mode;
    if mode & 0o200 == 0 {
        set_mode(file, mode | 0o200)?;
    }
    if !xattrs::write_open(file, attributes)? {
        applier.counts.without_attributes.add(1);
    }
    Ok(())
}
