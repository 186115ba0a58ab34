//! Walks the disk for what a list of patterns matches.
//!
//! The order is that of actions/toolkit, packages/glob, `internal-globber.ts`: search paths in the
//! order of the patterns, then depth first, a directory before what is in it, children sorted
//! bytewise. It does not depend on the order in which the filesystem lists names, and `hashFiles`
//! relies on that.

use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

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

/// How a name becomes the path under which this process finds what has it.
pub type Locate<'a> = &'a dyn Fn(&Path) -> io::Result<PathBuf>;

/// Where the names of patterns are looked for by a process that has another root than they.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// For what a name leads to: every symlink followed.
    pub target: Locate<'a>,
    /// For what has the name itself, which may be a symlink.
    pub itself: Locate<'a>,
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
        let same = |path: &Path| Ok(path.to_path_buf());
        self.resolve_by(
            Lookup {
                target: &same,
                itself: &same,
            },
            follow_symbolic_links,
        )
    }

    /// The same for a process that finds what the patterns name under other paths. What is found
    /// has the names.
    ///
    /// # Errors
    /// Those of [`Self::resolve`], and those of the lookup.
    pub fn resolve_by(
        &self,
        lookup: Lookup<'_>,
        follow_symbolic_links: bool,
    ) -> Result<Vec<FoundPath>, ResolveError> {
        let mut found = Vec::new();
        for root in self.search_paths() {
            let (patterns, follow, above) = (self, follow_symbolic_links, Vec::new());
            Walk {
                patterns,
                lookup,
                follow,
                above,
                found: &mut found,
            }
            .run(root)?;
        }
        Ok(found)
    }
}

struct Walk<'walk> {
    patterns: &'walk Patterns,
    lookup: Lookup<'walk>,
    follow: bool,
    /// The real paths of the directories above the present one, to tell cycles. Only kept when
    /// links are followed.
    above: Vec<PathBuf>,
    found: &'walk mut Vec<FoundPath>,
}

impl Walk<'_> {
    fn run(&mut self, root: &Path) -> Result<(), ResolveError> {
        let Some(kind) = look(root, self.lookup.itself, disk::kind)? else {
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
            look(path, self.lookup.target, disk::target_kind)?
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
            _ => look(&candidate.path, self.lookup.target, disk::real_path)?,
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
        let children = (self.lookup.target)(&parent.path).and_then(|path| disk::children(&path));
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

/// Asks the disk about what has a name.
fn look<T>(
    name: &Path,
    locate: Locate<'_>,
    ask: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, ResolveError> {
    let answer = locate(name).and_then(|path| ask(&path));
    answer.map_err(|source| ResolveError::Inspect {
        path: name.to_path_buf(),
        source,
    })
}
