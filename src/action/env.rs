//! A snapshot of the process environment.
//!
//! The runner talks to an action through its environment only. `main` reads it once; everything
//! else looks names up here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

/// Environment variables by name, as they were when the process started.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env {
    variables: BTreeMap<OsString, OsString>,
}

impl Env {
    /// The raw value, if the variable is set; it may be empty.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// The value, if it is set, not empty and UTF-8. Runners differ in whether they leave a
    /// variable out or set it to nothing, so the two mean the same.
    pub fn text(&self, name: impl AsRef<OsStr>) -> Option<&str> {
        self.get(name)
            .and_then(OsStr::to_str)
            .filter(|value| !value.is_empty())
    }

    /// The value as a path, if it is set and not empty.
    pub fn path(&self, name: impl AsRef<OsStr>) -> Option<&Path> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .map(Path::new)
    }

    /// Whether the variable says yes: set, and none of empty, `0` and `false`.
    pub fn flag(&self, name: impl AsRef<OsStr>) -> bool {
        self.text(name)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// The raw value of an input: spaces in its name become `_`, letters upper case, dashes stay
    /// (actions/toolkit, packages/core, core.ts, `getInput`).
    pub fn input(&self, name: &str) -> Option<&OsStr> {
        self.get(input_variable(name))
    }

    /// The same environment with another raw value of an input.
    #[must_use]
    pub fn with_input(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed
            .variables
            .insert(input_variable(name).into(), value.into());
        changed
    }

    /// A value that an earlier phase of the same step saved. It may be empty.
    pub fn state(&self, name: &str) -> Option<&str> {
        self.get(format!("STATE_{name}")).and_then(OsStr::to_str)
    }

    /// All variables, in the order of their names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// The name of the variable in which an input arrives.
pub fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { variables }
    }
}

/// Names only: the runner hands its tokens to an action in the environment.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env ")?;
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

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
    fn empty_and_missing_variables_are_the_same_to_text_and_path() {
        let env = Env::from_iter([("EMPTY", "")]);
        assert_eq!(env.text("EMPTY"), None);
        assert_eq!(env.path("EMPTY"), None);
        assert_eq!(env.text("MISSING"), None);
        assert_eq!(env.get("EMPTY"), Some(OsStr::new("")));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_a_path_but_no_text() {
        let env = Env::from_iter([("RAW", OsString::from_vec(vec![b'/', 0xff]))]);
        assert_eq!(env.text("RAW"), None);
        assert!(env.path("RAW").is_some());
    }

    #[test]
    fn flags_are_yes_unless_empty_zero_or_false() {
        for (value, expected) in [
            ("true", true),
            ("1", true),
            ("", false),
            ("0", false),
            ("False", false),
        ] {
            assert_eq!(
                Env::from_iter([("CI", value)]).flag("CI"),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn state_keeps_the_case_of_its_name_and_may_be_empty() {
        let env = Env::from_iter([("STATE_cacheKey", "k"), ("STATE_none", "")]);
        assert_eq!(env.state("cacheKey"), Some("k"));
        assert_eq!(env.state("CACHEKEY"), None);
        assert_eq!(env.state("none"), Some(""));
    }

    #[test]
    fn debug_output_shows_names_and_no_values() {
        let env = Env::from_iter([("ACTIONS_RUNTIME_TOKEN", "very-secret")]);
        let shown = format!("{env:?}");
        assert!(
            shown.contains("ACTIONS_RUNTIME_TOKEN") && !shown.contains("very-secret"),
            "{shown}"
        );
    }
}
