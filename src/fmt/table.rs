//! Tables for a terminal or a log.

use std::fmt::{self, Write as _};

/// A table with headings. Columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right_aligned: Vec<usize>,
}

impl Table {
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned).into()],
            right_aligned: Vec::new(),
        }
    }

    /// Aligns columns to the right, for numbers.
    #[must_use]
    pub(crate) fn align_right<const N: usize>(mut self, columns: [usize; N]) -> Self {
        self.right_aligned = columns.into();
        self
    }

    pub(crate) fn add_row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Whether there are no rows besides the headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
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
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
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
}
