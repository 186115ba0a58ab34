//! The options and the results of the checks.

use std::path::PathBuf;

use serde::Serialize;

use crate::env::Env;

#[derive(Clone, Debug)]
pub struct DoctorOptions {
    pub cache_root: PathBuf,
    /// A checkout, or the directory that jobs work in.
    pub workspace: PathBuf,
    /// The home directory; empty if unknown.
    pub home: PathBuf,
    pub env: Env,
    /// The image to start once, as the runner does; none to start nothing.
    pub as_action: Option<ActionImage>,
}

/// An image of the action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionImage {
    /// The newest one of this machine.
    Newest,
    Named(String),
}

impl ActionImage {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Newest => None,
            Self::Named(name) => Some(name),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Ok,
    /// The cache works, but not as well as it could.
    Warning,
    /// The cache does not work.
    Problem,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    pub status: Status,
    pub found: String,
    /// What to do; none if nothing has to be done.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            status: Status::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    pub(super) fn problem(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            status: Status::Problem,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// The result of a check that failed itself.
    pub(super) fn unknown(check: &'static str, error: &crate::error::Error) -> Self {
        let advice = error.advice().map_or_else(
            || "look at that path as the user who runs jobs".into(),
            Into::into,
        );
        Self {
            check,
            status: Status::Warning,
            found: error.to_string(),
            advice: Some(advice),
        }
    }
}
