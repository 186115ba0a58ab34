//! Stamps in the store: by which a restore or save recognises unchanged files outside of it.
//!
//! `seen/<manifest>-<device>-<inode>` is the stamp of the tree whose first root has that device and
//! inode. The name only says where to look: a ready copy keeps its inode wherever it is moved, and
//! every runner has a file of its own. What the stamp says is proved by its contents
//! ([`crate::tree::stamp`]).
//!
//! A tree that has no stamp for a manifest yet may have one for another manifest: it held an earlier
//! entry. What that stamp says about the files that both have is used then.
//!
//! Stamps only save time: without one, files are read and compared by their digests.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::open::{SMALL_FILE, Store};
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{boot_id, files, proves_unchanged};
use crate::tree::manifest::Manifest;
use crate::tree::stamp::Stamp;
use crate::tree::transfer::transfer;
use crate::tree::{RootPlace, Roots, Tree};

/// The most bytes of an encoded state: varints of 64 bits take up to 10.
const LONGEST_STATE: u64 = 1 + 3 * 10;

impl Store {
    /// The stamp of the tree at `roots` for a manifest. An empty one if there is none that is valid.
    pub(crate) fn stamp(&self, id: &Digest, manifest: &Manifest, roots: &Roots) -> Stamp {
        let tree = &manifest.tree;
        let read = || {
            let path = self.stamp_path(id, tree, roots).ok()??;
            let known = self.read_stamp(&path, id, tree);
            known.or_else(|| self.transferred_stamp(&path, tree))
        };
        read().unwrap_or_else(|| Stamp::for_tree(tree))
    }

    fn read_stamp(&self, path: &Path, id: &Digest, tree: &Tree) -> Option<Stamp> {
        let bytes = self.dir.read(path, longest(tree)).ok()?;
        Stamp::decode(&bytes, id, tree, &boot_id()?)
    }

    /// What the last stamp of the same tree on disk for another manifest says about the files of
    /// `tree`. `path` is where a stamp for `tree` would be.
    fn transferred_stamp(&self, path: &Path, tree: &Tree) -> Option<Stamp> {
        let place = place_of(path.file_name()?)?;
        let dir = self.layout.stamps();
        let names = self.dir.list(&dir).ok()?;
        let others = names.iter().filter(|name| place_of(name) == Some(place));
        let others = others.filter_map(|name| {
            let path = dir.join(name);
            let written = self.dir.stat(&path).ok()??.mtime;
            Some((written, path))
        });
        let (_, path) = others.max_by_key(|(written, _)| *written)?;
        let (id, _) = path.file_name()?.to_str()?.split_once('-')?;
        let id = id.parse().ok()?;
        let former = self.read_manifest(&id).ok()?.tree;
        let stamp = self.read_stamp(&path, &id, &former)?;
        Some(transfer(&stamp, &former, tree))
    }

    /// Keeps a stamp, without what it says about filesystems where it would prove nothing.
    pub(crate) fn put_stamp(
        &self,
        id: &Digest,
        tree: &Tree,
        roots: &Roots,
        mut stamp: Stamp,
    ) -> Result<()> {
        let Some(boot) = boot_id() else {
            return Ok(());
        };
        let Some(path) = self.stamp_path(id, tree, roots)? else {
            return Ok(());
        };
        let devices = proving_devices(roots)?;
        stamp.retain_devices(|device| devices.get(&device) == Some(&true));
        self.dir
            .create_dir(&self.layout.stamps(), self.modes.directory)?;
        self.write_atomically(&path, &stamp.encode(id, &boot)?)
    }

    /// None if the first root does not exist.
    fn stamp_path(&self, id: &Digest, tree: &Tree, roots: &Roots) -> Result<Option<PathBuf>> {
        let dir = tree.dirs_in(Tree::TOP).map(|(_, dir)| &*dir.name).next();
        let leaf = tree
            .leaves_in(Tree::TOP)
            .map(|(_, leaf)| &*leaf.name)
            .next();
        let Some(first) = dir.or(leaf) else {
            return Ok(None);
        };
        let stat = files::stat_link(&roots.get(first)?.real)?;
        Ok(stat.map(|stat| self.layout.stamp(id, stat.device, stat.inode)))
    }
}

/// Device and inode in the name of a stamp.
fn place_of(name: &OsStr) -> Option<&str> {
    Some(name.to_str()?.split_once('-')?.1)
}

/// The most bytes that a stamp of a tree can have: each state is encoded as a tag and three numbers.
fn longest(tree: &Tree) -> u64 {
    let states = tree.leaves().len() + tree.dirs().len();
    SMALL_FILE.saturating_add((states as u64).saturating_mul(LONGEST_STATE))
}

/// The devices of the roots, and whether stamps prove something about their filesystems. A mount
/// below a root has a device of its own, so files on it are not stamped.
fn proving_devices(roots: &Roots) -> Result<HashMap<u64, bool>> {
    let mut devices = HashMap::new();
    for (_, RootPlace { real: path, .. }) in roots.iter() {
        let Some(stat) = files::stat_link(path)? else {
            continue;
        };
        // A symlink as a root may lead to another filesystem; its parent has its device.
        let on_disk = if stat.kind == crate::fs::FileKind::Symlink {
            path.parent().unwrap_or(Path::new("/"))
        } else {
            path
        };
        if let std::collections::hash_map::Entry::Vacant(entry) = devices.entry(stat.device) {
            entry.insert(proves_unchanged(on_disk)?);
        }
    }
    Ok(devices)
}
