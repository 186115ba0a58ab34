//! Whether a garbage collection would find anything.
//!
//! A collection reads what every entry needs and locks others out meanwhile. So a job whose save left
//! no garbage does not start one. `collected` exists while no entry was removed or replaced since the
//! last collection; its modification time is that of the collection. Killed processes leave files in
//! `tmp`.

use super::open::Store;
use crate::error::Result;
use crate::fs::Timestamp;

/// Seconds until a collection is due in any case, for what nothing else tells of: old states of jobs,
/// stamps, and what is left after a power cut.
const COLLECT_EVERY: i64 = 86_400;
/// Seconds until an unfinished file counts as left by a killed process. Others are being written.
const LEFT_AFTER: i64 = 3_600;

impl Store {
    pub(crate) fn may_have_garbage(&self) -> Result<bool> {
        let collected = self.dir.stat(&self.layout.collected())?;
        let now = Timestamp::now().seconds;
        let age = |time: Timestamp| now.saturating_sub(time.seconds);
        // A time in the future is that of a clock that was set back.
        let is_recent = collected.is_some_and(|stat| (0..COLLECT_EVERY).contains(&age(stat.mtime)));
        if !is_recent {
            return Ok(true);
        }
        let tmp = self.layout.tmp();
        for name in self.dir.list(&tmp)? {
            let left = self.dir.stat(&tmp.join(name))?;
            if left.is_some_and(|stat| age(stat.ctime) > LEFT_AFTER) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that an entry is about to be removed or replaced.
    pub(super) fn expect_garbage(&self) -> Result<()> {
        self.dir.remove(&self.layout.collected())
    }

    /// Notes that all garbage has been collected.
    pub(super) fn note_collection(&self) {
        // Without it, the next job collects again.
        drop(self.dir.touch(&self.layout.collected(), self.modes.file));
    }
}
