//! Errors of inputs. All are collected before any is reported.

use std::fmt;

use thiserror::Error;

/// An error of an input. Texts that actions/cache has for the same case are its texts, so that a
/// search finds them (actions/toolkit, packages/core, core.ts and packages/cache, cache.ts).
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputError {
    /// A required input is not set.
    #[error("Input required and not supplied: {name}")]
    Missing { name: &'static str },
    #[error("input {name} is {}, which is not {allowed}", QuotedValue(value))]
    Invalid {
        name: &'static str,
        value: String,
        /// The allowed values, to follow "is not".
        allowed: &'static str,
    },
    #[error(
        "input {name} is {}, which is not UTF-8; name the file by a pattern",
        QuotedValue(value)
    )]
    NotUtf8 {
        name: &'static str,
        /// With invalid bytes replaced.
        value: String,
    },
    /// The value may hold a password, so it is not shown.
    #[error("input remote cannot be used: {reason}")]
    Remote { reason: String },
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

/// All errors of the inputs; never empty.
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

/// A value in quotes, on one line, truncated.
struct QuotedValue<'a>(&'a str);

impl fmt::Display for QuotedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let head: String = self.0.chars().take(LONGEST).collect();
        let more = if head.len() < self.0.len() { "..." } else { "" };
        write!(f, "{head:?}{more}")
    }
}
