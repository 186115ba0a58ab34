//! Statistics of what phases did.
//!
//! [`gather`] turns events into numbers, [`compare`] two groups of job durations into a difference
//! with its interval, [`text`] and [`prometheus`] turn numbers into what people and monitoring
//! read.

pub mod aggregate;
pub mod compare;
pub mod event;
pub mod journal;
pub mod render;

use serde::Serialize;

use crate::stats::compare::Comparison;
use crate::stats::event::DiskState;

/// All statistics of a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stats {
    /// The first event that counts, in milliseconds since the epoch.
    pub from: Option<i64>,
    /// The last one.
    pub to: Option<i64>,
    /// How many count.
    pub events: u64,
    /// Lines of the journal that could not be read.
    pub skipped_lines: u64,
    /// All of it.
    pub total: Figures,
    /// By repository, by name.
    pub repositories: Vec<NamedFigures>,
    /// By kind of cache, by name.
    pub kinds: Vec<NamedFigures>,
    /// By day (UTC), the first first.
    pub days: Vec<NamedFigures>,
    /// By repository and kind; the name is the repository's.
    pub cells: Vec<Cell>,
    /// Job durations without and with the cache, for each job of which there were both: from the
    /// control group.
    pub experiments: Vec<Experiment>,
    /// Job durations after a miss and after a hit, for each job of which there were both. Whoever
    /// misses differs from who hits by more than the cache, so this is weaker than an experiment.
    pub misses_and_hits: Vec<Experiment>,
    /// The disk as the last phase left it.
    pub disk: Option<DiskState>,
}

/// Figures under a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NamedFigures {
    /// The name.
    pub name: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Figures of one kind of cache of a repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// `owner/name`.
    pub repository: String,
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    /// The figures; those of jobs are left out.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What happened in a time, or of a kind, or in a repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// Lookups that found an entry of the key itself.
    pub exact: u64,
    /// Lookups that found one that could stand in for it.
    pub prefix: u64,
    /// Lookups that found nothing.
    pub miss: u64,
    /// Restores, by how long they took.
    pub restores: DurationSummary,
    /// Saves that made an entry, by how long they took.
    pub saves: DurationSummary,
    /// Bytes in what was restored.
    pub restored_bytes: u64,
    /// Bytes of them that were in place already, or were put there by a rename.
    pub not_copied_bytes: u64,
    /// Bytes in what was saved.
    pub saved_bytes: u64,
    /// Bytes of them that the store did not have.
    pub added_bytes: u64,
    /// Jobs, by how long they took from the first phase to the last.
    pub jobs: DurationSummary,
    /// Entries that were removed.
    pub removed_entries: u64,
    /// Bytes that were given back.
    pub freed_bytes: u64,
    /// Phases that failed.
    pub failures: u64,
}

impl Figures {
    /// How often something was looked for.
    pub fn lookups(&self) -> u64 {
        self.exact + self.prefix + self.miss
    }

    /// The part of the lookups that found something, from 0 to 1; none where nothing was looked
    /// for.
    pub fn hit_rate(&self) -> Option<f64> {
        ratio(self.exact + self.prefix, self.lookups())
    }
}

/// Durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DurationSummary {
    /// How many.
    pub count: u64,
    /// All of them together.
    pub total_milliseconds: u64,
    /// Half took no longer.
    pub median_milliseconds: u64,
    /// Nine of ten took no longer.
    pub p90_milliseconds: u64,
}

impl DurationSummary {
    /// Of durations in any order.
    pub fn of(mut milliseconds: Vec<u64>) -> Self {
        milliseconds.sort_unstable();
        let at = |part: usize| match milliseconds.len() {
            0 => 0,
            count => milliseconds[(count * part).div_ceil(100).clamp(1, count) - 1],
        };
        Self {
            count: milliseconds.len() as u64,
            total_milliseconds: milliseconds.iter().sum(),
            median_milliseconds: at(50),
            p90_milliseconds: at(90),
        }
    }
}

/// A job's durations in two groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Experiment {
    /// `owner/name`.
    pub repository: String,
    /// The workflow.
    pub workflow: String,
    /// The job.
    pub job: String,
    /// What came of it.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// A part of a whole, from 0 to 1; none of nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of counts needs no more than 53 bits"
)]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
