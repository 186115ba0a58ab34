//! The runner's files: writing outputs, state and the summary; reading the event.
//!
//! The files exist before the phase starts and belong to the runner's user. They are opened for
//! appending and never created: if one is missing, its path belongs to another mount namespace (act
//! passes host paths to a container), and nobody would read a new file there. Each record is one
//! write to a descriptor in append mode, so records of two processes do not mix.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::env::Env;
use super::event::{EventError, EventPayload};
use super::record::{self, InvalidName};

/// The largest summary that the runner accepts, in bytes; it drops a larger file whole
/// (actions/runner, FileCommandManager.cs, `AttachmentSizeLimit`).
pub const SUMMARY_LIMIT: u64 = 1024 * 1024;

/// The files that the runner reads after a phase. A path is `None` if the runner sets none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandFiles {
    /// `GITHUB_OUTPUT`: the step's outputs. The runner drops what the pre phase writes.
    pub output: Option<PathBuf>,
    /// `GITHUB_STATE`: what later phases of the same step find as `STATE_` variables.
    pub state: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`: Markdown for the run's page.
    pub summary: Option<PathBuf>,
}

/// A record could not be written for the runner.
#[derive(Debug, Error)]
pub enum FileError {
    /// The runner sets no such variable.
    #[error("{variable} is not set, so {what} is not written; update the runner")]
    Unset {
        variable: &'static str,
        what: String,
    },
    /// The file does not exist, as when a runner passes host paths to a container.
    #[error("{variable} names {}, which does not exist here, so {what} is not written", path.display())]
    Missing {
        variable: &'static str,
        path: PathBuf,
        what: String,
    },
    /// The name is not valid in these files.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The summary would be larger than the runner accepts.
    #[error(
        "the summary would have {size} bytes and the runner accepts {SUMMARY_LIMIT}; it is not written"
    )]
    SummaryTooLarge { size: u64 },
    #[error("write {what} to {}: {source}", path.display())]
    Write {
        path: PathBuf,
        what: String,
        source: io::Error,
    },
}

impl CommandFiles {
    /// The paths that the environment names.
    pub fn from_env(env: &Env) -> Self {
        let path = |name: &str| env.path(name).map(Path::to_owned);
        Self {
            output: path("GITHUB_OUTPUT"),
            state: path("GITHUB_STATE"),
            summary: path("GITHUB_STEP_SUMMARY"),
        }
    }

    /// The same files at other paths, for a runner whose paths are not this process's.
    #[must_use]
    pub fn map_paths(self, mut translate: impl FnMut(PathBuf) -> PathBuf) -> Self {
        Self {
            output: self.output.map(&mut translate),
            state: self.state.map(&mut translate),
            summary: self.summary.map(translate),
        }
    }

    /// Sets an output of the step.
    pub fn set_output(&self, name: &str, value: &str) -> Result<(), FileError> {
        let what = format!("output {name}");
        append(
            "GITHUB_OUTPUT",
            self.output.as_deref(),
            what,
            &record::record(name, value)?,
        )
    }

    /// Saves a value for later phases of the same step; read it with [`Env::state`].
    pub fn save_state(&self, name: &str, value: &str) -> Result<(), FileError> {
        let what = format!("state {name}");
        append(
            "GITHUB_STATE",
            self.state.as_deref(),
            what,
            &record::record(name, value)?,
        )
    }

    /// Appends Markdown to the step's summary, with a line feed at its end. Nothing is written if
    /// the summary would exceed [`SUMMARY_LIMIT`], because the runner would then drop all of it.
    pub fn append_summary(&self, markdown: &str) -> Result<(), FileError> {
        let end = if markdown.ends_with('\n') { "" } else { "\n" };
        let text = format!("{markdown}{end}");
        let existing = self
            .summary
            .as_deref()
            .and_then(|path| fs::metadata(path).ok())
            .map_or(0, |m| m.len());
        let size = existing + text.len() as u64;
        if size > SUMMARY_LIMIT {
            return Err(FileError::SummaryTooLarge { size });
        }
        append(
            "GITHUB_STEP_SUMMARY",
            self.summary.as_deref(),
            "the summary".into(),
            &text,
        )
    }
}

fn append(
    variable: &'static str,
    path: Option<&Path>,
    what: String,
    text: &str,
) -> Result<(), FileError> {
    let Some(path) = path else {
        return Err(FileError::Unset { variable, what });
    };
    let path = path.to_owned();
    let opened = OpenOptions::new().append(true).open(&path);
    match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileError::Missing {
            variable,
            path,
            what,
        }),
        Err(source) => Err(FileError::Write { path, what, source }),
    }
}

/// Reads and parses the event file.
pub fn read_event(path: Option<&Path>) -> Result<EventPayload, EventError> {
    let path = path.ok_or(EventError::Unset)?;
    let payload = fs::read(path).map_err(|source| EventError::Read {
        path: path.to_owned(),
        source,
    })?;
    EventPayload::parse(&payload)
}
