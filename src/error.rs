//! The one error type of the library, and what to do about each kind.
//!
//! Callers decide by kind (`is_damage`, `is_not_found`, ...), never by text. The text names what
//! failed and on which path; [`Error::advice`] says what to do next. The edges join the two into
//! one line.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call to the operating system failed.
    #[error("cannot {action} {}: {}", .path.display(), plain(.source))]
    Io {
        /// What was tried, as a verb: `open`, `write`, `rename`.
        action: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of the store does not hold what it should.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file of the store.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The store was written by a version of local-cache that this one does not understand.
    #[error("{} has format version {found}, this local-cache reads up to {supported}", .path.display())]
    NewerFormat {
        /// The file that states the version.
        path: PathBuf,
        /// The version it states.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// Another process holds a lock that is needed now.
    #[error("{what} is in use by another process")]
    Busy {
        /// What is locked, in words.
        what: String,
    },
    /// A key, path or name that can't be used.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what is allowed.
        what: String,
    },
    /// The work was called off by a signal or a time limit.
    #[error("interrupted")]
    Interrupted,
}

/// The result of the library's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Damaged`] for `path`.
    pub fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// An [`Error::Invalid`] that no input can cause.
    pub fn defect(what: impl std::fmt::Display) -> Self {
        Self::invalid(format!(
            "{what}; this is a defect of local-cache, please report it"
        ))
    }

    /// Whether a file or directory was missing.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }

    /// Whether the store's own data is at fault, so that the entry should be set aside.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// What to do next, where there is something to do.
    pub fn advice(&self) -> Option<Cow<'static, str>> {
        let advice = match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, or let `local-cache prune` remove old entries"
                }
                io::ErrorKind::PermissionDenied => {
                    "give the user who runs this access to it, or choose another directory with --cache-root"
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "choose a directory on a writable filesystem with --cache-root"
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "a directory is needed there: move the file away or choose another path"
                }
                _ => return None,
            },
            Self::Damaged { .. } => {
                "it counts as a miss; `local-cache verify --repair` sets damaged entries aside"
            }
            Self::NewerFormat { .. } => {
                "update local-cache, or choose another directory with --cache-root"
            }
            Self::Busy { .. } => "try again when it is done",
            Self::Invalid { .. } | Self::Interrupted => return None,
        };
        Some(advice.into())
    }

    /// The error and its advice in one line.
    pub fn with_advice(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }
}

/// The text of an error of the operating system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Adds what was tried, and on what, to an error of the operating system.
pub trait IoContext<T> {
    /// Names the action and the path; the path is only made when there was an error.
    fn context<P: Into<PathBuf>>(self, action: &'static str, path: impl FnOnce() -> P)
    -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn context<P: Into<PathBuf>>(
        self,
        action: &'static str,
        path: impl FnOnce() -> P,
    ) -> Result<T> {
        self.map_err(|error| Error::Io {
            action,
            path: path().into(),
            source: error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_names_the_file_and_says_what_to_do() {
        let failed: Result<(), _> = Err(nix::errno::Errno::ENOSPC);
        let error = failed.context("write", || "/cache/packs/a").unwrap_err();
        assert_eq!(
            error.with_advice(),
            "cannot write /cache/packs/a: No space left on device; \
             free some space, or let `local-cache prune` remove old entries"
        );
    }

    #[test]
    fn damage_is_told_apart_from_missing_files() {
        let damaged = Error::damaged(Path::new("/m"), "too short");
        let missing: Result<()> =
            Err(io::Error::from(io::ErrorKind::NotFound)).context("open", || "/m");
        assert!(damaged.is_damage() && !damaged.is_not_found());
        assert!(missing.unwrap_err().is_not_found());
    }
}
