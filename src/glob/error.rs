//! What can be wrong with a pattern, and what can go wrong on the disk.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A list of patterns that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A line of nothing but `!`.
    #[error("a pattern of nothing but '!' excludes nothing; write the path to exclude after it")]
    Empty,
    /// A `..` segment, or a `.` segment that is not the first.
    #[error(
        "pattern '{pattern}' has a '.' or '..' inside, which GitHub's rules refuse; write the path from the workspace, from home (~) or from the root (/)"
    )]
    RelativeSegment {
        /// The pattern without its `!`.
        pattern: String,
    },
    /// A `~` where the home directory is not known.
    #[error(
        "pattern '{pattern}' begins at the home directory, which is not known; set HOME or write the whole path"
    )]
    NoHome {
        /// The pattern without its `!`.
        pattern: String,
    },
    /// A relative pattern where the working directory is not an absolute path.
    #[error(
        "pattern '{pattern}' is relative to '{directory}', which is not an absolute path; write the whole path"
    )]
    NoWorkingDirectory {
        /// The pattern without its `!`.
        pattern: String,
        /// What was given as the working directory.
        directory: PathBuf,
    },
}

/// A path that a list of patterns leads to and that can't be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Its kind can't be told; a link that leads to itself is among these.
    #[error("can't look at '{path}': {source}; exclude it or make it readable")]
    Inspect {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its children can't be listed.
    #[error("can't list the directory '{path}': {source}; exclude it or make it readable")]
    List {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
