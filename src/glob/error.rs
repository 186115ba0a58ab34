//! Errors in patterns and errors of the search for matching paths.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::without_errno;

/// Why a list of patterns can't be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A line with only `!`.
    #[error("a pattern of only '!' excludes nothing; write the path to exclude after it")]
    Empty,
    /// A `..` segment, or a `.` segment that is not the first.
    #[error(
        "pattern '{pattern}' contains '.' or '..', which GitHub's rules reject; write the path from the workspace, from home (~) or from the root (/)"
    )]
    RelativeSegment {
        /// The pattern without its `!`.
        pattern: String,
    },
    /// A pattern with `~` although the home directory is unknown.
    #[error(
        "pattern '{pattern}' starts with '~', but the home directory is unknown; set HOME or write the whole path"
    )]
    NoHome {
        /// The pattern without its `!`.
        pattern: String,
    },
    /// A relative pattern although the working directory is not an absolute path.
    #[error(
        "pattern '{pattern}' is relative to '{directory}', which is not an absolute path; write the whole path"
    )]
    NoWorkingDirectory {
        /// The pattern without its `!`.
        pattern: String,
        /// The working directory that was passed.
        directory: PathBuf,
    },
}

/// Why the search for matching paths failed.
///
/// The texts include the system's error, so it is not a `source`: reports would print it again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The kind of a path can't be determined. A symlink cycle is such an error.
    #[error("cannot access '{path}': {}; exclude it or make it readable", without_errno(.cause))]
    Inspect { path: PathBuf, cause: io::Error },
    #[error(
        "cannot list the directory '{path}': {}; exclude it or make it readable",
        without_errno(.cause)
    )]
    List { path: PathBuf, cause: io::Error },
}
