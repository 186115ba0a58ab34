//! Searches the disk for the paths that a list of patterns matches.
//!
//! The order is that of actions/toolkit, packages/glob, `internal-globber.ts`: search paths in the
//! order of the patterns, then depth first, a directory before its contents, children sorted
//! bytewise. It does not depend on the filesystem's order of names; `hashFiles` relies on that.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{FileKind, Local, Namespace};
use crate::glob::disk;
use crate::glob::error::ResolveError;
use crate::glob::list::Patterns;

/// A path that a list of patterns matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// Absolute. It starts with the search path of the pattern; symlinks in it are not resolved.
    pub path: PathBuf,
    /// The kind of the path, or of a symlink's target if symlinks are followed.
    pub kind: FileKind,
}

/// A path that is still to be visited.
struct PendingPath {
    path: PathBuf,
    /// The kind of the path itself, even if it is a symlink.
    kind: FileKind,
    /// The number of directories above it in this search.
    depth: usize,
}

impl Patterns {
    /// The paths on the disk that the list matches, in GitHub's order.
    ///
    /// With `follow_symbolic_links`, a symlink is treated like its target; broken symlinks and
    /// those to a parent directory are skipped. Without it, every symlink is a file.
    ///
    /// # Errors
    /// A path that may match can't be inspected. A path that does not exist is no error.
    pub fn resolve(&self, follow_symbolic_links: bool) -> Result<Vec<FoundPath>, ResolveError> {
        self.resolve_in(&Local::default(), follow_symbolic_links)
    }

    /// [`Self::resolve`] in another namespace. The result has names, not resolved paths.
    ///
    /// # Errors
    /// Those of [`Self::resolve`] and of the namespace.
    pub(crate) fn resolve_in(
        &self,
        namespace: &dyn Namespace,
        follow_symbolic_links: bool,
    ) -> Result<Vec<FoundPath>, ResolveError> {
        let mut found = Vec::new();
        for root in self.search_paths() {
            let walk = Walk {
                patterns: self,
                namespace,
                follow: follow_symbolic_links,
                ancestors: Vec::new(),
                found: &mut found,
            };
            walk.run(root)?;
        }
        Ok(found)
    }
}

struct Walk<'walk> {
    patterns: &'walk Patterns,
    namespace: &'walk dyn Namespace,
    follow: bool,
    /// The real paths of the directories above the current one, to detect cycles. Empty unless
    /// symlinks are followed.
    ancestors: Vec<PathBuf>,
    found: &'walk mut Vec<FoundPath>,
}

impl Walk<'_> {
    fn run(mut self, root: &Path) -> Result<(), ResolveError> {
        let Some(kind) = inspect(root, self.namespace.resolve_parent(root), disk::kind)? else {
            return Ok(());
        };
        let mut candidates = vec![PendingPath {
            path: root.to_path_buf(),
            kind,
            depth: 0,
        }];
        while let Some(candidate) = candidates.pop() {
            let matched = self.patterns.matches(&candidate.path);
            let enter = self.patterns.may_match_below(&candidate.path);
            if !matched.any() && !enter {
                continue;
            }
            let Some(kind) = self.kind(&candidate)? else {
                continue;
            };
            let is_directory = kind == FileKind::Directory;
            if is_directory && enter {
                self.add_children(&candidate, &mut candidates)?;
            }
            let is_match = if is_directory {
                matched.directory
            } else {
                matched.file
            };
            if is_match {
                self.found.push(FoundPath {
                    path: candidate.path,
                    kind,
                });
            }
        }
        Ok(())
    }

    /// `None` for a broken symlink, and for a directory that this search is already inside of.
    fn kind(&mut self, candidate: &PendingPath) -> Result<Option<FileKind>, ResolveError> {
        if !self.follow {
            return Ok(Some(candidate.kind));
        }
        let path = &candidate.path;
        let kind = if candidate.kind == FileKind::Symlink {
            inspect(path, self.namespace.resolve(path), disk::target_kind)?
        } else {
            Some(candidate.kind)
        };
        match kind {
            Some(FileKind::Directory) => Ok(self.enter(candidate)?.then_some(FileKind::Directory)),
            kind => Ok(kind),
        }
    }

    /// Records a directory's real path. `false` if it is that of a parent, so that entering it
    /// would not end.
    fn enter(&mut self, candidate: &PendingPath) -> Result<bool, ResolveError> {
        self.ancestors.truncate(candidate.depth);
        // The real path of a plain child needs no system call.
        let real = match (self.ancestors.last(), candidate.path.file_name()) {
            (Some(parent), Some(name)) if candidate.kind != FileKind::Symlink => parent.join(name),
            _ => {
                let path = self.namespace.resolve(&candidate.path);
                inspect(&candidate.path, path, disk::real_path)?
            }
        };
        let is_new = !self.ancestors.contains(&real);
        if is_new {
            self.ancestors.push(real);
        }
        Ok(is_new)
    }

    /// Pushes the children in reverse, so that the first of them is visited next.
    fn add_children(
        &self,
        parent: &PendingPath,
        candidates: &mut Vec<PendingPath>,
    ) -> Result<(), ResolveError> {
        let path = self.namespace.resolve(&parent.path);
        let children = path.and_then(|path| disk::children(&path));
        let children = children.map_err(|cause| ResolveError::List {
            path: parent.path.clone(),
            cause,
        })?;
        candidates.extend(children.into_iter().rev().map(|(name, kind)| PendingPath {
            path: parent.path.join(name),
            kind,
            depth: parent.depth + 1,
        }));
        Ok(())
    }
}

/// Calls `operation` with a resolved path. Errors have the name instead.
fn inspect<T>(
    name: &Path,
    path: io::Result<PathBuf>,
    operation: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, ResolveError> {
    path.and_then(|path| operation(&path))
        .map_err(|cause| ResolveError::Inspect {
            path: name.to_path_buf(),
            cause,
        })
}
