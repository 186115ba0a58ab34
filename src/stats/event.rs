//! The event that each phase records in the journal.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::store::disk_limits::DiskLimits;

/// What one phase of a step did. Fields without a value are omitted from the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Event {
    /// End of the phase, in milliseconds since the epoch, by the clock of the machine.
    pub time: i64,
    pub phase: Phase,
    pub run: Run,
    pub caches: Vec<CacheEvent>,
    /// The disk after the phase.
    pub disk: Option<DiskState>,
    /// The limits that the phase enforced. Only in the last phase.
    pub limits: Option<DiskLimits>,
    pub removed_entries: u64,
    pub freed_bytes: u64,
    pub milliseconds: u64,
    /// Time since the first phase of the step, about the duration of the job. Only in the last
    /// phase.
    pub job_milliseconds: Option<u64>,
    /// `success`, `failure` or `cancelled`. Only in the last phase.
    pub job_status: Option<String>,
    /// The result of all lookups of the step: exact if each one was, a miss if each one was. Only
    /// in the last phase.
    pub found: Option<LookupResult>,
    /// The run's arm of an experiment.
    pub experiment: Option<Arm>,
    /// What the phase did with the remote; none if it sent no request.
    pub remote: Option<RemoteTraffic>,
    /// Why the phase failed, one line.
    pub error: Option<String>,
}

/// What a phase moved from and to the remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RemoteTraffic {
    pub requests: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// How long restores and saves waited for it.
    pub milliseconds: u64,
    /// How long a copy took that nobody waited for.
    #[serde(skip_serializing_if = "is_zero")]
    pub background_milliseconds: u64,
}

/// A phase of a step: before the job's steps, the step itself, after the job's steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    #[default]
    Pre,
    Main,
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

/// A run of a job, in the runner's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    pub repository: String,
    /// The workflow's name, or its path.
    pub workflow: String,
    /// The job's id, shared by all jobs of a matrix.
    pub job: String,
    pub step: String,
    pub git_ref: String,
    pub run_id: u64,
    /// From 1.
    pub attempt: u32,
}

/// What a phase did with a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CacheEvent {
    /// `path`, `registry`, `git` or `target`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// None if there was no lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit: Option<LookupResult>,
    /// Whether the remote had the entry, and the store did not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub from_remote: bool,
    /// Files in the restored entry.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored_files: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored_bytes: u64,
    /// Bytes of them that were written. The others were in place already or were restored by a
    /// rename.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restore_milliseconds: u64,
    /// Size of the saved entry; none if none was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_bytes: Option<u64>,
    /// Bytes of them that the store did not have before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub save_milliseconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupResult {
    /// An entry with the key itself.
    Exact,
    /// An entry whose key starts with the key or with a restore key.
    Prefix,
    Miss,
}

/// The disk that a store is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskState {
    /// Percent of what ordinary users may use.
    pub used_percent: u8,
    /// Bytes that are free for ordinary users.
    pub free_bytes: u64,
    pub store_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    Control,
    Cached,
}

/// The stored form of an event. It is flat because serde reads flattened nested structs several
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<DiskLimits>,
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
    remote: Option<RemoteTraffic>,
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
            limits: line.limits,
            removed_entries: line.removed_entries,
            freed_bytes: line.freed_bytes,
            milliseconds: line.milliseconds,
            job_milliseconds: line.job_milliseconds,
            job_status: line.job_status,
            found: line.found,
            experiment: line.experiment,
            remote: line.remote,
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
            limits: event.limits,
            removed_entries: event.removed_entries,
            freed_bytes: event.freed_bytes,
            milliseconds: event.milliseconds,
            job_milliseconds: event.job_milliseconds,
            job_status: event.job_status,
            found: event.found,
            experiment: event.experiment,
            remote: event.remote,
            error: event.error,
        }
    }
}

impl Event {
    pub fn now(phase: Phase, run: Run) -> Self {
        Self {
            time: now(),
            phase,
            run,
            ..Self::default()
        }
    }
}

/// The current time in milliseconds since the epoch.
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}
