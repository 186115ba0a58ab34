//! What is known of a phase.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A phase of a step that uses the cache. What is not known is left out of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Event {
    /// When the phase ended, in milliseconds since the epoch, by the clock of the machine.
    pub time: i64,
    /// Which phase.
    pub phase: Phase,
    /// Of which run.
    pub run: Run,
    /// What it did with each cache.
    pub caches: Vec<CacheEvent>,
    /// The disk of the store afterwards.
    pub disk: Option<DiskState>,
    /// Entries that were removed.
    pub removed_entries: u64,
    /// Bytes that were given back.
    pub freed_bytes: u64,
    /// How long the phase worked.
    pub milliseconds: u64,
    /// From the first phase of the step to this one: about how long the job took. Only at the last
    /// phase.
    pub job_milliseconds: Option<u64>,
    /// How the job stood: `success`, `failure` or `cancelled`. Only at the last phase.
    pub job_status: Option<String>,
    /// What the step had found, taken together: exact where every cache was, a miss where nothing
    /// was found. Only at the last phase.
    pub found: Option<LookupResult>,
    /// Which group of an experiment the run is in.
    pub experiment: Option<Arm>,
    /// Why the phase failed, in one line.
    pub error: Option<String>,
}

/// A phase of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the job's steps.
    #[default]
    Pre,
    /// The step itself.
    Main,
    /// After the job's steps.
    Post,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pre => "pre",
            Self::Main => "main",
            Self::Post => "post",
        })
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "pre" => Ok(Self::Pre),
            "main" => Ok(Self::Main),
            "post" => Ok(Self::Post),
            _ => Err(format!("{name:?} is not a phase; use pre, main or post")),
        }
    }
}

/// A run of a job, as the runner names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Run {
    /// `owner/name`.
    pub repository: String,
    /// The workflow's name, or its path.
    pub workflow: String,
    /// The job's id; the cells of a matrix share it.
    pub job: String,
    /// The step.
    pub step: String,
    /// The full ref.
    pub git_ref: String,
    /// The number of the run.
    pub run_id: u64,
    /// Which attempt at it, from 1.
    pub attempt: u32,
}

/// What a phase did with a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CacheEvent {
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    /// The key asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What was found; none where nothing was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit: Option<LookupResult>,
    /// Files in the entry that was restored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored_files: u64,
    /// Bytes in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored_bytes: u64,
    /// Bytes of them that were written: the others were in place already, or were put there by a
    /// rename.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    /// How long restoring took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restore_milliseconds: u64,
    /// Bytes in the entry that was saved; none where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_bytes: Option<u64>,
    /// Bytes of them that the store did not have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added_bytes: u64,
    /// How long saving took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub save_milliseconds: u64,
}

/// What was found for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupResult {
    /// An entry of the key itself.
    Exact,
    /// One that could stand in for it.
    Prefix,
    /// Nothing.
    Miss,
}

/// The disk that a store is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskState {
    /// Percent used.
    pub used_percent: u8,
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes that the store takes.
    pub store_bytes: u64,
}

/// The groups of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// Runs without the cache.
    Control,
    /// Runs with it.
    Cached,
}

/// An event as it is written: flat, since serde reads nested values that it has to flatten several
/// times as slowly.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Line {
    time: i64,
    phase: Phase,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    repository: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    workflow: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    job: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    step: String,
    #[serde(default, rename = "ref", skip_serializing_if = "String::is_empty")]
    git_ref: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    run_id: u64,
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    attempt: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    caches: Vec<CacheEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<DiskState>,
    #[serde(default, skip_serializing_if = "is_zero")]
    removed_entries: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    freed_bytes: u64,
    #[serde(default)]
    milliseconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_milliseconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<LookupResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    experiment: Option<Arm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Line> for Event {
    fn from(line: Line) -> Self {
        let Line {
            time,
            phase,
            repository,
            workflow,
            job,
            step,
            git_ref,
            run_id,
            attempt,
            ..
        } = line;
        Self {
            time,
            phase,
            run: Run {
                repository,
                workflow,
                job,
                step,
                git_ref,
                run_id,
                attempt,
            },
            caches: line.caches,
            disk: line.disk,
            removed_entries: line.removed_entries,
            freed_bytes: line.freed_bytes,
            milliseconds: line.milliseconds,
            job_milliseconds: line.job_milliseconds,
            job_status: line.job_status,
            found: line.found,
            experiment: line.experiment,
            error: line.error,
        }
    }
}

impl From<Event> for Line {
    fn from(event: Event) -> Self {
        let Run {
            repository,
            workflow,
            job,
            step,
            git_ref,
            run_id,
            attempt,
        } = event.run;
        Self {
            time: event.time,
            phase: event.phase,
            repository,
            workflow,
            job,
            step,
            git_ref,
            run_id,
            attempt,
            caches: event.caches,
            disk: event.disk,
            removed_entries: event.removed_entries,
            freed_bytes: event.freed_bytes,
            milliseconds: event.milliseconds,
            job_milliseconds: event.job_milliseconds,
            job_status: event.job_status,
            found: event.found,
            experiment: event.experiment,
            error: event.error,
        }
    }
}

impl Event {
    /// An event that happens now.
    pub fn now(phase: Phase, run: Run) -> Self {
        Self {
            time: now(),
            phase,
            run,
            ..Self::default()
        }
    }
}

/// Milliseconds since the epoch.
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}
