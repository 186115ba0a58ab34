//! What the key of a target directory is made of, kept until the job has ended.
//!
//! The files that a key is made of may change while the job runs, and so the save goes by the key
//! that the restore looked for. One thing is known better afterwards: the compiler. A step that
//! installs one may come after the restore.

use serde::{Deserialize, Serialize};

use crate::cargo::key::component::{KeyComponent, digest_of};

/// The name of the parts that a recipe can exchange.
pub(crate) const TOOLCHAIN: &str = "toolchain";

/// The ingredients of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTemplate {
    /// The words that the key begins with.
    pub(crate) before: String,
    /// Names and values of what artifacts can't be shared across.
    pub(crate) environment: Vec<(String, String)>,
    /// The digest of what cargo sorts out by itself.
    pub(crate) contents: String,
    /// Whether each compiler was seen, and not only what is said of it.
    pub(crate) is_seen: bool,
}

impl KeyTemplate {
    pub(crate) fn new(
        before: String,
        environment: &[KeyComponent],
        contents: String,
        is_seen: bool,
    ) -> Self {
        let pair = |part: &KeyComponent| (part.name.clone(), part.value.clone());
        Self {
            before,
            environment: environment.iter().map(pair).collect(),
            contents,
            is_seen,
        }
    }

    /// The key.
    pub fn key(&self) -> String {
        format!("{}{}", self.nearest(), self.contents)
    }

    /// What the keys begin with that may stand in for this one.
    pub(crate) fn nearest(&self) -> String {
        let fields = self
            .environment
            .iter()
            .map(|(name, value)| [name.as_str(), value.as_str()]);
        format!("{}-{}-", self.before, digest_of(fields))
    }

    /// Whether each compiler was seen, and not only what is said of it.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// The same with the compilers of another recipe.
    #[must_use]
    pub fn with_toolchain_of(&self, other: &Self) -> Self {
        let is_toolchain = |(name, _): &&(String, String)| name == TOOLCHAIN;
        let own = self.environment.iter().filter(|part| !is_toolchain(part));
        let theirs = other.environment.iter().filter(is_toolchain);
        Self {
            environment: own.chain(theirs).cloned().collect(),
            is_seen: other.is_seen,
            ..self.clone()
        }
    }
}
