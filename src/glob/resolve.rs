//! Walks the disk for what a list of patterns matches.
//!
//! The order is that of actions/toolkit, packages/glob, `internal-globber.ts`: search paths in the
//! order of the patterns, then depth first, a directory before what is in it, children sorted
//! bytewise. It does not depend on the order in which the filesystem lists names, and `hashFiles`
//! relies on that.

use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{Local, Namespace};
use crate::glob::disk;
use crate::glob::error::ResolveError;
use crate::glob::list::Patterns;

/// A path that a list of patterns matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// The absolute path, spelled as the pattern led to it.
    pub path: PathBuf,
    /// What is there.
    pub kind: FoundKind,
}

/// What a matched path is, after following it if that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symlink that was not followed.
    Symlink,
    /// A device, a pipe or a socket.
    Special,
}

impl From<FileType> for FoundKind {
    fn from(kind: FileType) -> Self {
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_file() {
            Self::File
        } else if kind.is_symlink() {
            Self::Symlink
        } else {
            Self::Special
        }
    }
}

/// A path still to be looked at.
struct PendingPath {
    path: PathBuf,
    /// Its own kind, before following it.
    kind: FileType,
    /// How many directories of this search lie above it.
    depth: usize,
}

impl Patterns {
    /// The paths on the disk that the list matches, in GitHub's order.
    ///
    /// With `follow_symbolic_links`, links are treated as what they lead to: broken ones are left
    /// out, and a link back to a directory above it is not entered. Without, a link is a file,
    /// whatever it leads to.
    ///
    /// # Errors
    /// A path on the way can't be looked at, other than for not being there.
    pub fn resolve(&self, follow_symbolic_links: bool) -> Result<Vec<FoundPath>, ResolveError> {
        self.resolve_in(&Local::default(), follow_symbolic_links)
    }

    /// Like [`Self::resolve`] in another namespace. The result has names, not resolved paths.
    ///
    /// # Errors
    /// Those of [`Self::resolve`], and those of the namespace.
    pub fn resolve_in(
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
                above: Vec::new(),
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
    /// The real paths of the directories above the present one, to tell cycles. Only kept when
    /// links are followed.
    above: Vec<PathBuf>,
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
            let directory = kind == FoundKind::Directory;
            if directory && enter {
                self.add_children(&candidate, &mut candidates)?;
            }
            if if directory {
                matched.directory
            } else {
                matched.file
            } {
                self.found.push(FoundPath {
                    path: candidate.path,
                    kind,
                });
            }
        }
        Ok(())
    }

    /// What the candidate is, or nothing when it is a broken link or a directory that this search
    /// is inside of.
    fn kind(&mut self, candidate: &PendingPath) -> Result<Option<FoundKind>, ResolveError> {
        if !self.follow {
            return Ok(Some(candidate.kind.into()));
        }
        let path = &candidate.path;
        let kind = if candidate.kind.is_symlink() {
            inspect(path, self.namespace.resolve(path), disk::target_kind)?
        } else {
            Some(candidate.kind)
        };
        match kind {
            Some(kind) if kind.is_dir() => {
                Ok(self.enter(candidate)?.then_some(FoundKind::Directory))
            }
            other => Ok(other.map(FoundKind::from)),
        }
    }

    /// Notes a directory's real path; false when it is that of a directory above.
    fn enter(&mut self, candidate: &PendingPath) -> Result<bool, ResolveError> {
        self.above.truncate(candidate.depth);
        let real = match (self.above.last(), candidate.path.file_name()) {
            (Some(parent), Some(name)) if !candidate.kind.is_symlink() => parent.join(name),
            _ => {
                let path = self.namespace.resolve(&candidate.path);
                inspect(&candidate.path, path, disk::real_path)?
            }
        };
        let fresh = !self.above.contains(&real);
        if fresh {
            self.above.push(real);
        }
        Ok(fresh)
    }

    /// Puts the children where the first of them is looked at next.
    fn add_children(
        &self,
        parent: &PendingPath,
        candidates: &mut Vec<PendingPath>,
    ) -> Result<(), ResolveError> {
        let path = self.namespace.resolve(&parent.path);
        let children = path.and_then(|path| disk::children(&path));
        let children = children.map_err(|source| ResolveError::List {
            path: parent.path.clone(),
            source,
        })?;
        candidates.extend(children.into_iter().rev().map(|(name, kind)| PendingPath {
            path: parent.path.join(name),
            kind,
            depth: parent.depth + 1,
        }));
        Ok(())
    }
}

/// Asks the disk about a resolved path; errors carry the name.
fn inspect<T>(
    name: &Path,
    path: io::Result<PathBuf>,
    ask: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, ResolveError> {
    path.and_then(|path| ask(&path))
        .map_err(|source| ResolveError::Inspect {
            path: name.to_path_buf(),
            source,
        })
}
