//! Reading the files of a scanned tree for keeping them.
//!
//! A file may be written while it is read. What was read counts only when the file looks the same before and after:
//! same inode, size, modification and change time.

use std::fs::File;
use std::io;

use super::scan::Reason;
use super::{Cursor, LeafId, Places, Tree};
use crate::error::{Context, Result};
use crate::fs::{Kind, Stat, stat_of};

/// How often a file is read that changes meanwhile.
const ATTEMPTS: usize = 3;

/// What came of reading a file.
#[derive(Debug)]
pub enum Read<T> {
    /// It was read in the state that the filesystem describes so.
    Done(Stat, T),
    /// It can't be kept.
    LeftOut(Reason),
    /// It is gone.
    Gone,
}

/// Opens the files of a tree one after another; each thread has its own.
pub struct Reader<'a> {
    tree: &'a Tree,
    places: &'a Places,
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    /// A reader of the tree at `places`.
    pub fn new(tree: &'a Tree, places: &'a Places) -> Self {
        Self { tree, places, cursor: Cursor::new(tree, places) }
    }

    /// Opens a file and hands it to `consume`, again from the start when it changed meanwhile.
    pub fn read<T>(
        &mut self,
        leaf: LeafId,
        mut consume: impl FnMut(&File, &Stat) -> Result<T>,
    ) -> Result<Read<T>> {
        for _ in 0..ATTEMPTS {
            let file = match self.open(leaf)? {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Gone),
                Err(error) => return Ok(Read::LeftOut(Reason::Unreadable(error))),
            };
            let look = || stat_of(&file).context("look at", || self.places.leaf_path(self.tree, leaf));
            let before = look()?;
            if before.kind != Kind::File {
                return Ok(Read::Gone);
            }
            let value = consume(&file, &before)?;
            if look()?.same_state(&before) {
                return Ok(Read::Done(before, value));
            }
        }
        Ok(Read::LeftOut(Reason::Changing))
    }

    fn open(&mut self, leaf: LeafId) -> Result<io::Result<File>> {
        match self.cursor.enter_parent(leaf) {
            Ok((dir, name)) => Ok(dir.open_file(name)),
            Err(error) if error.is_not_found() => Ok(Err(io::ErrorKind::NotFound.into())),
            Err(error) => Err(error),
        }
    }
}
