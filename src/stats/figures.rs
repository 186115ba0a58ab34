//! The aggregated figures, as `--json` prints them.

use serde::Serialize;

use crate::stats::compare::DurationComparison;
use crate::stats::event::DiskState;

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
    pub removed_entries: u64,
    pub freed_bytes: u64,
    pub failures: u64,
}

impl Figures {
    pub fn lookups(&self) -> u64 {
        self.exact + self.prefix + self.miss
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
