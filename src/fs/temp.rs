//! Names for unfinished files and directories.
//!
//! A restore creates each file beside its target under such a name and renames it when it is
//! complete, so a killed restore leaves complete files or none. A later restore removes the
//! temporary files of a killed one.

use std::hash::{BuildHasher, Hasher, RandomState};

const PREFIX: &[u8] = b".local-cache-";
const SUFFIX: &[u8] = b".tmp";
const DIGITS: usize = 16;

/// A unique name: `.local-cache-<16 hexadecimal digits>.tmp`.
#[derive(Clone, Debug)]
pub struct TempName(Box<[u8]>);

impl TempName {
    pub fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        let mut name = PREFIX.to_vec();
        name.extend_from_slice(format!("{random:0DIGITS$x}").as_bytes());
        name.extend_from_slice(SUFFIX);
        Self(name.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for TempName {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a name has the form of a [`TempName`].
pub(crate) fn is_temp_name(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_recognised() {
        let (a, b) = (TempName::new(), TempName::new());
        assert_ne!(a.as_bytes(), b.as_bytes());
        assert!(is_temp_name(a.as_bytes()));
        assert!(!is_temp_name(b".local-cache-notes.tmp"));
        assert!(!is_temp_name(b"main.rs"));
    }
}
