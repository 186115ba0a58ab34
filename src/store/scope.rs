//! Who shares entries: a scope and a git ref in it.

use serde::{Deserialize, Serialize};

/// A scope and a git ref in it: where entries are looked up or written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheScope {
    /// `owner/repository`, `owner`, or empty for everything on the machine.
    pub scope: String,
    /// A full ref; empty if branches share their entries.
    pub git_ref: String,
}

/// Refs under this name are those of runs that are not trusted and have the ref of a branch. No branch
/// or tag can have one.
pub(crate) const UNTRUSTED_REFS: &str = "untrusted/";

/// Whether only runs that concern a pull request read and write the entries of a ref.
#[cfg(feature = "remote")]
pub(crate) fn is_of_pull_request(git_ref: &str) -> bool {
    ["refs/pull/", UNTRUSTED_REFS]
        .iter()
        .any(|prefix| git_ref.starts_with(prefix))
}

impl CacheScope {
    pub fn new(scope: impl Into<String>, git_ref: impl Into<String>) -> Self {
        Self {
            scope: scope.into(),
            git_ref: git_ref.into(),
        }
    }

    pub fn branch(scope: impl Into<String>, branch: &str) -> Self {
        Self::new(scope, format!("refs/heads/{branch}"))
    }
}
