//! Walks the disk for what a list of patterns matches.
//!
//! The order is that of actions/toolkit, packages/glob, `internal-globber.ts`: search paths in the order of the
//! patterns, then depth first, a directory before what is in it, children sorted bytewise. It does not depend on the
//! order in which the filesystem lists names, and `hashFiles` relies on that.

use std::fs::FileType;
use std::path::{Path, PathBuf};

use super::disk;
use super::error::ResolveError;
use super::list::Patterns;

/// A path that a list of patterns matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
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
struct Candidate {
    path: PathBuf,
    /// Its own kind, before following it.
    kind: FileType,
    /// How many directories of this search lie above it.
    depth: usize,
}

impl Patterns {
    /// The paths on the disk that the list matches, in GitHub's order.
    ///
    /// With `follow_symbolic_links`, links are treated as what they lead to: broken ones are left out, and a link
    /// back to a directory above it is not entered. Without, a link is a file, whatever it leads to.
    ///
    /// # Errors
    /// A path on the way can't be looked at, other than for not being there.
    pub fn resolve(&self, follow_symbolic_links: bool) -> Result<Vec<Found>, ResolveError> {
        let mut found = Vec::new();
        for root in self.search_paths() {
            Walk { patterns: self, follow: follow_symbolic_links, above: Vec::new(), found: &mut found }
                .run(root)?;
        }
        Ok(found)
    }
}

struct Walk<'walk> {
    patterns: &'walk Patterns,
    follow: bool,
    /// The real paths of the directories above the present one, to tell cycles. Only kept when links are followed.
    above: Vec<PathBuf>,
    found: &'walk mut Vec<Found>,
}

impl Walk<'_> {
    fn run(&mut self, root: &Path) -> Result<(), ResolveError> {
        let Some(kind) = disk::kind(root).map_err(|source| inspect(root, source))? else {
            return Ok(());
        };
        let mut candidates = vec![Candidate { path: root.to_path_buf(), kind, depth: 0 }];
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
                add_children(&candidate, &mut candidates)?;
            }
            if if directory { matched.directory } else { matched.file } {
                self.found.push(Found { path: candidate.path, kind });
            }
        }
        Ok(())
    }

    /// What the candidate is, or nothing when it is a broken link or a directory that this search is inside of.
    fn kind(&mut self, candidate: &Candidate) -> Result<Option<FoundKind>, ResolveError> {
        if !self.follow {
            return Ok(Some(candidate.kind.into()));
        }
        let path = &candidate.path;
        let kind = if candidate.kind.is_symlink() {
            disk::target_kind(path).map_err(|source| inspect(path, source))?
        } else {
            Some(candidate.kind)
        };
        match kind {
            Some(kind) if kind.is_dir() => Ok(self.enter(candidate)?.then_some(FoundKind::Directory)),
            other => Ok(other.map(FoundKind::from)),
        }
    }

    /// Notes a directory's real path; false when it is that of a directory above.
    fn enter(&mut self, candidate: &Candidate) -> Result<bool, ResolveError> {
        self.above.truncate(candidate.depth);
        let real = match (self.above.last(), candidate.path.file_name()) {
            (Some(parent), Some(name)) if !candidate.kind.is_symlink() => parent.join(name),
            _ => disk::real_path(&candidate.path).map_err(|source| inspect(&candidate.path, source))?,
        };
        let fresh = !self.above.contains(&real);
        if fresh {
            self.above.push(real);
        }
        Ok(fresh)
    }
}

/// Puts the children where the first of them is looked at next.
fn add_children(parent: &Candidate, candidates: &mut Vec<Candidate>) -> Result<(), ResolveError> {
    let children = disk::children(&parent.path)
        .map_err(|source| ResolveError::List { path: parent.path.clone(), source })?;
    candidates.extend(children.into_iter().rev().map(|(name, kind)| Candidate {
        path: parent.path.join(name),
        kind,
        depth: parent.depth + 1,
    }));
    Ok(())
}

fn inspect(path: &Path, source: std::io::Error) -> ResolveError {
    ResolveError::Inspect { path: path.to_path_buf(), source }
}
