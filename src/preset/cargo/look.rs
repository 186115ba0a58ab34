//! Looks at files that may not be there, and remembers what it could not look at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::facts::SourceFile;
use crate::error::{Error, Result};
use crate::fs::{Kind, Stat, files};

/// What could not be looked at so far, one line each.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) warnings: Vec<String>,
}

impl Look {
    /// A regular file, or nothing. What is there and can't be read is as if it were not there, and is said.
    pub(super) fn file(&mut self, path: &Path) -> Option<SourceFile> {
        let stat = self.stat(path)?;
        if stat.kind != Kind::File {
            return None;
        }
        let bytes = self.noted(files::read(path))?;
        Some(SourceFile { path: path.to_owned(), bytes })
    }

    /// What is at a path, following symlinks.
    pub(super) fn stat(&mut self, path: &Path) -> Option<Stat> {
        self.noted(files::stat(path)).flatten()
    }

    /// The names in a directory; none when it is not there.
    pub(super) fn names(&mut self, directory: &Path) -> Vec<String> {
        let names = self.noted(files::list(directory)).unwrap_or_default();
        names.into_iter().filter_map(|name| name.into_string().ok()).collect()
    }

    /// The path without symlinks, if something is there.
    pub(super) fn real(&mut self, path: &Path) -> Option<PathBuf> {
        self.noted(files::canonical(path))
    }

    /// Notes that something else is wrong.
    pub(super) fn warn(&mut self, line: String) {
        if !self.warnings.contains(&line) {
            self.warnings.push(line);
        }
    }

    fn noted<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // A file where a directory would have to be: then what is looked for is not there.
            Err(Error::Io { source, .. })
                if matches!(source.kind(), ErrorKind::NotADirectory | ErrorKind::NotFound) =>
            {
                None
            }
            Err(error) => {
                self.warn(format!("{error}; the cache keys are made without it"));
                None
            }
        }
    }
}
