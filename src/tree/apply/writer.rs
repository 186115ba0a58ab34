//! Creates files, links and symlinks; a name only appears when its file is complete.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::applier::{Applier, CreateMissing};
use super::metadata::set_metadata;
use super::replace::replace;
use crate::error::{IoContext, Result};
use crate::fs::{Dir, TempName, stat_of};
use crate::tree::cursor::Cursor;
use crate::tree::model::{FileData, LeafId, LeafKind, Tree};
use crate::tree::stamp::InodeState;

/// What one thread needs to write files.
pub(super) struct FileWriter<'j, 'a> {
    pub(super) applier: &'j Applier<'a>,
    pub(super) cursor: Cursor<'j, CreateMissing<'j, 'a>>,
    /// Reused for all files, so that it is allocated once.
    pub(super) buffer: Vec<u8>,
    /// The open file of the store; adjacent batches often share it.
    pub(super) source: Option<(Arc<Path>, File)>,
}

impl<'j, 'a> FileWriter<'j, 'a> {
    pub(super) fn new(applier: &'j Applier<'a>) -> Self {
        Self {
            applier,
            cursor: applier.cursor(),
            buffer: Vec::new(),
            source: None,
        }
    }

    /// Creates a leaf without contents in the store: an empty file, a file that is one hole, or a
    /// symlink.
    pub(super) fn create(&mut self, leaf: LeafId) -> Result<()> {
        let applier = self.applier;
        let path = || applier.leaf_path(leaf);
        match &applier.tree[leaf].kind {
            LeafKind::Symlink(target) => self.write_atomically(leaf, "create", |dir, name| {
                dir.symlink(target, name).context("create", path)?;
                dir.set_mtime_at(name, applier.tree[leaf].mtime)
                    .context("create", path)?;
                applier.counts.files.add(1);
                Ok(())
            }),
            LeafKind::File(FileData { size, .. }) => {
                self.create_file(leaf, |file| file.set_len(*size).context("write", path))
            }
            LeafKind::HardLink(_) => self.create_hard_link(leaf),
        }
    }

    /// Sets mode, time and attributes of a leaf whose contents are right.
    pub(super) fn set_metadata(&mut self, leaf: LeafId) -> Result<()> {
        let applier = self.applier;
        let path = || applier.leaf_path(leaf);
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        if let LeafKind::Symlink(_) = applier.tree[leaf].kind {
            dir.set_mtime_at(name, applier.tree[leaf].mtime)
                .context("set the time of", path)?;
        } else {
            let file = dir.open_file(name).context("open", path)?;
            set_metadata(applier, leaf, &file, true).context("set the mode and time of", path)?;
        }
        applier.counts.metadata_set.add(1);
        Ok(())
    }

    /// Links a leaf to the first name of its file.
    pub(super) fn create_hard_link(&mut self, leaf: LeafId) -> Result<()> {
        let applier = self.applier;
        let LeafKind::HardLink(first) = applier.tree[leaf].kind else {
            return self.create(leaf);
        };
        // Not the writer's own cursor: that one enters the directory of the link.
        let mut from = applier.cursor();
        let (from_dir, from_name) = from.enter_parent(first)?;
        let path = || applier.leaf_path(leaf);
        let mut is_refused = false;
        let linked = self.write_atomically(leaf, "link", |dir, name| {
            let linked = dir.link_from(from_dir, from_name, name);
            is_refused = linked.as_ref().is_err_and(is_link_refusal);
            linked.context("link", path)
        });
        match linked {
            Ok(()) => {
                applier.counts.files.add(1);
                Ok(())
            }
            // On another filesystem, or one without hard links, a copy has to do.
            Err(_) if is_refused => {
                let original = from_dir.open_file(from_name);
                let original = original.context("open", || applier.leaf_path(first))?;
                self.copy_file(leaf, first, &original)?;
                applier.counts.copied_links.add(1);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Creates `leaf` as a copy of the leaf `first`, whose open file is `original`.
    fn copy_file(&mut self, leaf: LeafId, first: LeafId, original: &File) -> Result<()> {
        let applier = self.applier;
        self.create_file_like(leaf, first, |mut file| {
            io::copy(&mut &*original, &mut file)
                .map(drop)
                .context("write", || applier.leaf_path(leaf))
        })
    }

    /// Creates a regular file with the metadata of the manifest. `fill` writes its contents.
    pub(super) fn create_file(
        &mut self,
        leaf: LeafId,
        fill: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<()> {
        self.create_file_like(leaf, leaf, fill)
    }

    /// Creates a regular file with the metadata of the leaf `like`.
    fn create_file_like(
        &mut self,
        leaf: LeafId,
        like: LeafId,
        fill: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<()> {
        let applier = self.applier;
        let path = || applier.leaf_path(leaf);
        let file = self.write_atomically(leaf, "write", |dir, name| {
            let wanted = &applier.tree[like];
            // Attributes can only be set on a writable file; the final mode is set after them.
            let writable = if wanted.attributes.is_empty() {
                0
            } else {
                0o200
            };
            let file = dir.create_file(name, wanted.mode | writable);
            let mut file = file.context("write", path)?;
            fill(&mut file)?;
            set_metadata(applier, like, &file, false).context("write", path)?;
            applier.counts.files.add(1);
            Ok(file)
        })?;
        if like == leaf {
            keep_state(applier, leaf, &file)?;
        }
        Ok(())
    }

    /// Calls `create` with a temporary name, then renames the result to the leaf's name. In a
    /// directory that still has a temporary name itself, `create` gets the leaf's name directly.
    fn write_atomically<T>(
        &mut self,
        leaf: LeafId,
        action: &'static str,
        create: impl FnOnce(&Dir, &[u8]) -> Result<T>,
    ) -> Result<T> {
        let applier = self.applier;
        let parent = applier.tree[leaf].parent;
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        // The top is no directory on disk: the parents of roots exist and other programs see them.
        if parent != Tree::TOP && applier.task(parent).is_missing() {
            return create(dir, name);
        }
        let temp = TempName::new();
        let created = create(dir, temp.as_bytes()).and_then(|created| {
            replace(dir, temp.as_bytes(), name).context(action, || applier.leaf_path(leaf))?;
            Ok(created)
        });
        if created.is_err() {
            // If this fails, a later restore removes it.
            drop(dir.unlink(temp.as_bytes()));
        }
        created
    }
}

/// Keeps the state of a file that was just written. Once it has its name, another process may write
/// to it, which gives it another mtime.
fn keep_state(applier: &Applier<'_>, leaf: LeafId, file: &File) -> Result<()> {
    let wanted = &applier.tree[leaf];
    let LeafKind::File(data) = &wanted.kind else {
        return Ok(());
    };
    let stat = stat_of(file).context("inspect", || applier.leaf_path(leaf))?;
    if (stat.size, stat.mtime) == (data.size, wanted.mtime) {
        applier.keep_state(leaf, InodeState::of(&stat));
    }
    Ok(())
}

/// Whether link(2) says that this file can't have a link there. EPERM means that the filesystem has
/// no hard links; a missing permission is EACCES.
fn is_link_refusal(error: &io::Error) -> bool {
    use nix::libc::{EMLINK, ENOSYS, EOPNOTSUPP, EPERM, EXDEV};
    matches!(
        error.raw_os_error(),
        Some(EXDEV | EPERM | EMLINK | EOPNOTSUPP | ENOSYS)
    )
}
