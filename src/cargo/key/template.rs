//! What is stored about a target key until the end of the job.
//!
//! The files that a key is computed from may change while the job runs, so the save uses the key
//! that the restore looked up, except for the compiler: a later step may install one. The template
//! computes the key again for that compiler.

use serde::{Deserialize, Serialize};

use crate::cargo::key::component::{KeyComponent, digest_of};

/// The name of the components that [`KeyTemplate::with_toolchain_of`] replaces.
pub(crate) const TOOLCHAIN: &str = "toolchain";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTemplate {
    /// The readable start of the key.
    pub(crate) readable: String,
    /// Names and values of everything that artifacts must not be shared across.
    pub(crate) environment: Vec<(String, String)>,
    /// The digest of everything that cargo itself checks.
    pub(crate) contents: String,
    /// `false` if a compiler was not found and only its requested name is in the key.
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

    /// The prefix of the keys whose entries may be restored instead.
    pub(crate) fn restore_prefix(&self) -> String {
        let fields = self
            .environment
            .iter()
            .map(|(name, value)| [name.as_str(), value.as_str()]);
        format!("{}-{}-", self.readable, digest_of(fields))
    }

    pub(crate) fn is_compiler_known(&self) -> bool {
        self.is_compiler_known
    }

    /// This template with the compilers of `other`.
    #[must_use]
    pub(crate) fn with_toolchain_of(&self, other: &Self) -> Self {
        let is_toolchain = |(name, _): &&(String, String)| name == TOOLCHAIN;
        let kept = self
            .environment
            .iter()
            .filter(|component| !is_toolchain(component));
        let toolchains = other.environment.iter().filter(is_toolchain);
        Self {
            environment: kept.chain(toolchains).cloned().collect(),
            is_compiler_known: other.is_compiler_known,
            ..self.clone()
        }
    }
}
