//! The inputs of the action that affect keys, with the defaults of `action.yml`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInputs {
    pub prefix_key: String,
    /// The input `shared-key`; empty if not set.
    pub shared_key: String,
    /// The input `key`; empty if not set.
    pub key: String,
    /// The input `add-job-id-key`.
    pub add_job_id: bool,
    /// The input `add-rust-environment-hash-key`.
    pub add_environment: bool,
    /// The input `env-vars`: variable names or prefixes of them.
    pub env_vars: Vec<String>,
}

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
