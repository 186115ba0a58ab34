//! The environment that a runner gives to its steps beside the job's own: the files `.env` and
//! `.path` in its root directory.
//!
//! The runner sets the variables of `.env` for itself (actions/runner, `Program.LoadAndSetEnv`), and
//! its service takes PATH from `.path` (`runsvc.sh`). Steps inherit both. The container of an action
//! gets neither, so a `CARGO_HOME` that is set there would be unknown.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::env::Env;

/// The variables of these files. A missing file is an empty one.
pub(super) fn parse(env_file: &[u8], path_file: &[u8]) -> Env {
    let mut variables = parse_env_file(env_file);
    let path = path_file.trim_ascii();
    let has_path = variables.iter().any(|(name, _)| name == "PATH");
    if !path.is_empty() && !has_path {
        variables.push(("PATH".into(), OsStr::from_bytes(path).to_owned()));
    }
    variables.into_iter().collect()
}

/// One `NAME=value` a line: no quotes, no comments, no expansion. A later line replaces an earlier
/// one, and an empty value unsets the variable.
fn parse_env_file(text: &[u8]) -> Vec<(OsString, OsString)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Some(end) = line.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&line[..end], &line[end + 1..]);
        if name.is_empty() {
            continue;
        }
        let name = OsString::from_vec(name.to_vec());
        variables.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            variables.push((name, OsString::from_vec(value.to_vec())));
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_the_runner_reads_them() {
        let env = parse(
            b"\xef\xbb\xbfCARGO_HOME=/srv/cargo home\r\nQ=\"x\"\n=none\nno line\nA=b=c\nGONE=1\nGONE=\nA=d\n",
            b"/usr/bin:/bin\n",
        );
        let found: Vec<_> = env
            .iter()
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ("A", "d"),
                ("CARGO_HOME", "/srv/cargo home"),
                ("PATH", "/usr/bin:/bin"),
                ("Q", "\"x\"")
            ]
        );
        assert_eq!(parse(b"PATH=/own\n", b"/other").text("PATH"), Some("/own"));
        assert_eq!(parse(b"", b"\n"), Env::default());
    }
}
