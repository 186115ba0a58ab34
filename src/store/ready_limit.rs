//! How many ready copies of a root are kept (pure).

use serde::{Deserialize, Serialize};

/// One save prepares no more copies than this. Who sets a high limit wants no limit, and not a job
/// that waits for hundreds of copies.
const MOST_LACKING: usize = 15;

/// How many ready copies of each root of an entry a save leaves in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyLimit {
    /// As many as jobs used at once.
    #[default]
    Auto,
    /// At most this many, whatever jobs use.
    AtMost(u32),
}

/// The copies of a root when a job has moved its directory into the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct CopyCounts {
    /// Those in the store, with this one.
    pub(super) present: usize,
    /// Those that running jobs have.
    pub(super) lent: usize,
    /// Those of the manifest that the directory matched before the job changed it, with the
    /// directory itself: as many as jobs used at once. `None` if the job did not change it, or did
    /// not get it as one of them.
    pub(super) earlier: Option<usize>,
}

impl ReadyLimit {
    /// Parses `auto` or a whole number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        // The standard parser would also take a `+`.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            .then(|| text.parse().ok().map(Self::AtMost))
            .flatten()
    }

    /// Whether a job's directory becomes one more copy where `present` copies of the root are in
    /// the store. `was_lent` tells that the job got it as a copy, or would have if there had been
    /// one more.
    pub(super) fn admits(self, present: usize, was_lent: bool) -> bool {
        match self.maximum() {
            None => present == 0 || was_lent,
            Some(maximum) => present < maximum,
        }
    }

    /// How many copies more than there are the next jobs may need.
    pub(super) fn lacking(self, copies: &CopyCounts) -> usize {
        let needed = match self.maximum() {
            None => copies.earlier.unwrap_or(0),
            Some(maximum) => maximum,
        };
        let lacking = needed.saturating_sub(copies.present.saturating_add(copies.lent));
        lacking.min(MOST_LACKING)
    }

    /// The largest number of copies; `None` for no limit.
    pub(super) fn maximum(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::AtMost(limit) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_auto_or_a_whole_number() {
        assert_eq!(ReadyLimit::parse("Auto"), Some(ReadyLimit::Auto));
        assert_eq!(ReadyLimit::parse("0"), Some(ReadyLimit::AtMost(0)));
        assert_eq!(ReadyLimit::parse("12"), Some(ReadyLimit::AtMost(12)));
        for wrong in ["", "+1", "-1", "1.5", "none", "4294967296"] {
            assert_eq!(ReadyLimit::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_admits_copies_until_it_is_reached_whether_or_not_they_were_lent() {
        for was_lent in [false, true] {
            assert!(ReadyLimit::AtMost(2).admits(1, was_lent));
            assert!(!ReadyLimit::AtMost(2).admits(2, was_lent));
            assert!(!ReadyLimit::AtMost(0).admits(0, was_lent));
        }
        assert!(ReadyLimit::Auto.admits(0, false) && ReadyLimit::Auto.admits(3, true));
        assert!(!ReadyLimit::Auto.admits(1, false));
        assert_eq!(ReadyLimit::Auto.maximum(), None);
    }

    #[test]
    fn copies_are_lacking_up_to_the_number_or_to_that_of_the_earlier_manifest() {
        let copies = |present, lent, earlier| CopyCounts {
            present,
            lent,
            earlier,
        };
        assert_eq!(ReadyLimit::AtMost(4).lacking(&copies(1, 0, None)), 3);
        assert_eq!(ReadyLimit::AtMost(4).lacking(&copies(1, 2, Some(9))), 1);
        assert_eq!(ReadyLimit::AtMost(1000).lacking(&copies(1, 0, None)), 15);
        assert_eq!(ReadyLimit::AtMost(1).lacking(&copies(1, 0, None)), 0);
        assert_eq!(ReadyLimit::AtMost(2).lacking(&copies(2, 5, None)), 0);
        assert_eq!(ReadyLimit::Auto.lacking(&copies(1, 0, Some(4))), 3);
        assert_eq!(ReadyLimit::Auto.lacking(&copies(1, 1, Some(2))), 0);
        // Jobs that found no copy left move their directories into the store themselves.
        assert_eq!(ReadyLimit::Auto.lacking(&copies(1, 3, None)), 0);
    }
}
