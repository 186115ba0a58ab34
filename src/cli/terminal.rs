//! What the standard streams are connected to.

use crate::fmt::screen::Screen;

/// By default no stream is a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Whether somebody can answer a question.
    pub can_ask: bool,
    pub shows_progress: bool,
    pub output: Screen,
    pub errors: Screen,
}
