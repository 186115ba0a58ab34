//! Looks at files that may not be there, and remembers what it could not look at.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::cargo::project::facts::SourceFile;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileKind, Stat, files};
use crate::glob::{FoundPath, Lookup, Patterns, ResolveError};

/// Where the files are that names stand for: usually just there, but a process that sees a machine
/// below a directory of its own finds them elsewhere. Everything that is asked and found has the
/// names.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// The path to use for an absolute name, every symlink on the way followed as the machine has
    /// it.
    pub locate: &'a (dyn Fn(&Path) -> io::Result<PathBuf> + Sync),
    /// The same, but the last component is left as it is.
    pub locate_link: &'a (dyn Fn(&Path) -> io::Result<PathBuf> + Sync),
    /// The name of a path that was located.
    pub name: &'a (dyn Fn(&Path) -> PathBuf + Sync),
}

impl Sight<'_> {
    /// The process's own files.
    pub fn local() -> Self {
        #[expect(clippy::unnecessary_wraps, reason = "below another root it can fail")]
        fn own(path: &Path) -> io::Result<PathBuf> {
            Ok(path.to_owned())
        }
        Self {
            locate: &own,
            locate_link: &own,
            name: &Path::to_path_buf,
        }
    }
}

/// Looks, and remembers what could not be looked at so far, one line each.
pub(crate) struct FileProbe<'a> {
    sight: Sight<'a>,
    pub(crate) warnings: Vec<String>,
}

impl<'a> FileProbe<'a> {
    pub(crate) fn new(sight: Sight<'a>) -> Self {
        Self {
            sight,
            warnings: Vec::new(),
        }
    }

    fn locate(&self, name: &Path) -> Result<PathBuf> {
        (self.sight.locate)(name).context("find", || name)
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
        self.noted(real).map(|real| (self.sight.name)(&real))
    }

    /// What patterns stand for.
    pub(crate) fn matches(&self, patterns: &Patterns) -> Result<Vec<FoundPath>, ResolveError> {
        let Sight {
            locate,
            locate_link,
            ..
        } = self.sight;
        patterns.resolve_by(
            Lookup {
                target: locate,
                itself: locate_link,
            },
            true,
        )
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
