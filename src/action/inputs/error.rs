//! What can be wrong with inputs. All of it is found before any of it is reported.

use std::fmt;

use thiserror::Error;

/// One thing wrong with the inputs. The texts that actions/cache has for the same case are its
/// texts, so that whoever searches for them finds them (actions/toolkit, packages/core, core.ts and
/// packages/cache, cache.ts).
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputError {
    /// An input that this action can't do without is not set.
    #[error("Input required and not supplied: {name}")]
    Missing { name: &'static str },
    /// A value that can't be understood.
    #[error("input {name} is {}, which is not {allowed}", QuotedValue(value))]
    Invalid {
        name: &'static str,
        value: String,
        /// What would be understood, to follow "is not".
        allowed: &'static str,
    },
    /// A value whose bytes are no text.
    #[error(
        "input {name} is {}, which is not UTF-8; name the file by a pattern",
        QuotedValue(value)
    )]
    NotUtf8 {
        name: &'static str,
        /// Its value with what is no text replaced.
        value: String,
    },
    /// Two inputs that can't both be followed.
    #[error("inputs {first} and {second} contradict each other; {advice}")]
    Conflict {
        first: &'static str,
        second: &'static str,
        advice: &'static str,
    },
    /// `path` is set and lists nothing.
    #[error("Path Validation Error: At least one directory or file path is required")]
    NoPaths,
    /// More keys than [`MAX_KEYS`](super::MAX_KEYS).
    #[error(
        "Key Validation Error: Keys are limited to a maximum of {}.",
        super::MAX_KEYS
    )]
    TooManyKeys,
    /// A key longer than [`MAX_KEY_LENGTH`](super::MAX_KEY_LENGTH).
    #[error(
        "Key Validation Error: {key} cannot be larger than {} characters.",
        super::MAX_KEY_LENGTH
    )]
    KeyTooLong { key: String },
    /// A key with a comma.
    #[error("Key Validation Error: {key} cannot contain commas.")]
    KeyWithComma { key: String },
}

/// Everything wrong with the inputs; never empty.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub struct InputErrors(Vec<InputError>);

impl InputErrors {
    pub(super) fn check(found: Vec<InputError>) -> Result<(), Self> {
        if found.is_empty() {
            Ok(())
        } else {
            Err(Self(found))
        }
    }

    /// Each of them, in the order of the inputs.
    pub fn iter(&self) -> impl Iterator<Item = &InputError> {
        self.0.iter()
    }
}

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// A value in quotes, on one line, cut where it gets long.
struct QuotedValue<'a>(&'a str);

impl fmt::Display for QuotedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let head: String = self.0.chars().take(LONGEST).collect();
        let more = if head.len() < self.0.len() { "..." } else { "" };
        write!(f, "{head:?}{more}")
    }
}
