//! The lines an action prints: one clear line with its mark for each thing done.
//!
//! A [`Console`] writes to a writer that its caller owns and keeps no state outside itself. Every
//! line passes [`plain`](crate::action::commands::plain) or a command's escaping on its way out,
//! here and nowhere else, so a key or a path can't speak to the runner whoever prints it. Failing
//! to write is not an error: the log must never be the reason that a job fails.

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
    /// Something is looked at: keys, disk, paths.
    Check,
    /// An entry was put back.
    Restored,
    Missed,
    Saved,
    Cleaned,
    /// The work is done, or there was none.
    Done,
}

impl Mark {
    pub const ALL: &[Self] = &[
        Self::Check,
        Self::Restored,
        Self::Missed,
        Self::Saved,
        Self::Cleaned,
        Self::Done,
    ];

    fn symbol(self) -> char {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity {
    level: LevelFilter,
    runner_debug: bool,
}

impl Verbosity {
    /// `level` as the user asked for it; a run with debug logging on shows debug lines at any
    /// level.
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
        self.line(format_args!("{} {text}", mark.symbol()));
    }

    /// A line as it is, for texts that other programs search for.
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

    /// An error: an annotation and nothing else. Whether the step fails is the exit code's matter.
    pub fn error(&self, annotation: &Annotation<'_>) {
        self.print(LevelFilter::Error, || commands::error(annotation));
    }

    /// A line for those who look for the reason of something. The runner drops `::debug::` lines of
    /// a run without debug logging, so a user who asked this action for them gets plain lines.
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

    /// What was exchanged in full, for those who look for a mistake of the program itself.
    pub fn trace(&self, text: impl FnOnce() -> String) {
        self.print(LevelFilter::Trace, || {
            commands::plain(&format!("trace: {}", text())).into()
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
        f.debug_struct("Log")
            .field("verbosity", &self.verbosity)
            .finish_non_exhaustive()
    }
}
