//! Looks at files that may not be there, and remembers what it could not look at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cargo::project::facts::SourceFile;
use crate::error::{Error, Result};
use crate::fs::{FileKind, Namespace, Stat, files};
use crate::glob::{FoundPath, Patterns, ResolveError};

/// Looks, and remembers what could not be looked at so far, one line each.
pub(crate) struct FileProbe<'a> {
    namespace: &'a dyn Namespace,
    pub(crate) warnings: Vec<String>,
}

impl<'a> FileProbe<'a> {
    pub(crate) fn new(namespace: &'a dyn Namespace) -> Self {
        Self {
            namespace,
            warnings: Vec::new(),
        }
    }

    fn locate(&self, name: &Path) -> Result<PathBuf> {
        self.namespace.locate(name)
    }

    /// A regular file, or nothing. What is there and can't be read is as if it were not there, and
    /// is said.
    pub(crate) fn file(&mut self, path: &Path) -> Option<SourceFile> {
        let stat = self.stat(path)?;
        if stat.kind != FileKind::File {
            return None;
        }
        let bytes = self.noted(self.locate(path).and_then(|path| files::read(&path)))?;
        Some(SourceFile {
            path: path.to_owned(),
            bytes,
        })
    }

    /// What is at a path, following symlinks.
    pub(crate) fn stat(&mut self, path: &Path) -> Option<Stat> {
        self.noted(self.locate(path).and_then(|path| files::stat(&path)))
            .flatten()
    }

    /// The names in a directory; none when it is not there.
    pub(crate) fn names(&mut self, directory: &Path) -> Vec<String> {
        let listed = self
            .locate(directory)
            .and_then(|directory| files::list(&directory));
        let names = self.noted(listed).unwrap_or_default();
        names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect()
    }

    /// The path without symlinks, if something is there.
    pub(crate) fn real(&mut self, path: &Path) -> Option<PathBuf> {
        let real = self.locate(path).and_then(|path| files::canonical(&path));
        self.noted(real)
            .map(|real| self.namespace.original_name(&real))
    }

    /// What patterns stand for.
    pub(crate) fn matches(&self, patterns: &Patterns) -> Result<Vec<FoundPath>, ResolveError> {
        patterns.resolve_in(self.namespace, true)
    }

    /// Notes that something else is wrong.
    pub(crate) fn warn(&mut self, line: String) {
        if !self.warnings.contains(&line) {
            self.warnings.push(line);
        }
    }

    fn noted<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // A file where a directory would have to be: then what is looked for is not there.
            Err(Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::NotADirectory | ErrorKind::NotFound
                ) =>
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
