//! Records of the runner's file commands: `GITHUB_OUTPUT`, `GITHUB_STATE`.
//!
//! A record is `name<<delimiter`, the value, and the delimiter on a line of its own. The runner
//! reads lines up to the first that equals the delimiter, so a value with that line in it could
//! forge records. The delimiter is therefore chosen after the value is known and does not occur in
//! it; that it is random only makes the first try succeed.
//!
//! A value is read back unchanged, including line breaks of any kind and a missing last one: on
//! Linux the runner ends lines at `\n` only and drops just the last one (actions/runner,
//! FileCommandManager.cs, `EnvFileKeyValuePairs`).

use std::hash::{BuildHasher, Hasher, RandomState};

use thiserror::Error;

/// A name that can't be written.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} cannot be the name of an output, a state or a variable; use letters, digits, `-` and `_`"
)]
pub struct InvalidName(String);

/// One record, ending in a line feed.
pub fn record(name: &str, value: &str) -> Result<String, InvalidName> {
    with_delimiters(name, value, random_delimiters())
}

fn with_delimiters(
    name: &str,
    value: &str,
    candidates: impl Iterator<Item = String>,
) -> Result<String, InvalidName> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(InvalidName(name.to_owned()));
    }
    let mut candidates = candidates.filter(|candidate| !value.contains(candidate.as_str()));
    let delimiter = candidates
        .next()
        .unwrap_or_else(|| fallback_delimiter(value));
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

/// Endless; the standard library seeds each state from the system's randomness.
fn random_delimiters() -> impl Iterator<Item = String> {
    std::iter::repeat_with(|| {
        let random = || RandomState::new().build_hasher().finish();
        format!("ghadelimiter_{:016x}{:016x}", random(), random())
    })
}

/// If no candidate is left: a run of underscores longer than the value.
fn fallback_delimiter(value: &str) -> String {
    "_".repeat(value.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_heredoc_with_its_delimiter_alone_on_the_last_line() {
        let written = record("cache-hit", "a\nb").unwrap();
        let delimiter = written
            .lines()
            .next()
            .unwrap()
            .strip_prefix("cache-hit<<")
            .unwrap();
        assert!(delimiter.starts_with("ghadelimiter_"));
        assert_eq!(
            written,
            format!("cache-hit<<{delimiter}\na\nb\n{delimiter}\n")
        );
    }

    #[test]
    fn a_delimiter_that_occurs_in_the_value_is_not_used() {
        let candidates = ["one", "two", "three"].map(str::to_owned).into_iter();
        let written = with_delimiters("n", "xxoney\ntwo", candidates).unwrap();
        assert_eq!(written, "n<<three\nxxoney\ntwo\nthree\n");
    }

    #[test]
    fn when_every_candidate_occurs_one_is_made_that_cannot() {
        let written = with_delimiters("n", "one __", std::iter::once("one".to_owned())).unwrap();
        assert_eq!(written, "n<<_______\none __\n_______\n");
    }

    #[test]
    fn two_records_never_share_a_delimiter() {
        let first = record("n", "v").unwrap();
        assert_ne!(first, record("n", "v").unwrap());
    }

    #[test]
    fn names_that_would_break_the_first_line_are_refused() {
        for name in ["", "a=b", "a<<b", "a\nb", "a b", "ä"] {
            assert_eq!(
                record(name, "v"),
                Err(InvalidName(name.to_owned())),
                "{name:?}"
            );
        }
    }
}
