//! The program's exit codes. Scripts rely on them, so they never change.

use std::process::{ExitCode, Termination};

/// The result of a command, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked to do.
    Done = 0,
    /// The command failed; the last line on standard error says why and what to do.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No entry was found, and `--fail-on-cache-miss` was given.
    Miss = 3,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
