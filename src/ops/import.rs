//! Caches that workflows copied with rsync: finding, measuring and removing them.
//!
//! Such workflows copy Cargo's home to `cargo/<key>` and target directories to `target/<key>`,
//! below the cache root or below a directory for each repository in it
//! (`<owner>/<name>/cargo/<key>`).

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::{FileKind, files, foreign};

/// What a directory of an rsync workflow holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegacyKind {
    /// Parts of Cargo's home: `registry`, `git`.
    Cargo,
    Target,
}

impl LegacyKind {
    /// The name of the directory that stands above keys.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Target => "target",
        }
    }
}

/// A directory of an rsync workflow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LegacyCache {
    /// The repository that the directories above it name, `owner/name`; empty for a directory
    /// directly in the cache root.
    pub repository: String,
    pub kind: LegacyKind,
    /// The key that it was kept under.
    pub key: String,
    pub path: PathBuf,
}

/// Directories of rsync workflows in a cache root, in order.
pub fn find(root: &Path) -> Result<Vec<LegacyCache>> {
    let mut found = Vec::new();
    look(root, "", 2, &mut found)?;
    found.sort();
    Ok(found)
}

fn look(dir: &Path, repository: &str, depth: usize, found: &mut Vec<LegacyCache>) -> Result<()> {
    for name in directories(dir)? {
        let kind = [LegacyKind::Cargo, LegacyKind::Target]
            .into_iter()
            .find(|kind| kind.directory() == name);
        let below = dir.join(&name);
        match kind {
            Some(kind) => {
                for key in directories(&below)? {
                    let path = below.join(&key);
                    if kind == LegacyKind::Target || !parts(&path)?.is_empty() {
                        found.push(LegacyCache {
                            repository: repository.to_owned(),
                            kind,
                            key,
                            path,
                        });
                    }
                }
            }
            None if depth > 0 && !name.starts_with("local-cache-") => {
                let repository = if repository.is_empty() {
                    name.clone()
                } else {
                    format!("{repository}/{name}")
                };
                look(&below, &repository, depth - 1, found)?;
            }
            None => {}
        }
    }
    Ok(())
}

/// The names of directories in a directory, symlinks apart; none if it does not exist or is
/// closed to this user.
fn directories(dir: &Path) -> Result<Vec<String>> {
    let Ok(names) = files::list(dir) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let is_directory = files::stat(&path)
            .is_ok_and(|stat| stat.is_some_and(|stat| stat.kind == FileKind::Directory));
        if let (true, false, Some(name)) = (is_directory, files::is_symlink(&path)?, name.to_str())
        {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// The parts of Cargo's home in a directory. Some workflows copied all of the home, others its
/// `registry` and `git`.
pub fn parts(dir: &Path) -> Result<Vec<&'static str>> {
    let names = directories(dir)?;
    Ok(["registry", "git"]
        .into_iter()
        .filter(|part| names.iter().any(|name| name == part))
        .collect())
}

/// Bytes in such a directory.
pub fn size(found: &LegacyCache) -> Result<u64> {
    foreign::size(&found.path)
}

/// Removes such a directory, and those above it that are empty then, up to the cache root.
pub fn remove(root: &Path, found: &LegacyCache) -> Result<()> {
    foreign::remove(&found.path)?;
    let above = found
        .path
        .ancestors()
        .skip(1)
        .take_while(|above| *above != root && above.starts_with(root));
    for directory in above {
        if !files::list(directory)?.is_empty() {
            break;
        }
        foreign::remove(directory)?;
    }
    Ok(())
}
