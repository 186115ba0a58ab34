//! The components of a target key, kept until the end of the job.
//!
//! The files that a key is computed from may change while the job runs, so the save uses the key
//! that the restore looked up. One thing is known better afterwards: the compiler, because a later
//! step may install one. The template computes the key again for that compiler.

use serde::{Deserialize, Serialize};

use crate::cargo::key::component::{KeyComponent, digest_of};

/// The name of the components that [`KeyTemplate::with_toolchain_of`] exchanges.
pub(crate) const TOOLCHAIN: &str = "toolchain";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTemplate {
    /// The readable start of the key.
    pub(crate) readable: String,
    /// Names and values of everything that artifacts must not be shared across.
    pub(crate) environment: Vec<(String, String)>,
    /// The digest of everything that cargo itself checks.
    pub(crate) contents: String,
    /// Whether each compiler was found, not only the name that was asked for.
    pub(crate) is_compiler_known: bool,
}

impl KeyTemplate {
    pub(crate) fn new(
        readable: String,
        environment: &[KeyComponent],
        contents: String,
        is_compiler_known: bool,
    ) -> Self {
        let pair = |component: &KeyComponent| (component.name.clone(), component.value.clone());
        Self {
            readable,
            environment: environment.iter().map(pair).collect(),
            contents,
            is_compiler_known,
        }
    }

    pub fn key(&self) -> String {
        format!("{}{}", self.restore_prefix(), self.contents)
    }

    /// The prefix of the keys that can stand in for this one.
    pub(crate) fn restore_prefix(&self) -> String {
        let fields = self
            .environment
            .iter()
            .map(|(name, value)| [name.as_str(), value.as_str()]);
        format!("{}-{}-", self.readable, digest_of(fields))
    }

    pub fn is_compiler_known(&self) -> bool {
        self.is_compiler_known
    }

    /// This template with the compilers of another one.
    #[must_use]
    pub fn with_toolchain_of(&self, other: &Self) -> Self {
        let is_toolchain = |(name, _): &&(String, String)| name == TOOLCHAIN;
        let own = self
            .environment
            .iter()
            .filter(|component| !is_toolchain(component));
        let theirs = other.environment.iter().filter(is_toolchain);
        Self {
            environment: own.chain(theirs).cloned().collect(),
            is_compiler_known: other.is_compiler_known,
            ..self.clone()
        }
    }
}
