//! The table in which `list`, `prune` and `rm` show entries.

use super::selection::{ShortIds, branch, repository};
use super::text::one_line;
use crate::fmt::human::bytes;
use crate::fmt::screen::Screen;
use crate::fmt::table::Table;
use crate::store::{Entry, EntryId};

const FIRST: [&str; 5] = ["entry", "repository", "branch", "kind", "size"];
const SIZE: usize = FIRST.len() - 1;

pub(super) struct EntryTable<'a> {
    table: Table,
    ids: &'a ShortIds,
}

impl<'a> EntryTable<'a> {
    /// A table with further columns between the size and the key: first `numbers`, then `texts`.
    pub(super) fn new(ids: &'a ShortIds, numbers: &[&str], texts: &[&str]) -> Self {
        let headings: Vec<&str> = [&FIRST, numbers, texts, &["key"]].concat();
        let key = headings.len() - 1;
        let table = Table::new(headings)
            .align_right((SIZE..=SIZE + numbers.len()).collect::<Vec<_>>())
            .flexible([1, 2, key]);
        Self { table, ids }
    }

    /// `cells` are those of the further columns.
    pub(super) fn add(&mut self, id: &EntryId, entry: &Entry, cells: &[String]) {
        let first = [
            self.ids.show(id),
            one_line(repository(entry)),
            one_line(branch(entry)),
            entry.group.kind.to_string(),
            bytes(entry.bytes),
        ];
        self.table
            .add_row([&first, cells, &[one_line(&entry.key)]].concat());
    }

    pub(super) fn show(&self, screen: Screen) -> String {
        self.table.show(screen)
    }
}
