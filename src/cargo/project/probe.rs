//! Reads files that may not exist. A file that can't be read is a warning.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::cargo::project::facts::ProjectFile;
use crate::cargo::project::vendored_packages::{self, VendoredPackages};
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileKind, Namespace, Stat, files};
use crate::glob::{FoundPath, Patterns, ResolveError};

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

    /// `Cargo` and `rustup` directories are relative if the home directory is not known. A file
    /// below the current directory must not be taken for one of theirs.
    fn locate(&self, name: &Path) -> Result<PathBuf> {
        if name.is_absolute() {
            self.namespace.locate(name)
        } else {
            Err(io::Error::from(ErrorKind::NotFound)).context("find", || name)
        }
    }

    /// The contents of a regular file. An unreadable file is a warning and counts as absent.
    pub(crate) fn file(&mut self, path: &Path) -> Option<ProjectFile> {
        let stat = self.stat(path)?;
        if stat.kind != FileKind::File {
            return None;
        }
        let bytes = self.warn_on_error(self.locate(path).and_then(|path| files::read(&path)))?;
        Some(ProjectFile {
            path: path.to_owned(),
            bytes,
        })
    }

    pub(crate) fn stat(&mut self, path: &Path) -> Option<Stat> {
        self.warn_on_error(self.locate(path).and_then(|path| files::stat(&path)))
            .flatten()
    }

    /// Empty if the directory does not exist.
    pub(crate) fn list(&mut self, directory: &Path) -> Vec<String> {
        let listed = self
            .locate(directory)
            .and_then(|directory| files::list(&directory));
        let names = self.warn_on_error(listed).unwrap_or_default();
        names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect()
    }

    /// The path with symlinks resolved, if it exists.
    pub(crate) fn canonical(&mut self, path: &Path) -> Option<PathBuf> {
        let path = self.locate(path).and_then(|path| files::canonical(&path));
        self.warn_on_error(path)
            .map(|path| self.namespace.original_name(&path))
    }

    /// The packages of a directory source; none if the directory does not exist.
    pub(crate) fn vendored_packages(&mut self, directory: &Path) -> Option<VendoredPackages> {
        let read = self
            .locate(directory)
            .and_then(|located| vendored_packages::read(directory, &located));
        self.warn_on_error(read)
            .filter(|found| !found.packages.is_empty())
    }

    pub(crate) fn matches(&self, patterns: &Patterns) -> Result<Vec<FoundPath>, ResolveError> {
        patterns.resolve_in(self.namespace, true)
    }

    pub(crate) fn warn(&mut self, line: String) {
        if !self.warnings.contains(&line) {
            self.warnings.push(line);
        }
    }

    fn warn_on_error<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // With a file in place of a parent directory, the path does not exist either.
            Err(Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::NotADirectory | ErrorKind::NotFound
                ) =>
            {
                None
            }
            Err(error) => {
                self.warn(format!("{error}; the cache keys are computed without it"));
                None
            }
        }
    }
}
