//! The directory itself, and how paths below it are resolved.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::error::{IoContext, Result};
use crate::fs::{Dir, Stat};

/// An open directory, and the path by which it was opened.
#[derive(Debug)]
pub struct BaseDir {
    pub(super) dir: Dir,
    pub(super) path: PathBuf,
    pub(super) owner: Option<Owner>,
    /// Subdirectories that stay open.
    kept: Vec<KeptDir>,
}

/// A subdirectory that is opened when it is needed first, and stays open.
#[derive(Debug)]
struct KeptDir {
    name: OsString,
    dir: OnceLock<Dir>,
}

impl KeptDir {
    fn open(&self, above: &Dir) -> io::Result<&Dir> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let opened = above.enter(self.name.as_bytes())?;
        Ok(self.dir.get_or_init(|| opened))
    }
}

/// To whom new files are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl BaseDir {
    /// Opens a directory by its path, of which symlinks are followed. None if it does not exist.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match Dir::open(path) {
            Ok(dir) => Ok(Some(Self::new(dir, path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("open", || path),
        }
    }

    /// An open directory; `path` names it in messages.
    pub(crate) fn new(dir: Dir, path: PathBuf) -> Self {
        Self {
            dir,
            path,
            owner: None,
            kept: Vec::new(),
        }
    }

    /// Gives the files and directories that are created from now on to another user, as far as
    /// that is permitted.
    pub(crate) fn give_new_files_to(&mut self, owner: Owner) {
        self.owner = Some(owner);
    }

    /// Keeps a subdirectory open once a path in it is used. Opening it again for each of thousands
    /// of files takes about as long as reading them. It must not be replaced meanwhile.
    pub(crate) fn keep_open(&mut self, name: &str) {
        self.kept.push(KeptDir {
            name: name.into(),
            dir: OnceLock::new(),
        });
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata of the directory itself.
    pub(crate) fn own_stat(&self) -> Result<Stat> {
        self.dir.stat().context("inspect", || &self.path)
    }

    /// Calls `act` with the open parent directory of a path, and its last component.
    pub(super) fn at<T>(
        &self,
        path: &Path,
        act: impl FnOnce(&Dir, &[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        let not_below = || io::Error::from(io::ErrorKind::InvalidInput);
        let below = path.strip_prefix(&self.path).map_err(|_| not_below())?;
        let name = below.file_name().ok_or_else(not_below)?;
        let above = below.parent().unwrap_or(Path::new(""));
        if let Some(kept) = self.kept.iter().find(|kept| *kept.name == *above) {
            return act(kept.open(&self.dir)?, name.as_bytes());
        }
        let mut parent: Option<Dir> = None;
        for component in above.components() {
            let Component::Normal(directory) = component else {
                return Err(not_below());
            };
            let above = parent.as_ref().unwrap_or(&self.dir);
            parent = Some(above.enter(OsStr::as_bytes(directory))?);
        }
        act(parent.as_ref().unwrap_or(&self.dir), name.as_bytes())
    }
}
