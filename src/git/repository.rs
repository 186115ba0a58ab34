//! Where the repository of a checkout is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::blob::ObjectFormat;
use super::config::RepositoryConfig;
use super::index::Index;
use crate::error::{Error, Result};
use crate::fs::{FileKind, Namespace, files};

/// A file of a repository with a line or a few settings is not larger, in bytes.
const SMALL: u64 = 1 << 20;
/// The index of a checkout with millions of files is not larger, in bytes.
const MAX_INDEX: u64 = 1 << 30;

/// A checkout and its repository.
#[derive(Debug)]
pub struct Repository {
    worktree: PathBuf,
    /// The directory with `HEAD` and the index of this checkout.
    git_dir: PathBuf,
    /// The directory with the refs and the settings of all checkouts of the repository.
    common_dir: PathBuf,
    config: RepositoryConfig,
}

impl Repository {
    /// The repository of the checkout that contains a directory: the nearest one above it, or its
    /// own. None if it is in no checkout. `dir` can be opened by this process; `names` resolves
    /// absolute paths in the files of git.
    ///
    /// Errors: a `.git` that leads nowhere, settings that are not supported.
    pub fn find(names: &dyn Namespace, dir: &Path) -> Result<Option<Self>> {
        let dir = files::canonical(dir)?;
        for ancestor in dir.ancestors() {
            if let Some(found) = Self::open(names, ancestor)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The repository of the checkout with this directory at its top, which has a `.git`. None if
    /// there is none, or a directory that is no repository; git too goes on to the parent then.
    pub fn open(names: &dyn Namespace, worktree: &Path) -> Result<Option<Self>> {
        let dot_git = worktree.join(".git");
        let Some(stat) = files::stat(&dot_git)? else {
            return Ok(None);
        };
        let (git_dir, is_linked) = match stat.kind {
            FileKind::Directory => (dot_git, false),
            FileKind::File => (linked_dir(names, &dot_git)?, true),
            _ => return Ok(None),
        };
        let common_dir = match read_path(&git_dir.join("commondir"))? {
            Some(path) => resolve(names, &git_dir, &path)?,
            None => git_dir.clone(),
        };
        let is_repository = files::stat(&common_dir.join("objects"))?.is_some()
            && files::read_with_stat(&git_dir.join("HEAD"), SMALL)?.is_some();
        if !is_repository {
            return if is_linked {
                Err(leads_nowhere(&worktree.join(".git")))
            } else {
                Ok(None)
            };
        }
        let text = files::read_with_stat(&common_dir.join("config"), SMALL)?;
        let config = RepositoryConfig::parse(&text.map(|(text, _)| text).unwrap_or_default())?;
        let repository = Self {
            worktree: worktree.to_owned(),
            git_dir,
            common_dir,
            config,
        };
        repository.check_worktree(names)?;
        Ok(Some(repository))
    }

    /// The top of the checkout.
    pub fn worktree(&self) -> &Path {
        &self.worktree
    }

    /// The directory with `HEAD` and the index of this checkout.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The directory with the refs of all checkouts of the repository.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub fn format(&self) -> ObjectFormat {
        self.config.format
    }

    /// The repository that this one was cloned from, without the host: `owner/name`.
    pub fn origin_name(&self) -> Option<&str> {
        self.config.origin_name()
    }

    pub(super) fn has_ref_files(&self) -> bool {
        self.config.has_ref_files
    }

    /// Reads the index. A repository without one has no tracked files yet.
    ///
    /// Errors: it is unreadable, damaged or not supported; nothing is known about the files then.
    pub fn index(&self) -> Result<Index> {
        let path = self.git_dir.join("index");
        match files::read_with_stat(&path, MAX_INDEX)? {
            Some((bytes, stat)) => {
                Index::parse(&bytes, self.config.format, stat.mtime).map_err(|reason| {
                    Error::invalid(format!(
                        "cannot use {}: {reason}; all files are read",
                        path.display()
                    ))
                })
            }
            None => Ok(Index::empty()),
        }
    }

    /// A repository can be told to check out elsewhere; its index then says nothing about the files
    /// beside its `.git`. As in git, this does not hold for linked checkouts.
    fn check_worktree(&self, names: &dyn Namespace) -> Result<()> {
        let Some(path) = &self.config.worktree else {
            return Ok(());
        };
        if self.git_dir != self.common_dir {
            return Ok(());
        }
        let named = resolve(names, &self.git_dir, path)?;
        let is_here = matches!(
            (files::stat(&named)?, files::stat(&self.worktree)?),
            (Some(named), Some(here)) if (named.device, named.inode) == (here.device, here.inode)
        );
        if is_here {
            Ok(())
        } else {
            Err(Error::invalid(format!(
                "the repository {} has its checkout in {}, which is not supported; all files are read",
                self.git_dir.display(),
                path.display()
            )))
        }
    }
}

/// The directory that a file `.git` names.
fn linked_dir(names: &dyn Namespace, dot_git: &Path) -> Result<PathBuf> {
    let line = read_path(dot_git)?.unwrap_or_default();
    let path = line
        .as_os_str()
        .as_bytes()
        .strip_prefix(b"gitdir:")
        .ok_or_else(|| leads_nowhere(dot_git))?;
    let path = Path::new(OsStr::from_bytes(path.trim_ascii_start()));
    let parent = dot_git.parent().unwrap_or(dot_git);
    resolve(names, parent, path)
}

/// The only line of a file. None if the file does not exist.
fn read_path(file: &Path) -> Result<Option<PathBuf>> {
    let read = files::read_with_stat(file, SMALL)?;
    Ok(read.map(|(bytes, _)| PathBuf::from(OsStr::from_bytes(bytes.trim_ascii_end()))))
}

/// A path in a file of git, which is relative to `base`.
fn resolve(names: &dyn Namespace, base: &Path, path: &Path) -> Result<PathBuf> {
    if path.is_absolute() {
        names.locate(path)
    } else {
        Ok(base.join(path))
    }
}

fn leads_nowhere(dot_git: &Path) -> Error {
    Error::invalid(format!(
        "{} names no repository; all files are read",
        dot_git.display()
    ))
}
