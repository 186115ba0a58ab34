//! The entries of an index, and lookups by path.

use std::ops::Range;

use crate::fs::Timestamp;
use crate::git::blob::BlobId;

/// The tracked files of a repository, sorted by path.
#[derive(Debug)]
pub struct Index {
    pub(super) entries: Vec<IndexEntry>,
    /// The paths of all entries, one after the other.
    pub(super) paths: Vec<u8>,
    /// The mtime of the index itself. A file that changed at this time or later may have changed
    /// after git recorded its metadata.
    pub(super) written: Timestamp,
}

/// A tracked file, or one side of a conflict.
#[derive(Debug)]
pub struct IndexEntry {
    /// Where its path is in the paths of the index.
    pub(super) path: Range<u32>,
    pub blob: BlobId,
    /// Whether the metadata says anything: no flag of the entry forbids it.
    pub(super) is_comparable: bool,
    /// The kind and permissions as git stores them: `0o100644`, `0o100755`, `0o120000` for a
    /// symlink, `0o160000` for a submodule.
    pub(super) mode: u32,
    pub(super) ctime: IndexTime,
    pub(super) mtime: IndexTime,
    pub(super) inode: u32,
    pub(super) size: u32,
}

/// A time with the lower 32 bits of its seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexTime {
    pub(super) seconds: u32,
    pub(super) nanoseconds: u32,
}

impl Index {
    /// An index without any entry, as of a repository without a commit.
    pub fn empty() -> Self {
        Self {
            entries: Vec::new(),
            paths: Vec::new(),
            written: Timestamp::default(),
        }
    }

    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// The path of an entry of this index, relative to the top of the checkout.
    pub fn path_of(&self, entry: &IndexEntry) -> &[u8] {
        &self.paths[entry.path.start as usize..entry.path.end as usize]
    }

    /// All entries.
    pub(in crate::git) fn all(&self) -> Range<usize> {
        0..self.entries.len()
    }

    /// The entries below a directory. `within` are those below a directory above it; `dir` is its
    /// path with a slash at the end.
    pub(in crate::git) fn below(&self, within: Range<usize>, dir: &[u8]) -> Range<usize> {
        let entries = &self.entries[within.clone()];
        let start = entries.partition_point(|entry| self.path_of(entry) < dir);
        let below = entries[start..].partition_point(|entry| self.path_of(entry).starts_with(dir));
        within.start + start..within.start + start + below
    }

    /// The entry of a path among those in `within`. Of a conflict, any side.
    pub(in crate::git) fn find(&self, within: Range<usize>, path: &[u8]) -> Option<&IndexEntry> {
        let entries = &self.entries[within];
        let at = entries.binary_search_by(|entry| self.path_of(entry).cmp(path));
        at.ok().map(|at| &entries[at])
    }
}
