//! The lines an action prints: one clear line with its mark for each thing done.
//!
//! A [`Log`] writes to a writer that its caller owns and keeps no state outside itself. Every line passes
//! [`plain`](super::commands::plain) or a command's escaping on its way out, here and nowhere else, so a key
//! or a path can't speak to the runner whoever prints it. Failing to write is not an error: the log must
//! never be the reason that a job fails.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use log::LevelFilter;

use super::commands::{self, Annotation};

/// What a line is about; its symbol stands first on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Something is looked at: keys, disk, paths.
    Check,
    /// An entry was put back.
    Restored,
    /// Nothing was found.
    Missed,
    /// An entry was stored.
    Saved,
    /// Something old was removed.
    Cleaned,
    /// The work is done, or there was none.
    Done,
}

impl Mark {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Check, Self::Restored, Self::Missed, Self::Saved, Self::Cleaned, Self::Done];

    /// The symbol.
    pub fn symbol(self) -> char {
        match self {
            Self::Check => '🔍',
            Self::Restored => '🚀',
            Self::Missed => '💿',
            Self::Saved => '💾',
            Self::Cleaned => '🧹',
            Self::Done => '✅',
        }
    }
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity {
    level: LevelFilter,
    runner_debug: bool,
}

impl Verbosity {
    /// `level` as the user asked for it; a run with debug logging on shows debug lines at any level.
    pub fn new(level: LevelFilter, runner_debug: bool) -> Self {
        let level = if runner_debug { level.max(LevelFilter::Debug) } else { level };
        Self { level, runner_debug }
    }

    /// The level in force.
    pub fn level(self) -> LevelFilter {
        self.level
    }
}

/// Writes lines and workflow commands; may be shared between threads.
pub struct Log<'w> {
    out: Mutex<Out<'w>>,
    verbosity: Verbosity,
}

struct Out<'w> {
    writer: &'w mut (dyn Write + Send),
    in_group: bool,
}

impl<'w> Log<'w> {
    /// A log on `writer`.
    pub fn new(writer: &'w mut (dyn Write + Send), verbosity: Verbosity) -> Self {
        Self { out: Mutex::new(Out { writer, in_group: false }), verbosity }
    }

    /// A line with its mark.
    pub fn say(&self, mark: Mark, text: impl fmt::Display) {
        self.line(format_args!("{} {text}", mark.symbol()));
    }

    /// A line as it is, for texts that other programs search for.
    pub fn line(&self, text: impl fmt::Display) {
        self.print(LevelFilter::Info, || commands::plain(&text.to_string()).into_owned());
    }

    /// A warning: an annotation and nothing else.
    pub fn warning(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Warn, || commands::warning(annotation));
    }

    /// An error: an annotation and nothing else. Whether the step fails is the exit code's matter.
    pub fn error(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Error, || commands::error(annotation));
    }

    /// A notice: an annotation and nothing else.
    pub fn notice(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Info, || commands::notice(annotation));
    }

    /// A line for those who look for the reason of something.
    pub fn debug(&self, text: impl fmt::Display) {
        self.diagnostic(LevelFilter::Debug, "debug", text);
    }

    /// A line for each small step.
    pub fn trace(&self, text: impl fmt::Display) {
        self.diagnostic(LevelFilter::Trace, "trace", text);
    }

    /// Has the runner replace `value` by `***` in everything printed after.
    pub fn mask(&self, value: &str) {
        if let Some(command) = commands::add_mask(value) {
            self.print(LevelFilter::Off, || command);
        }
    }

    /// Folds the lines printed until the returned guard is dropped. Groups don't nest at the runner: inside
    /// another one the title is a line of that one.
    pub fn group(&self, title: impl fmt::Display) -> Group<'_, 'w> {
        let title = title.to_string();
        let opens = self.verbosity.level >= LevelFilter::Info
            && self.with_out(|out| !std::mem::replace(&mut out.in_group, true));
        if opens {
            self.print(LevelFilter::Info, || commands::group(&title));
        } else {
            self.line(title);
        }
        Group { log: self, opens }
    }

    /// The runner drops `::debug::` lines of a run without debug logging, so a user who asked this action
    /// for them gets plain lines.
    fn diagnostic(&self, level: LevelFilter, name: &str, text: impl fmt::Display) {
        let runner_debug = self.verbosity.runner_debug;
        self.print(level, || {
            let text = text.to_string();
            if runner_debug {
                commands::debug(&text)
            } else {
                commands::plain(&format!("{name}: {text}")).into()
            }
        });
    }

    /// Prints a line that belongs to `level`; [`LevelFilter::Off`] is printed always. One write for a line,
    /// so that lines of two processes do not mix.
    fn print(&self, level: LevelFilter, line: impl FnOnce() -> String) {
        if level <= self.verbosity.level {
            let mut line = line();
            line.push('\n');
            self.with_out(|out| {
                // A closed standard output must not fail the job.
                let _ = out.writer.write_all(line.as_bytes()).and_then(|()| out.writer.flush());
            });
        }
    }

    fn with_out<T>(&self, use_out: impl FnOnce(&mut Out<'w>) -> T) -> T {
        use_out(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

/// An open group of a [`Log`]; dropping it closes the group.
#[derive(Debug)]
#[must_use = "the group closes when this is dropped"]
pub struct Group<'l, 'w> {
    log: &'l Log<'w>,
    opens: bool,
}

impl Drop for Group<'_, '_> {
    fn drop(&mut self) {
        if self.opens {
            self.log.print(LevelFilter::Info, commands::end_group);
            self.log.with_out(|out| out.in_group = false);
        }
    }
}
