//! The one error type of the library, and what to do about each kind.
//!
//! Callers decide by kind (`is_damage`, `is_not_found`, ...), never by text. The text names what
//! failed and on which path; [`Error::advice`] says what to do next. The edges join the two into
//! one line.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// Why an operation of the library failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call to the operating system failed.
    #[error("cannot {action} {}: {}", .path.display(), without_errno(.source))]
    Io {
        /// The failed action, as a verb: `open`, `write`, `rename`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file of the store does not have the expected contents.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged { path: PathBuf, reason: String },
    /// The store has a format that this version of local-cache does not support.
    #[error("{} has format version {found}, this local-cache reads up to {supported}", .path.display())]
    NewerFormat {
        path: PathBuf,
        found: u32,
        /// The newest version that is supported.
        supported: u32,
    },
    /// A directory that others may write to, or that belongs to somebody else.
    #[error("{} is not safe to use: {reason}", .path.display())]
    Untrusted {
        path: PathBuf,
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// Another process holds a lock that the operation needs.
    #[error("{what} is in use by another process")]
    Busy {
        /// What is locked, for messages.
        what: String,
    },
    /// A key, path or name that can't be used.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what is allowed.
        what: String,
    },
    /// The remote tier failed, or an object in it is not what it should be.
    #[error("{what}")]
    Remote {
        what: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The operation was cancelled by a signal or a time limit.
    #[error("interrupted")]
    Interrupted,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// An [`Error::Invalid`] that no input can cause.
    pub fn defect(what: impl std::fmt::Display) -> Self {
        Self::invalid(format!(
            "{what}; this is a defect of local-cache, please report it"
        ))
    }

    /// Whether a file or directory does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }

    /// Whether data of the store is damaged, so that the entry should be quarantined.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// What to do next. None if there is nothing to do.
    pub fn advice(&self) -> Option<Cow<'static, str>> {
        let advice = match self {
            Self::Io { source, .. } if is_out_of_descriptors(source) => {
                "raise the limit of open files (`ulimit -n`)"
            }
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, or let `local-cache prune` remove old entries"
                }
                io::ErrorKind::PermissionDenied => {
                    "let the user who runs this access it, or name another cache root with \
                     --cache-root if it is there"
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "use a writable filesystem, or name another cache root with --cache-root if it \
                     is there"
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "a directory is needed there: move the file away or choose another path"
                }
                _ => return None,
            },
            Self::Damaged { .. } => {
                "it counts as a miss; `local-cache verify --repair` quarantines damaged entries"
            }
            Self::NewerFormat { .. } => {
                "update local-cache, or choose another directory with --cache-root"
            }
            Self::Untrusted { advice, .. } | Self::Remote { advice, .. } => advice,
            Self::Busy { .. } => "try again when it is done",
            Self::Invalid { .. } | Self::Interrupted => return None,
        };
        Some(advice.into())
    }

    /// The error and its advice, in one line.
    pub(crate) fn with_advice(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(nix::libc::EMFILE | nix::libc::ENFILE)
    )
}

/// The text of an operating system error without "(os error N)".
pub(crate) fn without_errno(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Adds action and path to an operating system error.
pub trait IoContext<T> {
    /// Turns an error into [`Error::Io`]; only then calls `path`.
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
    fn the_error_of_a_full_disk_has_path_and_advice() {
        let failed: Result<(), _> = Err(nix::errno::Errno::ENOSPC);
        let error = failed.context("write", || "/cache/packs/a").unwrap_err();
        assert_eq!(
            error.with_advice(),
            "cannot write /cache/packs/a: No space left on device; \
             free some space, or let `local-cache prune` remove old entries"
        );
    }

    #[test]
    fn damage_and_missing_files_are_different_kinds() {
        let damaged = Error::damaged(Path::new("/m"), "too short");
        let missing: Result<()> =
            Err(io::Error::from(io::ErrorKind::NotFound)).context("open", || "/m");
        assert!(damaged.is_damage() && !damaged.is_not_found());
        assert!(missing.unwrap_err().is_not_found());
    }
}
