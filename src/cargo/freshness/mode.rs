//! What decides whether a unit is fresh.

use serde::{Deserialize, Serialize};

/// The input `freshness`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreshnessMode {
    /// The inputs that cargo recorded, and all other files that a build may read.
    #[default]
    Safe,
    /// Only the inputs that cargo recorded.
    Cargo,
    /// Nothing: path packages are compiled in every job.
    Off,
}

impl FreshnessMode {
    /// All modes with their names.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        ("safe", Self::Safe),
        ("cargo", Self::Cargo),
        ("off", Self::Off),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_stored_under_the_name_that_users_write() {
        for (name, mode) in FreshnessMode::NAMED {
            assert_eq!(serde_json::to_value(mode).unwrap(), *name);
        }
        assert_eq!(FreshnessMode::default(), FreshnessMode::Safe);
    }
}
