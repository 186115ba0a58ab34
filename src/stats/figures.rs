//! The aggregated figures, as `--json` prints them.

use serde::Serialize;

use crate::stats::compare::DurationComparison;
use crate::stats::event::{DiskState, LookupResult};
use crate::store::disk_limits::DiskLimits;

/// All statistics of a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stats {
    /// Time of the first event, in milliseconds since the epoch.
    pub from: Option<i64>,
    /// Time of the last event, in milliseconds since the epoch.
    pub to: Option<i64>,
    pub events: u64,
    /// Lines of the journal that could not be read.
    pub skipped_lines: u64,
    pub total: Figures,
    /// By repository, sorted by name.
    pub repositories: Vec<NamedFigures>,
    /// By kind of cache, sorted by name.
    pub kinds: Vec<NamedFigures>,
    /// By day (UTC), in order.
    pub days: Vec<NamedFigures>,
    pub cells: Vec<Cell>,
    /// Durations with and without the cache, for each job that ran in both arms of an experiment.
    pub experiments: Vec<Experiment>,
    /// Durations after a miss and after a hit, for each job that had both. Runs with a miss differ
    /// from others in more than the cache, so this is weaker than an experiment.
    pub misses_and_hits: Vec<Experiment>,
    /// The disk after the last phase.
    pub disk: Option<DiskState>,
    /// The disk at the end of each day that has events about it.
    pub disk_days: Vec<DiskDay>,
    /// The limits of the last job that had some.
    pub limits: Option<DiskLimits>,
    /// The last runs of each job, those of the busiest jobs.
    pub job_trends: Vec<JobTrend>,
    /// Why phases failed, the most frequent reason first.
    pub failures: Vec<Failure>,
    /// Whether the period was given, and not just all that is recorded.
    pub is_limited: bool,
}

/// The disk at the end of a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskDay {
    pub name: String,
    #[serde(flatten)]
    pub disk: DiskState,
}

/// The last runs of a job, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobTrend {
    pub repository: String,
    pub workflow: String,
    pub job: String,
    pub runs: Vec<TrendRun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrendRun {
    /// End of the job, in milliseconds since the epoch.
    pub time: i64,
    pub job_milliseconds: u64,
    /// None if it is unknown, as in a control group.
    pub found: Option<LookupResult>,
}

/// Phases that failed for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    pub reason: String,
    pub count: u64,
    /// The last time, in milliseconds since the epoch.
    pub last: i64,
    /// The repository of the last time.
    pub repository: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NamedFigures {
    pub name: String,
    #[serde(flatten)]
    pub figures: Figures,
}

/// Figures of one kind of cache in one repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    pub repository: String,
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// Lookups that found an entry with the key itself.
    pub exact: u64,
    /// Lookups that found an entry by a prefix of its key.
    pub prefix: u64,
    pub miss: u64,
    /// Lookups that found their entry on the remote, and not in the store.
    pub remote_hits: u64,
    /// Bytes that came from the remote, and went to it.
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// How long restores and saves waited for the remote.
    pub remote_milliseconds: u64,
    /// The part of saves in it.
    pub remote_save_milliseconds: u64,
    /// How long copies to the remote took that nobody waited for.
    pub remote_background_milliseconds: u64,
    pub restores: DurationSummary,
    /// Saves that created an entry.
    pub saves: DurationSummary,
    /// Size of the restored entries.
    pub restored_bytes: u64,
    /// Bytes of them that were in place already or were restored by a rename.
    pub not_copied_bytes: u64,
    /// Size of the saved entries.
    pub saved_bytes: u64,
    /// Bytes of them that the store did not have before.
    pub added_bytes: u64,
    /// Jobs, from the first phase to the last.
    pub jobs: DurationSummary,
    /// Jobs that found their target directory, or without one anything else.
    pub hit_jobs: u64,
    /// Jobs that did not. Jobs of which it is not known are in neither.
    pub missed_jobs: u64,
    pub removed_entries: u64,
    pub freed_bytes: u64,
    pub failures: u64,
}

impl Figures {
    pub fn lookups(&self) -> u64 {
        self.exact + self.prefix + self.miss
    }

    /// How long restores waited for the remote.
    pub fn remote_restore_milliseconds(&self) -> u64 {
        self.remote_milliseconds
            .saturating_sub(self.remote_save_milliseconds)
    }

    /// Whether anything came from a remote or went to it.
    pub fn has_remote(&self) -> bool {
        self.remote_hits + self.remote_milliseconds > 0
            || self.received_bytes > 0
            || self.sent_bytes > 0
    }

    /// The share of jobs that found what they needed, from 0 to 1; none without jobs.
    pub fn job_hit_rate(&self) -> Option<f64> {
        ratio(self.hit_jobs, self.hit_jobs + self.missed_jobs)
    }

    /// The share of lookups that found something, from 0 to 1; none without lookups.
    pub fn hit_rate(&self) -> Option<f64> {
        ratio(self.exact + self.prefix, self.lookups())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DurationSummary {
    pub count: u64,
    pub total_milliseconds: u64,
    pub median_milliseconds: u64,
    /// 90 % took no longer (nearest rank).
    pub p90_milliseconds: u64,
}

impl DurationSummary {
    /// Summarizes durations in any order.
    pub fn of(mut milliseconds: Vec<u64>) -> Self {
        milliseconds.sort_unstable();
        let percentile = |percent: usize| match milliseconds.len() {
            0 => 0,
            count => milliseconds[(count * percent).div_ceil(100).clamp(1, count) - 1],
        };
        Self {
            count: milliseconds.len() as u64,
            total_milliseconds: milliseconds.iter().sum(),
            median_milliseconds: percentile(50),
            p90_milliseconds: percentile(90),
        }
    }
}

/// The durations of one job in two groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Experiment {
    pub repository: String,
    pub workflow: String,
    pub job: String,
    #[serde(flatten)]
    pub comparison: DurationComparison,
}

/// `part / whole`; none if `whole` is 0.
#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of counts needs no more than 53 bits"
)]
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
