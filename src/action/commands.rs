//! Formats workflow commands as lines that the runner parses.
//!
//! The runner takes a printed line for a command when it begins with `::` after white space, or
//! contains `##[` anywhere (actions/runner, ActionCommand.cs). Keys, paths and messages come from
//! outside, so two functions stand between them and the log: [`escape_data`] for text inside a
//! command, [`plain`] for text on a normal line. No line returned here has a line break in it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A message that the runner shows as an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotation<'a> {
    pub message: &'a str,
    /// Replaces the runner's own heading.
    pub title: Option<&'a str>,
}

impl<'a> Annotation<'a> {
    pub fn new(message: &'a str) -> Self {
        Self {
            message,
            title: None,
        }
    }

    #[must_use]
    pub fn title(self, title: &'a str) -> Self {
        Self {
            title: Some(title),
            ..self
        }
    }

    fn command(&self, name: &str) -> String {
        command(name, self.title, self.message)
    }
}

/// `::error::`: shown in red and as an annotation. It does not fail the step.
pub fn error(annotation: &Annotation<'_>) -> String {
    annotation.command("error")
}

/// `::warning::`: shown in yellow and as an annotation.
pub fn warning(annotation: &Annotation<'_>) -> String {
    annotation.command("warning")
}

/// `::debug::`: shown when the run has debug logging on.
pub fn debug(message: &str) -> String {
    command("debug", None, message)
}

/// `::group::`: lines that the runner folds under a title, up to `::endgroup::`. Pass them through
/// [`plain`] first.
pub fn group(title: &str, lines: &[String]) -> String {
    let mut text = command("group", None, title);
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
    text.push('\n');
    text.push_str(&command("endgroup", None, ""));
    text
}

fn command(name: &str, title: Option<&str>, data: &str) -> String {
    let title = match title {
        Some(title) if !title.is_empty() => format!(" title={}", escape_property(title)),
        _ => String::new(),
    };
    format!("::{name}{title}::{}", escape_data(data))
}

/// Escapes the text of a command: `%`, carriage return, line feed.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a command's property: also `:` and `,`.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Makes text safe for a normal line: it stays one line, is never a command and moves no cursor.
/// Harmless text is returned unchanged.
///
/// - Control characters, line and paragraph separators and the characters that turn the direction
///   of writing are shown as escapes (`\n`, `\u{1b}`); a tab stays.
/// - `##[` becomes `##\[`, which is what the runner does to lines that try to use its own markers.
/// - `::` at the start, also after white space, becomes `\::`.
pub fn plain(text: &str) -> Cow<'_, str> {
    let leads = text.trim_start().starts_with("::");
    if !leads && !text.contains("##[") && !text.chars().any(needs_escape) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    if leads {
        safe.push('\\');
    }
    for character in text.chars() {
        if needs_escape(character) {
            match character {
                '\n' | '\r' => safe.extend(character.escape_default()),
                other => write!(safe, "{}", other.escape_unicode()).unwrap_or_default(),
            }
        } else {
            if character == '[' && safe.ends_with("##") {
                safe.push('\\');
            }
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn needs_escape(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (character.is_control() && character != '\t')
        || matches!(character, '\u{2028}' | '\u{2029}')
        || turns
}
