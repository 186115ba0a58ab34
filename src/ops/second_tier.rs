//! A place besides the store in which restores look for entries, and to which saves copy them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fmt::human::{bytes, elapsed_ms, plural};
use crate::monitor::Monitor;
use crate::stats::event::{RemoteTraffic, Run};
use crate::store::lock::SharedLock;
use crate::store::{Entry, EntryGroup, EntryId, Store};

/// The store of this machine, for the second tier.
#[derive(Clone, Copy)]
pub struct LocalTier<'a> {
    pub store: &'a Store,
    /// Held for the whole restore.
    pub lock: &'a SharedLock,
    pub monitor: &'a dyn Monitor,
}

/// Entries that a job saved, for the second tier.
#[derive(Clone, Copy)]
pub struct SavedEntries<'a> {
    pub store: &'a Store,
    pub ids: &'a [EntryId],
    /// Whose job it is.
    pub run: &'a Run,
    pub monitor: &'a dyn Monitor,
}

/// A place that has entries, too, and from which the store can copy them.
///
/// Its failures are warnings. Only [`Error::Interrupted`](crate::error::Error::Interrupted) and
/// failures of the store are errors.
pub trait SecondTier: Sync {
    /// The entries of a group that can stand in for `key`, at least that of the key itself.
    fn entries(&self, local: LocalTier<'_>, group: &EntryGroup, key: &str) -> Result<Vec<Entry>>;

    /// Copies one of these entries into the store. False if that failed. Then it is not among the
    /// [`SecondTier::entries`] any more, and others of the group are.
    fn fetch(&self, local: LocalTier<'_>, entry: &Entry) -> Result<bool>;

    /// Called when the store has entries that were saved.
    fn saved(&self, saved: SavedEntries<'_>) -> Result<()>;

    /// Called at the end of a job, when nothing is removed from the store any more. Starts what goes
    /// on after the job.
    fn finish(&self, monitor: &dyn Monitor) -> Result<()>;

    /// The entries that the process which asked for the job must copy after it.
    fn left_to_caller(&self) -> Option<LaterCopy>;

    /// What it did so far.
    fn report(&self) -> TierReport;
}

/// Entries to copy after the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterCopy {
    /// Ids of entries.
    pub entries: Vec<String>,
    /// Whose job it was.
    pub run: Run,
}

/// What a second tier did in one job or command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct TierReport {
    /// Where it is, for messages.
    pub place: String,
    /// Entries that were copied from it, copied to it, and already there.
    pub pulled_entries: u64,
    pub pushed_entries: u64,
    pub present_entries: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub requests: u64,
    /// How long restores and saves waited for it.
    pub milliseconds: u64,
    /// Entries that a process copies after the job.
    #[serde(skip_serializing_if = "is_zero")]
    pub background_entries: u64,
    /// Why entries were copied at once that should be copied after the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_in_background: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl TierReport {
    /// The sums of two reports about one place.
    #[must_use]
    pub fn with(self, later: Self) -> Self {
        Self {
            place: later.place,
            pulled_entries: self.pulled_entries + later.pulled_entries,
            pushed_entries: self.pushed_entries + later.pushed_entries,
            present_entries: self.present_entries + later.present_entries,
            received_bytes: self.received_bytes.saturating_add(later.received_bytes),
            sent_bytes: self.sent_bytes.saturating_add(later.sent_bytes),
            requests: self.requests + later.requests,
            milliseconds: self.milliseconds.saturating_add(later.milliseconds),
            background_entries: self.background_entries + later.background_entries,
            not_in_background: later.not_in_background.or(self.not_in_background),
        }
    }

    /// For the journal; none if no request was sent.
    pub(crate) fn traffic(&self) -> Option<RemoteTraffic> {
        (self.requests > 0).then_some(RemoteTraffic {
            requests: self.requests,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            milliseconds: self.milliseconds,
            background_milliseconds: 0,
        })
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests == 0 && self.background_entries == 0
    }
}

impl fmt::Display for TierReport {
    /// `s3://bucket/ci: 1 entry pulled, 12 MB received, 5 requests in 0.4 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = [
            (self.pulled_entries, "pulled"),
            (self.pushed_entries, "pushed"),
            (self.present_entries, "already there"),
            (self.background_entries, "copied in the background"),
        ];
        let moved = [(self.received_bytes, "received"), (self.sent_bytes, "sent")];
        write!(f, "{}: ", self.place)?;
        for (count, done) in entries.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{} {done}, ", plural(count, "entry", "entries"))?;
        }
        for (size, done) in moved.into_iter().filter(|(size, _)| *size > 0) {
            write!(f, "{} {done}, ", bytes(size))?;
        }
        let requests = plural(self.requests, "request", "requests");
        write!(f, "{requests} in {}", elapsed_ms(self.milliseconds))
    }
}
