//! How a failed command is reported: one line for people, an exit code for scripts.

use std::fmt::Write as _;
use std::io;

use super::exit::Exit;
use crate::action::commands::plain;
use crate::demo::CargoFailed;
use crate::error::Error;

/// The command line is wrong. Commands fail with any other error when the work itself failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

pub(super) fn usage_error(text: impl Into<String>) -> anyhow::Error {
    UsageError(text.into()).into()
}

pub(super) fn exit_code(error: &anyhow::Error) -> Exit {
    if error.is::<UsageError>() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// Whether the reader of the output is gone.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The error with its causes and what to do next, in one line. If cargo failed, its last lines
/// follow.
pub(super) fn message(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<Error>() {
            // Its text includes its cause.
            parts.push(error.with_advice());
            break;
        }
        parts.push(cause.to_string());
    }
    let mut text = plain(&parts.join(": ")).into_owned();
    if let Some(failed) = error.downcast_ref::<CargoFailed>() {
        for line in &failed.last_lines {
            // Writing to a string does not fail.
            let _ = write!(text, "\n  | {}", plain(line));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_what_failed_and_advice_comes_last() {
        let denied = Error::Io {
            action: "open",
            path: "/a\nb".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let error = anyhow::Error::from(denied).context("cannot read the index");
        assert_eq!(
            message(&error),
            "cannot read the index: cannot open /a\\nb: permission denied; \
             let the user who runs this access it, or name another cache root with \
             --cache-root if it is there"
        );
        assert_eq!(exit_code(&error), Exit::Failed);
    }

    #[test]
    fn only_a_wrong_command_line_has_the_exit_code_for_usage() {
        let error = usage_error("the key is empty; give one with --key");
        assert_eq!(message(&error), "the key is empty; give one with --key");
        assert_eq!(exit_code(&error), Exit::Usage);
    }
}
