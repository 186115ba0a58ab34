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
