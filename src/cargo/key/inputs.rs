//! The inputs of the action that bear on keys.

use serde::{Deserialize, Serialize};

/// What a user says about keys. The default is that of each input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInputs {
    /// `prefix-key`.
    pub prefix_key: String,
    /// `shared-key`, empty when not set.
    pub shared_key: String,
    /// `key`, empty when not set.
    pub key: String,
    /// `add-job-id-key`.
    pub add_job_id: bool,
    /// `add-rust-environment-hash-key`.
    pub add_environment: bool,
    /// `env-vars`: what names of variables begin with.
    pub env_vars: Vec<String>,
}

/// [`KeyInputs::prefix_key`] where nothing else is said.
pub const DEFAULT_PREFIX_KEY: &str = "v0-rust";

impl Default for KeyInputs {
    fn default() -> Self {
        Self {
            prefix_key: DEFAULT_PREFIX_KEY.to_owned(),
            shared_key: String::new(),
            key: String::new(),
            add_job_id: true,
            add_environment: true,
            env_vars: Vec::new(),
        }
    }
}
