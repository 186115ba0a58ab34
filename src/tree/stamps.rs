//! Stamps record when a root last matched its manifest (pure).
//!
//! Size and modification time don't prove that a file is unchanged: npm and pip give all files the
//! same time, `cp -p` and rsync copy the time, and another version of a file often has the same
//! size. The ctime does: programs can't set it, and everything that changes a file's contents,
//! mode, attributes or name sets it to the current time. So a file whose ctime is before the time
//! as of which its root was clean still matches the manifest, and need not be read.
//!
//! The same holds for the names in a directory: adding, removing or renaming one changes the
//! directory's ctime. If a root had no extraneous names at that time, such a directory need not be
//! listed to find them.
//!
//! Stamps come from the clock that gives files their times ([`Timestamp::file_clock_now`]). A later
//! change therefore never has an earlier ctime, however fast it follows.
//!
//! # Limits
//!
//! - A time without a fraction is only trusted if it is at least two seconds older than the stamp:
//!   the filesystem rounds its times.
//! - Moving a directory changes its own ctime, but not that of the files in it. A directory whose
//!   ctime is after the stamp while its mtime is before it was moved, and nothing below it is
//!   trusted. If names were added or removed after the move, it looks like a directory that stayed.
//!   Its old files and directories still have to match in size and in mtime to the nanosecond.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::fs::Timestamp;

/// When a root, or a directory below it, was known to match a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStamp {
    /// Everything that the manifest lists matched it at this time.
    #[serde(rename = "moment")]
    pub clean_as_of: Timestamp,
    /// Directories unchanged since this time have no extraneous names. None if they may have some.
    #[serde(rename = "names")]
    pub no_extraneous_since: Option<Timestamp>,
    /// The modification time that some files have instead of the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restamped: Option<Timestamp>,
}

impl RootStamp {
    /// The stamp of a subdirectory with the given times. None if it was moved there since.
    pub(crate) fn for_subdir(self, ctime: Timestamp, mtime: Timestamp) -> Option<Self> {
        // A move changes the ctime and keeps the mtime; adding a name changes both.
        let was_moved_since = |time: Timestamp| !is_before(ctime, time) && is_before(mtime, time);
        (!was_moved_since(self.clean_as_of)).then(|| Self {
            no_extraneous_since: self
                .no_extraneous_since
                .filter(|since| !was_moved_since(*since)),
            ..self
        })
    }

    /// Whether a file with this ctime still matches the manifest.
    pub(crate) fn is_clean(self, ctime: Timestamp) -> bool {
        is_before(ctime, self.clean_as_of)
    }

    /// Whether a directory with this ctime has no extraneous names.
    pub(crate) fn has_no_extraneous(self, ctime: Timestamp) -> bool {
        self.no_extraneous_since
            .is_some_and(|since| is_before(ctime, since))
    }
}

/// The stamps of a tree's roots, by name. A root that never matched the manifest has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootStamps(HashMap<Box<[u8]>, RootStamp>);

impl RootStamps {
    /// Sets the stamp of a root.
    pub fn insert(&mut self, root: &[u8], stamp: RootStamp) {
        self.0.insert(root.into(), stamp);
    }

    pub(crate) fn get(&self, root: &[u8]) -> Option<RootStamp> {
        self.0.get(root).copied()
    }
}

/// Whether a time from the filesystem is certainly before `limit`.
fn is_before(time: Timestamp, limit: Timestamp) -> bool {
    if time.nanoseconds == 0 {
        return time.seconds < limit.seconds.saturating_sub(2);
    }
    time < limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unchanged_directory_has_no_extraneous_names() {
        let at = |nanoseconds| Timestamp {
            seconds: 10,
            nanoseconds,
        };
        let stamp = |since: Option<u32>| RootStamp {
            clean_as_of: at(7),
            no_extraneous_since: since.map(at),
            restamped: None,
        };
        assert!(stamp(Some(5)).has_no_extraneous(at(4)));
        assert!(!stamp(Some(5)).has_no_extraneous(at(5)));
        assert!(!stamp(None).has_no_extraneous(at(4)));
        // Adding a name changes ctime and mtime; a moved directory keeps its old mtime.
        assert_eq!(
            stamp(Some(5)).for_subdir(at(8), at(8)),
            Some(stamp(Some(5)))
        );
        assert_eq!(stamp(Some(5)).for_subdir(at(8), at(4)), None);
        assert_eq!(stamp(Some(5)).for_subdir(at(6), at(4)), Some(stamp(None)));
    }

    #[test]
    fn times_without_fractions_need_two_seconds_between() {
        let at = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        assert!(is_before(at(10, 1), at(10, 2)) && !is_before(at(10, 1), at(10, 1)));
        assert!(is_before(at(10, 0), at(13, 0)));
        assert!(!is_before(at(10, 0), at(12, 999_999_999)));
    }
}
