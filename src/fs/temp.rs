//! Names for what is not finished yet.
//!
//! What takes a place in a user's directory is made beside it under such a name and renamed when it
//! is complete, so a killed restore leaves whole files or none. What a killed restore left under
//! such a name, a later one removes.

use std::hash::{BuildHasher, Hasher, RandomState};

const PREFIX: &[u8] = b".local-cache-";
const SUFFIX: &[u8] = b".tmp";
const DIGITS: usize = 16;

/// A name that nothing else has: `.local-cache-<16 hexadecimal digits>.tmp`.
#[derive(Clone, Debug)]
pub struct TempName(Box<[u8]>);

impl TempName {
    /// A new random name.
    pub fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        let mut name = PREFIX.to_vec();
        name.extend_from_slice(format!("{random:0DIGITS$x}").as_bytes());
        name.extend_from_slice(SUFFIX);
        Self(name.into())
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for TempName {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a name is one of ours.
pub fn is_temp_name(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_known_again() {
        let (one, other) = (TempName::new(), TempName::new());
        assert_ne!(one.as_bytes(), other.as_bytes());
        assert!(is_temp_name(one.as_bytes()));
        assert!(!is_temp_name(b".local-cache-notes.tmp"));
        assert!(!is_temp_name(b"main.rs"));
    }
}
