//! Reads the contents of scanned files.
//!
//! A file may be written while it is read. What was read only counts if `stat` returns the same
//! inode, size, mtime and ctime before and after.

use std::fs::File;
use std::io;

use super::cursor::Cursor;
use super::model::{LeafId, Tree};
use super::roots::Roots;
use super::scan::SkipReason;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Extent, FileKind, Stat, data_extents, is_gone, stat_of};

/// How often a file is read if it changes each time.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub enum ReadOutcome<T> {
    /// The file was read completely, in the state of this `stat`.
    Done(Stat, T),
    /// The file can't be saved.
    Skipped(SkipReason),
    /// The file was removed since the scan, or replaced by something else.
    Vanished,
}

/// Reads the files of a tree one after another. Each thread has its own reader.
pub struct TreeReader<'a> {
    tree: &'a Tree,
    roots: &'a Roots,
    cursor: Cursor<'a>,
}

impl<'a> TreeReader<'a> {
    pub fn new(tree: &'a Tree, roots: &'a Roots) -> Self {
        Self {
            tree,
            roots,
            cursor: Cursor::new(tree, roots),
        }
    }

    /// Opens a file and passes it to `consume`; starts over if the file changed meanwhile.
    ///
    /// Errors: those of `consume`, and those of opening that do not mean that the file is gone or may
    /// not be read.
    pub fn read<T>(
        &mut self,
        leaf: LeafId,
        mut consume: impl FnMut(&File, &Stat) -> Result<T>,
    ) -> Result<ReadOutcome<T>> {
        for _ in 0..ATTEMPTS {
            let file = match self.open(leaf) {
                Ok(file) => file,
                Err(Error::Io { source, .. }) if is_gone(&source) => {
                    return Ok(ReadOutcome::Vanished);
                }
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::PermissionDenied =>
                {
                    return Ok(ReadOutcome::Skipped(SkipReason::Forbidden));
                }
                Err(error) => return Err(error),
            };
            let stat =
                || stat_of(&file).context("inspect", || self.roots.leaf_path(self.tree, leaf));
            let before = stat()?;
            if before.kind != FileKind::File {
                return Ok(ReadOutcome::Vanished);
            }
            let value = consume(&file, &before)?;
            if stat()?.same_state(&before) {
                return Ok(ReadOutcome::Done(before, value));
            }
        }
        Ok(ReadOutcome::Skipped(SkipReason::Changing))
    }

    fn open(&mut self, leaf: LeafId) -> Result<File> {
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        let file = dir.open_file(name);
        file.context("open", || self.roots.leaf_path(self.tree, leaf))
    }
}

/// Where a file has data, and where it has holes.
#[derive(Debug)]
pub struct DataRuns {
    /// All runs of data, in order.
    pub data: Vec<Extent>,
    /// The same for a file with holes; empty for a file without holes.
    pub extents: Box<[Extent]>,
}

impl DataRuns {
    /// Finds the data of a file, given its current `stat`.
    pub fn of(file: &File, stat: &Stat) -> io::Result<Self> {
        if stat.size == 0 {
            return Ok(Self {
                data: Vec::new(),
                extents: Box::default(),
            });
        }
        let whole = Extent {
            offset: 0,
            length: stat.size,
        };
        // Only a file with fewer allocated bytes than its size can have holes, so most files need
        // no further calls. A compressed or inlined file also has fewer, without any hole.
        let data = if stat.allocated < stat.size {
            data_extents(file, stat.size)?
        } else {
            vec![whole]
        };
        let extents = if data == [whole] {
            Box::default()
        } else {
            data.clone().into()
        };
        Ok(Self { data, extents })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_compressed_file_without_holes_is_all_data() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 10_000], 0).unwrap();
        let compressed = Stat {
            allocated: 512,
            ..stat_of(&file).unwrap()
        };
        let runs = DataRuns::of(&file, &compressed).unwrap();
        assert_eq!(
            runs.data,
            [Extent {
                offset: 0,
                length: 10_000
            }]
        );
        assert!(runs.extents.is_empty());
    }

    #[test]
    fn an_empty_file_has_no_data() {
        let file = tempfile::tempfile().unwrap();
        assert!(
            DataRuns::of(&file, &stat_of(&file).unwrap())
                .unwrap()
                .data
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_is_one_hole_has_no_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let runs = DataRuns::of(&file, &stat_of(&file).unwrap()).unwrap();
        assert!(runs.data.is_empty() && runs.extents.is_empty());
    }
}
