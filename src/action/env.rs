//! What the runner passes to an action in its environment: inputs and saved state.

use std::ffi::OsStr;

pub use crate::env::Env;

impl Env {
    /// The raw value of an input: spaces in its name become `_`, letters upper case, dashes stay
    /// (actions/toolkit, packages/core, core.ts, `getInput`).
    pub fn input(&self, name: &str) -> Option<&OsStr> {
        self.get(input_variable(name))
    }

    /// A copy in which one input has another raw value.
    #[must_use]
    pub(crate) fn with_input(&self, name: &str, value: &str) -> Self {
        self.with(input_variable(name), value)
    }

    /// A value that an earlier phase of the same step saved. It may be empty.
    pub fn state(&self, name: &str) -> Option<&str> {
        self.get(format!("STATE_{name}")).and_then(OsStr::to_str)
    }
}

/// The name of the variable in which an input arrives.
pub fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_names_are_upper_case_with_dashes_kept_and_spaces_replaced() {
        assert_eq!(input_variable("restore-keys"), "INPUT_RESTORE-KEYS");
        assert_eq!(
            input_variable("enableCrossOsArchive"),
            "INPUT_ENABLECROSSOSARCHIVE"
        );
        assert_eq!(input_variable("two words"), "INPUT_TWO_WORDS");
    }

    #[test]
    fn state_keeps_the_case_of_its_name_and_may_be_empty() {
        let env = Env::from_iter([("STATE_cacheKey", "k"), ("STATE_none", "")]);
        assert_eq!(env.state("cacheKey"), Some("k"));
        assert_eq!(env.state("CACHEKEY"), None);
        assert_eq!(env.state("none"), Some(""));
    }
}
