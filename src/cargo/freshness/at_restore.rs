//! Looks at the sources at a restore, compares them with a record, and puts back what is fresh.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::contents::{ContentId, FileState};
use super::decide::{FileNow, RestoreFacts};
use super::paths::{FoundInput, PathFinder};
use super::project_files::{Project, ProjectFiles, below, is_ignored};
use super::record::{FileNumber, FreshnessRecord, RecordedFile};
use crate::error::Result;
use crate::fs::{FileKind, Timestamp, files};
use crate::git::{BlobId, Repository};

/// The files of the project as they are now. They are listed once for all target directories.
pub(crate) struct SourcesNow<'a> {
    project: &'a Project<'a>,
    finder: PathFinder<'a>,
    files: ProjectFiles,
    /// Everything below the paths of the input `sources`.
    named: Vec<PathBuf>,
    commit: Option<String>,
    /// The time that fresh units get. Everything that was looked at changed before it.
    time: Timestamp,
}

impl<'a> SourcesNow<'a> {
    /// `None` if the clock was set back meanwhile.
    pub(crate) fn list(project: &'a Project<'a>) -> Result<Option<Self>> {
        let Some(time) = Timestamp::next_file_clock_tick() else {
            return Ok(None);
        };
        let roots = project.places.roots(project.namespace)?;
        let mut finder = PathFinder::new(project.namespace, roots);
        let files = ProjectFiles::list(project, &mut finder)?;
        let mut named = Vec::new();
        for name in project.named {
            named.append(&mut below(name, &mut finder)?);
        }
        let checkout = project.namespace.locate(&project.places.checkout)?;
        let repository = Repository::find(project.namespace, &checkout)
            .ok()
            .flatten();
        let head = repository.and_then(|repository| repository.head().ok());
        Ok(Some(Self {
            project,
            finder,
            files,
            named,
            commit: head.and_then(|head| head.commit),
            time,
        }))
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    /// Compares the sources with a record.
    pub(crate) fn compare(&mut self, record: &FreshnessRecord) -> RestoreFacts {
        let is_followed = |file: &&RecordedFile| self.is_followed(file);
        let names: Vec<&Path> = record
            .files
            .iter()
            .filter(is_followed)
            .map(|file| &*file.path)
            .collect();
        let mut followed = HashMap::with_capacity(names.len());
        for name in names {
            followed.insert(name, self.finder.find(name));
        }
        let compare = |file: &RecordedFile| {
            let followed = followed.get(&*file.path);
            let found = match followed.filter(|_| self.is_followed(file)) {
                Some(Err(error)) => return FileNow::Unreadable(error.to_string()),
                Some(Ok(found)) => found.clone(),
                None => self.files.found(&file.path),
            };
            match found {
                Some(path) => self.compare_file(file, &path),
                None => FileNow::Missing,
            }
        };
        let files: Vec<FileNow> = record.files.par_iter().map(compare).collect();
        RestoreFacts {
            files,
            new_in_packages: self.new_in_packages(record),
            new_outside: new_file(self.files.outside.iter(), record, &record.outside),
            new_named: self.new_named(record),
            is_incomplete: self.files.is_incomplete,
            commit: self.commit.clone(),
            time: self.time,
        }
    }

    /// Whether a path must be followed through symlinks. The others are listed if they exist.
    fn is_followed(&self, file: &RecordedFile) -> bool {
        let listed = self.files.files.get(&file.path);
        !file.state.is_link() && listed.is_none_or(|listed| listed.stat.kind != FileKind::File)
    }

    fn compare_file(&self, file: &RecordedFile, path: &FoundInput) -> FileNow {
        match self.is_still(&file.state, path) {
            Ok(true) => FileNow::Same {
                changed: path.changed,
                mtime: path.stat.mtime,
            },
            Ok(false) => FileNow::Different,
            Err(error) => FileNow::Unreadable(error.to_string()),
        }
    }

    fn is_still(&self, state: &FileState, path: &FoundInput) -> Result<bool> {
        let located = self.finder.locate(&path.name)?;
        let blob: Option<BlobId> = self.files.blob(&path.name);
        let is_still = state.is_still(&located, &path.stat, blob)?;
        if blob.is_some() && matches!(state.content, ContentId::Blob(_)) {
            return Ok(is_still);
        }
        // Another file may have been renamed to this name while this one was read.
        let unchanged = files::stat_link(&located)?.is_some_and(|now| now.same_state(&path.stat));
        Ok(is_still && unchanged)
    }

    fn new_in_packages(&self, record: &FreshnessRecord) -> Vec<Option<PathBuf>> {
        let packages = &self.project.places.packages;
        let new_in = |recorded: &super::record::RecordedPackage| {
            let number = packages
                .iter()
                .position(|package| package.directory == recorded.directory)?;
            new_file(self.files.seen_by(number), record, &recorded.files)
        };
        record.packages.iter().map(new_in).collect()
    }

    fn new_named(&self, record: &FreshnessRecord) -> Option<PathBuf> {
        let known: HashSet<&OsStr> = record
            .named
            .iter()
            .map(|number| record.file(*number).path.as_os_str())
            .collect();
        let mut names = self.named.iter();
        names
            .find(|name| !known.contains(name.as_os_str()))
            .cloned()
    }
}

/// The first file that counts as a source and is not in a record's list.
fn new_file<'n>(
    names: impl Iterator<Item = &'n PathBuf>,
    record: &FreshnessRecord,
    known: &[FileNumber],
) -> Option<PathBuf> {
    let written = record.units.iter().flat_map(|unit| &unit.written);
    // Names of the listing have one spelling, and bytes are compared faster than components.
    let known: HashSet<&OsStr> = known
        .iter()
        .chain(written)
        .map(|number| record.file(*number).path.as_os_str())
        .chain(record.products.iter().map(|path| path.as_os_str()))
        .collect();
    let mut counted = names.filter(|name| !is_ignored(name));
    counted
        .find(|name| !known.contains(name.as_os_str()))
        .cloned()
}
