//! What a task of the scan reads: a directory, and each name in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::found::FoundDir;
use super::guide::GuideEntry;
use crate::fs::{Dir, DirEntry, FileKind, Stat};
use crate::tree::model::{DirId, Tree, os_str};

/// A task: a directory to be read.
pub(super) struct DirVisit<'a> {
    pub(super) task: u32,
    pub(super) parent: Arc<Dir>,
    pub(super) on_disk: Box<[u8]>,
    pub(super) path: PathBuf,
    pub(super) guide: Option<GuideEntry<'a>>,
    pub(super) found: FoundDir,
}

impl DirVisit<'_> {
    pub(super) fn open(&self) -> io::Result<(Dir, Stat)> {
        match self.try_open() {
            // With a guide the scan precedes a restore, which sets the mode of the directory
            // anyway.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && self.guide.is_some() =>
            {
                self.parent.make_accessible(&self.on_disk)?;
                self.try_open()
            }
            opened => opened,
        }
    }

    fn try_open(&self) -> io::Result<(Dir, Stat)> {
        let dir = self.parent.open_dir(&self.on_disk)?;
        // Not `fstat`: this also fails for a directory that may be read but not searched.
        let stat = dir.stat_at(b".")?;
        Ok((dir, stat))
    }
}

/// The directory whose names are read.
pub(super) struct ParentDir<'p> {
    pub(super) dir: &'p Arc<Dir>,
    pub(super) path: &'p Path,
    /// Whether the name to read is a root. Then `path` is that of the root itself.
    pub(super) is_root: bool,
}

impl ParentDir<'_> {
    pub(super) fn path_of(&self, name: &ScanName<'_, '_>) -> PathBuf {
        if self.is_root {
            self.path.to_owned()
        } else {
            self.path.join(os_str(name.on_disk))
        }
    }
}

/// A name to be read.
pub(super) struct ScanName<'n, 'a> {
    pub(super) in_tree: &'n [u8],
    /// Differs from `in_tree` for roots.
    pub(super) on_disk: &'n [u8],
    /// None if the filesystem did not report it with the name.
    pub(super) kind: Option<FileKind>,
    /// None if the scan has no guide.
    pub(super) guide: Option<GuideEntry<'a>>,
}

impl<'n, 'a> ScanName<'n, 'a> {
    pub(super) fn below_root(
        name: &'n [u8],
        kind: Option<FileKind>,
        guide: Option<GuideEntry<'a>>,
    ) -> Self {
        Self {
            in_tree: name,
            on_disk: name,
            kind,
            guide,
        }
    }
}

/// The names to read in a directory.
pub(super) enum NamesToVisit<'a> {
    /// Those listed on disk. Looked up in this directory of the guide, if any.
    Listed(Vec<DirEntry>, Option<(&'a Tree, DirId)>),
    /// Those that this directory of the guide has.
    AsInGuide(&'a Tree, DirId),
}
