//! What all commands work with: where the store is, what paths are relative to, where output goes.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::failure::usage_error;
use super::terminal::Terminal;
use crate::action::Env;
use crate::glob::Base;
use crate::monitor::Monitor;
use crate::ops::path_list::PathList;
use crate::store::Store;

/// The program's environment and the arguments that all commands have.
pub(super) struct CommandContext<'a> {
    /// Absolute.
    pub(super) cache_root: &'a Path,
    /// Whether to print JSON instead of text.
    pub(super) json: bool,
    pub(super) base: &'a Base,
    pub(super) env: &'a Env,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) terminal: Terminal,
    pub(super) input: &'a mut dyn BufRead,
    pub(super) out: &'a mut (dyn Write + Send),
    pub(super) err: &'a mut dyn Write,
}

impl CommandContext<'_> {
    /// Prints a result as text or as JSON, whichever the user chose.
    pub(super) fn print(&mut self, text: &str, json: &Value) -> Result<()> {
        if self.json {
            self.print_json(json)
        } else {
            self.print_text(text)
        }
    }

    /// Prints lines. In the log of a job, nothing in them gives commands to the runner.
    pub(super) fn print_text(&mut self, text: &str) -> Result<()> {
        self.write(plain_lines(text).as_bytes())
    }

    pub(super) fn print_json(&mut self, json: &Value) -> Result<()> {
        self.write(json_text(json).as_bytes())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).context("cannot write the output")
    }

    /// Asks before something is lost. Without a terminal there is nobody to ask, and `advice` says
    /// how to go on.
    ///
    /// Errors: the answer is no, or nobody can be asked.
    pub(super) fn confirm(&mut self, question: &str, advice: &str) -> Result<()> {
        if !self.terminal.can_ask {
            return Err(usage_error(format!("{question} {advice}")));
        }
        write!(self.err, "{question} [y/N] ").context("cannot write the question")?;
        self.err.flush().context("cannot write the question")?;
        let mut answer = String::new();
        self.input
            .read_line(&mut answer)
            .context("cannot read the answer")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("nothing was removed");
        }
        Ok(())
    }

    /// The store in the cache root, if there is one.
    pub(super) fn open_store(&self) -> Result<Option<Store>> {
        Ok(Store::open(self.cache_root)?)
    }

    /// The user's home directory, if it is known.
    pub(super) fn home(&self) -> Option<PathBuf> {
        Some(self.base.home.clone()).filter(|home| home.is_absolute())
    }

    /// The directory that the action would use as the checkout: in a job that of the workflow,
    /// otherwise the current directory.
    pub(super) fn checkout(&self) -> &Path {
        let directory = self.base.working_directory.as_path();
        self.env
            .path("GITHUB_WORKSPACE")
            .filter(|checkout| directory.starts_with(checkout))
            .unwrap_or(directory)
    }

    /// Parses the path patterns of `restore` and `save`.
    pub(super) fn path_list(&self, patterns: &[String]) -> Result<PathList> {
        let lines = patterns
            .iter()
            .map(|pattern| absolute_if_outside(pattern, self.base));
        let list =
            PathList::parse(lines, self.base).map_err(|error| usage_error(error.to_string()))?;
        if list.is_empty() {
            return Err(usage_error(
                "no path is given; name at least one file or directory",
            ));
        }
        Ok(list)
    }
}

/// A document with a line end. In the log of a job, nothing in it gives commands to the runner.
pub(super) fn json_text(json: &Value) -> String {
    // `[` as an escape is the same string in JSON.
    format!("{json:#}\n").replace("##[", "##\\u005b")
}

/// Text in which no line is a command of the runner: see [`crate::action::commands`]. Colours stay.
pub(super) fn plain_lines(text: &str) -> String {
    let plain = |line: &str| {
        let line = line.replace("##[", "##\\[");
        let is_command = line.trim_start().starts_with("::");
        if is_command {
            format!("\\{line}")
        } else {
            line
        }
    };
    let lines = text.split('\n').map(plain);
    lines.collect::<Vec<_>>().join("\n")
}

/// Makes a pattern that begins with `..` absolute.
///
/// GitHub's rules refuse `..` in patterns, but on a command line it has to mean what it means to
/// the shell.
fn absolute_if_outside(pattern: &str, base: &Base) -> String {
    let (mark, path) = pattern.split_at(pattern.len() - pattern.trim_start_matches('!').len());
    let Some(mut rest) = strip_component(path, "..") else {
        return pattern.to_owned();
    };
    let mut directory = base.working_directory.parent();
    while let Some(further) = strip_component(rest, "/..") {
        (rest, directory) = (further, directory.and_then(Path::parent));
    }
    let directory = directory.unwrap_or(Path::new("/")).display().to_string();
    format!("{mark}{}{rest}", directory.trim_end_matches('/'))
}

/// Removes whole components from the start of a path, so that `..name` does not count as `..`.
fn strip_component<'p>(path: &'p str, components: &str) -> Option<&'p str> {
    path.strip_prefix(components)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_text_is_a_command_of_the_runner() {
        assert_eq!(
            plain_lines("a\n  ::add-mask::b\n##[add-mask]c\n"),
            "a\n\\  ::add-mask::b\n##\\[add-mask]c\n"
        );
    }

    #[test]
    fn a_pattern_that_leaves_the_current_directory_becomes_absolute() {
        let base = Base::new("/data/repo/sub", "/home/me");
        let cases = [
            ("../other", "/data/repo/other"),
            ("!../other/x", "!/data/repo/other/x"),
            ("../../../../../a", "/a"),
            ("../..", "/data"),
            ("..name", "..name"),
            ("a/b", "a/b"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(absolute_if_outside(pattern, &base), expected);
        }
    }
}
