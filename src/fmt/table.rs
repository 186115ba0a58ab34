//! Tables for a terminal or a log.

use std::fmt::{self, Write as _};

use super::human::cut_middle;
use super::screen::Screen;

/// Columns that are cut to the width of the terminal keep at least this many characters.
const MIN_WIDTH: usize = 12;
const GAP: usize = 2;

/// A table with headings. Columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right_aligned: Vec<usize>,
    flexible: Vec<usize>,
}

impl Table {
    pub fn new<'h>(headings: impl IntoIterator<Item = &'h str>) -> Self {
        Self {
            rows: vec![headings.into_iter().map(str::to_owned).collect()],
            right_aligned: Vec::new(),
            flexible: Vec::new(),
        }
    }

    /// Aligns columns to the right, for numbers.
    #[must_use]
    pub(crate) fn align_right(mut self, columns: impl Into<Vec<usize>>) -> Self {
        self.right_aligned = columns.into();
        self
    }

    /// Cuts the cells of these columns if a terminal is too narrow for the table.
    #[must_use]
    pub(crate) fn flexible(mut self, columns: impl Into<Vec<usize>>) -> Self {
        self.flexible = columns.into();
        self
    }

    pub(crate) fn add_row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// Whether there are no rows besides the headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as it is written to a screen.
    pub(crate) fn show(&self, screen: Screen) -> String {
        let widths = self.widths(screen.width);
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let line = self.line(row, &widths);
            let line = line.trim_end();
            // Writing to a string does not fail.
            let _ = if number == 0 {
                writeln!(text, "{}", screen.bold(line))
            } else {
                writeln!(text, "{line}")
            };
        }
        text
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let cell = cut_middle(cell, width);
            if column > 0 {
                line.push_str("  ");
            }
            // Writing to a string does not fail.
            let _ = if self.right_aligned.contains(&column) {
                write!(line, "{cell:>width$}")
            } else {
                write!(line, "{cell:<width$}")
            };
        }
        line
    }

    /// The width of each column. In a table that is wider than the screen, the widest of the
    /// flexible columns gives way first.
    fn widths(&self, screen: Option<usize>) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widths = cells.map(|cell| cell.chars().count());
            widths.max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..columns).map(width).collect();
        let Some(screen) = screen else {
            return widths;
        };
        let gaps = GAP * columns.saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > screen {
            let widest = self.flexible.iter().max_by_key(|column| widths[**column]);
            match widest.filter(|column| widths[**column] > MIN_WIDTH) {
                Some(column) => widths[*column] -= 1,
                None => break,
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(Screen::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["name", "files"]).align_right([1]);
        table.add_row(["a longer name".into(), "7".into()]);
        table.add_row(["é".into(), "12345".into()]);
        assert_eq!(
            table.to_string(),
            "name           files\na longer name      7\né              12345\n"
        );
    }

    #[test]
    fn the_widest_flexible_column_is_cut_to_the_screen() {
        let mut table = Table::new(["a", "b", "c"]).flexible([1, 2]);
        table.add_row(["x".repeat(20), "y".repeat(30), "z".repeat(18)]);
        let shown = |width| {
            table.show(Screen {
                width: Some(width),
                color: false,
            })
        };
        let width = |text: String| text.lines().map(|line| line.chars().count()).max();
        assert_eq!(shown(72), table.to_string());
        assert_eq!(width(shown(60)), Some(60));
        assert!(shown(60).contains(&"z".repeat(18)), "{}", shown(60));
        // Cells stay readable on a screen of any width.
        assert_eq!(width(shown(10)), Some(20 + 2 * (GAP + MIN_WIDTH)));
    }
}
