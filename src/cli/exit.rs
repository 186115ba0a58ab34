//! What the program's exit codes mean. Scripts rely on them, so they never change.

use std::process::{ExitCode, Termination};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// It could not; the last line says why and what to do.
    Failed = 1,
    /// It was not asked properly.
    Usage = 2,
    /// Nothing was found, and `--fail-on-cache-miss` was given.
    Miss = 3,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
