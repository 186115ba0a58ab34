//! Why a demonstration ended early.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// There is no cargo.
    #[error(
        "cargo is not found in PATH; install Rust, or add the directory that cargo is in to PATH"
    )]
    NoCargo,
    /// Cargo could not be started or listened to.
    #[error("cannot run cargo: {0}; try `cargo --version`")]
    CannotRun(io::Error),
    /// Cargo said no.
    #[error("`{command}` failed ({status}); {advice}")]
    Cargo {
        /// What was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What to do next.
        advice: &'static str,
        /// The last lines that it wrote.
        last_lines: Vec<String>,
    },
    /// The directory is no Cargo project that can be built as it is.
    #[error("{} has no {file}; {advice}", .directory.display())]
    NoProject {
        /// The directory.
        directory: PathBuf,
        /// What is missing.
        file: &'static str,
        /// What to do next.
        advice: &'static str,
    },
    /// There is no registry to take crates from.
    #[error(
        "there is no registry below {} to take crates from; leave --offline out, or run `cargo fetch` in a project first",
        .cargo_home.display()
    )]
    NoRegistry {
        /// The user's Cargo home.
        cargo_home: PathBuf,
    },
    /// The key could not be computed.
    #[error(transparent)]
    Key(#[from] crate::glob::hash_files::HashFilesError),
    /// Restoring, saving or another call to the library failed.
    #[error("{}", .0.with_advice())]
    Library(crate::error::Error),
    /// It was called off by a signal.
    #[error("interrupted")]
    Interrupted,
}

impl From<crate::error::Error> for DemoError {
    fn from(error: crate::error::Error) -> Self {
        match error {
            crate::error::Error::Interrupted => Self::Interrupted,
            other => Self::Library(other),
        }
    }
}

impl DemoError {
    /// The last lines that cargo wrote before it failed.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::Cargo { last_lines, .. } => last_lines,
            _ => &[],
        }
    }
}
