//! A snapshot of the process environment.
//!
//! `main` reads the environment once; everything else looks variables up here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env {
    variables: BTreeMap<OsString, OsString>,
}

impl Env {
    /// The raw value, if the variable is set. It may be empty.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// The value, if it is set, not empty and valid UTF-8. Some runners leave a variable unset,
    /// others set it to the empty string, so both mean the same.
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

    /// Whether the variable is set to anything but an empty string, `0` or `false`.
    pub fn flag(&self, name: impl AsRef<OsStr>) -> bool {
        self.text(name)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A copy in which one variable has another value.
    #[must_use]
    pub fn with(&self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let mut changed = self.clone();
        changed.variables.insert(name.into(), value.into());
        changed
    }

    pub(crate) fn into_map(self) -> BTreeMap<OsString, OsString> {
        self.variables
    }

    /// All variables, ordered by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
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

/// Shows names only: the runner passes its tokens to an action in the environment.
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
    fn debug_output_shows_names_and_no_values() {
        let env = Env::from_iter([("ACTIONS_RUNTIME_TOKEN", "very-secret")]);
        let shown = format!("{env:?}");
        assert!(
            shown.contains("ACTIONS_RUNTIME_TOKEN") && !shown.contains("very-secret"),
            "{shown}"
        );
    }
}
