//! Whether a garbage collection would find anything.
//!
//! A collection reads what every entry needs, and others wait for it. So a job whose save left no
//! garbage does not start one. The file `collected` exists while nothing became garbage since the
//! last collection: no entry was removed or replaced, and no damage was found. Its modification time
//! is that of the collection. Killed processes leave files in `tmp`.

use super::open::Store;
use crate::error::Result;
use crate::fs::Timestamp;

/// Seconds until a collection is due in any case, because nothing else shows that there are old
/// states of jobs, old stamps, or files that a power cut left.
const COLLECT_EVERY: i64 = 86_400;
/// Seconds until an unfinished file counts as left by a killed process. Others are being written.
pub(super) const LEFT_AFTER: i64 = 3_600;

/// Seconds since the epoch.
struct CollectionTimes {
    /// The last garbage collection.
    collected: i64,
    now: i64,
}

impl CollectionTimes {
    fn is_collection_due(&self) -> bool {
        let age = self.now.saturating_sub(self.collected);
        // A time in the future is that of a clock that was set back.
        !(0..COLLECT_EVERY).contains(&age)
    }

    /// Whether an unfinished file that changed last at `changed` was left by a killed process since
    /// the last collection. That collection could not remove what is older.
    fn is_left(&self, changed: Timestamp) -> bool {
        changed.seconds >= self.collected && self.now.saturating_sub(changed.seconds) > LEFT_AFTER
    }
}

impl Store {
    pub(crate) fn may_have_garbage(&self) -> Result<bool> {
        let Some(collected) = self.dir.stat(&self.layout.collected())? else {
            return Ok(true);
        };
        let times = CollectionTimes {
            collected: collected.mtime.seconds,
            now: Timestamp::now().seconds,
        };
        if times.is_collection_due() {
            return Ok(true);
        }
        let tmp = self.layout.tmp();
        for name in self.dir.list(&tmp)? {
            let left = self.dir.stat(&tmp.join(name))?;
            if left.is_some_and(|stat| times.is_left(stat.ctime)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that an entry is about to be removed or replaced, or that damage was found.
    pub(super) fn expect_garbage(&self) -> Result<()> {
        // Somebody may have put a directory in the place of the file.
        self.dir.remove_tree(&self.layout.collected())
    }

    /// Notes that a garbage collection took place.
    pub(super) fn note_collection(&self) {
        // Without it, the next job collects again.
        drop(self.dir.touch(&self.layout.collected(), self.modes.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_due_after_a_day_and_if_the_clock_was_set_back() {
        let is_due = |collected, now| CollectionTimes { collected, now }.is_collection_due();
        assert!(!is_due(100, 100) && !is_due(100, 99 + COLLECT_EVERY));
        assert!(is_due(100, 100 + COLLECT_EVERY) && is_due(100, 99));
    }

    #[test]
    fn what_the_last_collection_left_in_tmp_is_no_reason_for_another_one() {
        let times = CollectionTimes {
            collected: 10_000,
            now: 20_000,
        };
        let is_left = |seconds| {
            times.is_left(Timestamp {
                seconds,
                nanoseconds: 0,
            })
        };
        assert!(!is_left(9_999) && is_left(10_000));
        assert!(is_left(19_999 - LEFT_AFTER) && !is_left(20_000 - LEFT_AFTER));
    }
}
