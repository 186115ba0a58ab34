//! The checks of a troubleshooting guide, each with what to do.
//!
//! Nothing is changed: files that are made for a check are gone when it is done, and damaged
//! entries are only counted. A check that can't be made says so and spoils no other.

mod disk;
mod environment;
mod store;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::env::Env;

/// What is examined.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// Where the store is or is to be.
    pub cache_root: PathBuf,
    /// A checkout, or the directory that jobs work in.
    pub workspace: PathBuf,
    /// The home directory; empty when it is not known.
    pub home: PathBuf,
    pub env: Env,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All is well.
    Ok,
    /// It works, though not as well as it could.
    Warning,
    /// It keeps the cache from working.
    Problem,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What was checked, in a word or two.
    pub check: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; none where there is nothing to do.
    pub advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn problem(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Problem,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// A check that could not be made.
    fn unknown(check: &'static str, error: &crate::error::Error) -> Self {
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

/// Makes all checks.
pub fn run_checks(asked: &DoctorOptions) -> Vec<Finding> {
    let mut findings = vec![store::root(asked)];
    // Where there is no root yet, what holds for the directory that it would be made in holds for
    // it.
    let existing = nearest(&asked.cache_root);
    findings.extend(disk::findings(asked, &existing));
    findings.extend(store::findings(asked));
    findings.extend(environment::findings(asked));
    findings
}

/// The worst of findings.
pub fn worst(findings: &[Finding]) -> Status {
    findings
        .iter()
        .map(|finding| finding.status)
        .max()
        .unwrap_or(Status::Ok)
}

/// A directory that exists: the path itself or the nearest one above.
fn nearest(path: &Path) -> PathBuf {
    let exists = |path: &&Path| matches!(crate::fs::files::stat(path), Ok(Some(_)));
    path.ancestors()
        .find(exists)
        .unwrap_or(Path::new("/"))
        .to_owned()
}
