//! What is known about a directory before it is read: its repository, and the patterns that apply.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{IoContext, Result};
use crate::fs::{Dir, Namespace, Stat, files};
use crate::git::blob::BlobId;
use crate::git::index::{Index, IndexEntry};
use crate::git::patterns::attributes::ConversionChain;
use crate::git::patterns::ignore::IgnoreChain;
use crate::git::repository::Repository;

/// A file with patterns is not larger, in bytes. Git has the same limit.
const MAX_PATTERNS: u64 = 100 << 20;

const IGNORE: &[u8] = b".gitignore";
const ATTRIBUTES: &[u8] = b".gitattributes";
/// Stands for a file with attributes that cannot be read: any file may have a filter.
const CONVERTS_ALL: &[u8] = b"* filter";

/// A directory in a repository.
#[derive(Clone)]
pub(super) struct DirScope {
    /// None if nothing is known: all files count.
    index: Option<Arc<Index>>,
    /// The path of the directory from the top of its checkout, with a slash at the end.
    path: Vec<u8>,
    /// The tracked files below the directory.
    entries: Range<usize>,
    ignored: IgnoreChain,
    converted: ConversionChain,
    /// Whether only tracked files count, because the directory itself is ignored.
    is_ignored: bool,
}

/// What git knows about a file.
pub(super) struct Knowledge<'i> {
    index: Option<&'i Index>,
    entry: Option<&'i IndexEntry>,
    may_convert: bool,
}

impl DirScope {
    /// No repository, or one of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self {
            index: None,
            path: Vec::new(),
            entries: 0..0,
            ignored: IgnoreChain::default(),
            converted: ConversionChain::default(),
            is_ignored: false,
        }
    }

    /// The directory of a listing, which can be below the top of a checkout.
    pub(super) fn of_root(names: &dyn Namespace, root: &Path) -> Result<Self> {
        let Some(repository) = Repository::find(names, root)? else {
            return Ok(Self::unknown());
        };
        let mut scope = Self::of_top(&repository)?;
        let root = files::canonical(root)?;
        let mut dir = repository.worktree().to_owned();
        for name in root.strip_prefix(&dir).unwrap_or(Path::new("")) {
            let opened = Dir::open(&dir).context("open", || &dir)?;
            scope.read_patterns(&opened, |name| opened.stat_at(name).is_ok());
            dir.push(name);
            scope = scope.below(name.as_bytes());
        }
        if scope.is_ignored {
            // The caller asks for the files of a directory that git ignores as a whole, such as a
            // generated project. That git ignores them says nothing about their use.
            scope.is_ignored = false;
            scope.ignored = IgnoreChain::default();
        }
        Ok(scope)
    }

    /// The top of a checkout below the root of the listing. None if the directory is no repository.
    pub(super) fn of_nested(names: &dyn Namespace, dir: &Path) -> Result<Option<Self>> {
        let repository = Repository::open(names, dir)?;
        repository.as_ref().map(Self::of_top).transpose()
    }

    fn of_top(repository: &Repository) -> Result<Self> {
        let index = repository.index()?;
        let mut scope = Self {
            entries: index.all(),
            index: Some(Arc::new(index)),
            ..Self::unknown()
        };
        let info = repository.common_dir().join("info");
        let ignored = read_in(&info, b"exclude");
        let converted = read_in(&info, b"attributes");
        scope.add_patterns(ignored, converted);
        Ok(scope)
    }

    /// A subdirectory.
    pub(super) fn below(&self, name: &[u8]) -> Self {
        let mut path = [&self.path, name].concat();
        let is_ignored = self.is_ignored || self.ignored.ignores(&path, true);
        path.push(b'/');
        let entries = self
            .index
            .as_ref()
            .map_or(0..0, |index| index.below(self.entries.clone(), &path));
        Self {
            index: self.index.clone(),
            path,
            entries,
            ignored: self.ignored.clone(),
            converted: self.converted.clone(),
            is_ignored,
        }
    }

    /// Whether a subdirectory can have files that count; `scope` is the one of the subdirectory.
    pub(super) fn enters(&self, name: &[u8], scope: &Self) -> bool {
        // A submodule has one entry, which is not below its path.
        !scope.is_ignored || !scope.entries.is_empty() || self.find(name).1.is_some()
    }

    /// Adds the patterns of the files in this directory.
    pub(super) fn read_patterns(&mut self, dir: &Dir, has_name: impl Fn(&[u8]) -> bool) {
        if self.index.is_none() {
            return;
        }
        let read = |name: &[u8]| has_name(name).then(|| read_patterns(dir.open_file(name)));
        let ignored = read(IGNORE).and_then(Result::ok);
        let converted = match read(ATTRIBUTES) {
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => Some(CONVERTS_ALL.to_owned()),
            // Git takes a missing one from the index.
            None => {
                let is_tracked = self.find(ATTRIBUTES).1.is_some();
                is_tracked.then(|| CONVERTS_ALL.to_owned())
            }
        };
        self.add_patterns(ignored, converted);
    }

    fn add_patterns(&mut self, ignored: Option<Vec<u8>>, converted: Option<Vec<u8>>) {
        if let Some(text) = ignored {
            self.ignored = self.ignored.with(&self.path, &text);
        }
        if let Some(text) = converted {
            self.converted = self.converted.with(&self.path, &text);
        }
    }

    /// What git knows about a file in this directory. None if the file does not count.
    pub(super) fn file(&self, name: &[u8]) -> Option<Knowledge<'_>> {
        let (path, entry) = self.find(name);
        if entry.is_none() && (self.is_ignored || self.ignored.ignores(&path, false)) {
            return None;
        }
        Some(Knowledge {
            index: self.index.as_deref(),
            entry,
            may_convert: entry.is_some() && self.converted.may_convert(&path),
        })
    }

    fn find(&self, name: &[u8]) -> (Vec<u8>, Option<&IndexEntry>) {
        let path = [&self.path, name].concat();
        let index = self.index.as_ref();
        let entry = index.and_then(|index| index.find(self.entries.clone(), &path));
        (path, entry)
    }
}

impl Knowledge<'_> {
    pub(super) fn is_tracked(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn is_modified(&self, stat: &Stat) -> bool {
        self.entry.is_some_and(|entry| entry.is_modified(stat))
    }

    /// The blob of the file if it is clean and has no filter.
    pub(super) fn blob(&self, stat: &Stat) -> Option<BlobId> {
        let (index, entry) = (self.index?, self.entry?);
        (!self.may_convert && index.is_clean(entry, stat)).then_some(entry.blob)
    }
}

/// The text of a file with patterns of the repository. None if it does not exist or is unreadable.
fn read_in(dir: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let opened = Dir::open(dir).and_then(|dir| dir.open_file(name));
    read_patterns(opened).ok()
}

fn read_patterns(file: io::Result<File>) -> io::Result<Vec<u8>> {
    files::read_open(&file?, MAX_PATTERNS).map(|(bytes, _)| bytes)
}
