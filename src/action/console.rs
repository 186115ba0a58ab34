//! The lines that an action prints, each with a mark for what it is about.
//!
//! A [`Console`] writes to a writer that its caller owns. Every line passes
//! [`plain`](crate::action::commands::plain) or a command's escaping on its way out, here and
//! nowhere else, so a key or a path can't give commands to the runner. Failing to write is not an
//! error: the log must never fail a job.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;

use log::LevelFilter;

use crate::action::commands;
use crate::action::commands::Annotation;
use crate::workers;

/// What a line is about; its symbol stands first on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A check of keys, disk or paths.
    Check,
    /// An entry was restored.
    Restored,
    Missed,
    Saved,
    Cleaned,
    /// Done, or nothing to do.
    Done,
    /// What the remote did.
    Remote,
}

impl Mark {
    pub const ALL: &[Self] = &[
        Self::Check,
        Self::Restored,
        Self::Missed,
        Self::Saved,
        Self::Cleaned,
        Self::Done,
        Self::Remote,
    ];

    /// A line that begins with the mark.
    pub fn with(self, text: impl fmt::Display) -> String {
        format!("{} {text}", self.symbol())
    }

    fn symbol(self) -> char {
        match self {
            Self::Check => '🔍',
            Self::Restored => '🚀',
            Self::Missed => '💿',
            Self::Saved => '💾',
            Self::Cleaned => '🧹',
            Self::Done => '✅',
            Self::Remote => '☁',
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity {
    level: LevelFilter,
    runner_debug: bool,
}

impl Verbosity {
    /// A run with debug logging shows debug lines at any `level`.
    pub fn new(level: LevelFilter, runner_debug: bool) -> Self {
        let level = if runner_debug {
            level.max(LevelFilter::Debug)
        } else {
            level
        };
        Self {
            level,
            runner_debug,
        }
    }
}

/// Writes lines and workflow commands; may be shared between threads.
pub struct Console<'w> {
    out: Mutex<&'w mut (dyn Write + Send)>,
    verbosity: Verbosity,
}

impl<'w> Console<'w> {
    pub fn new(writer: &'w mut (dyn Write + Send), verbosity: Verbosity) -> Self {
        Self {
            out: Mutex::new(writer),
            verbosity,
        }
    }

    /// A line with its mark.
    pub fn log(&self, mark: Mark, text: impl fmt::Display) {
        self.line(mark.with(text));
    }

    /// A line without a mark, for texts that other programs search for.
    pub fn line(&self, text: impl fmt::Display) {
        self.print(LevelFilter::Info, || {
            commands::plain(&text.to_string()).into_owned()
        });
    }

    /// Details that are folded under a title.
    pub fn group(&self, title: &str, lines: impl IntoIterator<Item = String>) {
        self.print(LevelFilter::Info, || {
            let lines: Vec<String> = lines
                .into_iter()
                .map(|line| commands::plain(&line).into_owned())
                .collect();
            commands::group(title, &lines)
        });
    }

    /// A warning: an annotation and nothing else.
    pub fn warning(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Warn, || commands::warning(annotation));
    }

    /// An error: an annotation and nothing else. Only the exit code fails the step.
    pub fn error(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Error, || commands::error(annotation));
    }

    /// The runner drops `::debug::` lines of a run without debug logging, so if the input
    /// `log-level` asks for them they are plain lines.
    pub fn debug(&self, text: impl fmt::Display) {
        self.print(LevelFilter::Debug, || {
            let text = text.to_string();
            if self.verbosity.runner_debug {
                commands::debug(&text)
            } else {
                commands::plain(&format!("debug: {text}")).into()
            }
        });
    }

    /// Requests and replies in full, for debugging the program itself.
    pub fn trace(&self, title: &str, lines: impl FnOnce() -> String) {
        self.print(LevelFilter::Trace, || {
            let lines = lines();
            let lines: Vec<String> = lines
                .lines()
                .map(|line| commands::plain(line).into_owned())
                .collect();
            commands::group(&format!("trace: {title}"), &lines)
        });
    }

    /// Prints a line that belongs to `level`. One write for a line, so that lines of two processes
    /// do not mix.
    fn print(&self, level: LevelFilter, line: impl FnOnce() -> String) {
        if level <= self.verbosity.level {
            let mut line = line();
            line.push('\n');
            let mut out = workers::lock(&self.out);
            // A closed standard output must not fail the job.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }
}

impl fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("verbosity", &self.verbosity)
            .finish_non_exhaustive()
    }
}
