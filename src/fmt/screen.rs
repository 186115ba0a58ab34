//! What text is written to: how wide it is, and whether it shows colours.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Columns of the terminal; `None` if it is not a terminal.
    pub width: Option<usize>,
    pub color: bool,
}

impl Screen {
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// For what fails or goes away.
    pub(crate) fn red(self, text: impl Display) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    fn styled(self, style: Style, text: impl Display) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_written_only_to_screens_with_colours() {
        let color = Screen {
            color: true,
            ..Screen::default()
        };
        assert_eq!(Screen::default().red("x"), "x");
        assert_eq!(color.bold("x"), "\u{1b}[1mx\u{1b}[0m");
    }
}
