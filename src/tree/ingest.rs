//! Reading the files of a scanned tree for keeping them.
//!
//! A file may be written while it is read. What was read counts only when the file looks the same
//! before and after: same inode, size, modification and change time.

use std::fs::File;
use std::io;

use super::scan::SkipReason;
use super::{Cursor, LeafId, Roots, Tree};
use crate::error::{Error, IoContext, Result};
use crate::fs::{Extent, FileKind, Stat, data_extents, stat_of};

/// How often a file is read that changes meanwhile.
const ATTEMPTS: usize = 3;

/// What came of reading a file.
#[derive(Debug)]
pub enum ReadOutcome<T> {
    /// It was read in the state that the filesystem describes so.
    Done(Stat, T),
    /// It can't be kept.
    Skipped(SkipReason),
    /// It is gone.
    Vanished,
}

/// Opens the files of a tree one after another; each thread has its own.
pub struct TreeReader<'a> {
    tree: &'a Tree,
    places: &'a Roots,
    cursor: Cursor<'a>,
}

impl<'a> TreeReader<'a> {
    /// A reader of the tree at `places`.
    pub fn new(tree: &'a Tree, places: &'a Roots) -> Self {
        Self {
            tree,
            places,
            cursor: Cursor::new(tree, places),
        }
    }

    /// Opens a file and hands it to `consume`, again from the start when it changed meanwhile.
    pub fn read<T>(
        &mut self,
        leaf: LeafId,
        mut consume: impl FnMut(&File, &Stat) -> Result<T>,
    ) -> Result<ReadOutcome<T>> {
        for _ in 0..ATTEMPTS {
            let file = match self.open(leaf)? {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(ReadOutcome::Vanished);
                }
                Err(error) => return Ok(ReadOutcome::Skipped(SkipReason::Unreadable(error))),
            };
            let look =
                || stat_of(&file).context("look at", || self.places.leaf_path(self.tree, leaf));
            let before = look()?;
            if before.kind != FileKind::File {
                return Ok(ReadOutcome::Vanished);
            }
            let value = consume(&file, &before)?;
            if look()?.same_state(&before) {
                return Ok(ReadOutcome::Done(before, value));
            }
        }
        Ok(ReadOutcome::Skipped(SkipReason::Changing))
    }

    fn open(&mut self, leaf: LeafId) -> Result<io::Result<File>> {
        match self.cursor.enter_parent(leaf) {
            Ok((dir, name)) => Ok(dir.open_file(name)),
            // On the way something else took a directory's place, or its owner closed it.
            Err(Error::Io { source, .. }) if is_no_directory(&source) => {
                Ok(Err(io::ErrorKind::NotFound.into()))
            }
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Err(source))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the way to a file is gone: nothing is there, a file, or a symlink.
fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(nix::libc::ELOOP)
}

/// Where a file has data.
#[derive(Debug)]
pub struct Runs {
    /// All runs of data, in order.
    pub data: Vec<Extent>,
    /// The same for a file with holes; nothing for one without.
    pub extents: Box<[Extent]>,
}

impl Runs {
    /// Where a file in the given state has data.
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
        // Most files take as much room as they are long. Others have holes, or lie in little room:
        // compressed, or in their inode.
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
    fn a_file_that_takes_less_room_than_it_is_long_but_has_no_holes_is_all_data() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 10_000], 0).unwrap();
        let compressed = Stat {
            allocated: 512,
            ..stat_of(&file).unwrap()
        };
        let runs = Runs::of(&file, &compressed).unwrap();
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
            Runs::of(&file, &stat_of(&file).unwrap())
                .unwrap()
                .data
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_is_one_hole_has_no_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let runs = Runs::of(&file, &stat_of(&file).unwrap()).unwrap();
        assert!(runs.data.is_empty() && runs.extents.is_empty());
    }
}
