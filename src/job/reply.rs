//! What a job did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::fmt::whole_milliseconds;
use crate::job::look::WorkerView;
use crate::job::request::{RestoreRecord, SaveNotes};
use crate::ops::free_space::GuardReport;
use crate::ops::near_miss::NearMiss;
use crate::ops::second_tier::{LaterCopy, TierReport};
use crate::ops::{restore, save};
use crate::stats::event::{DiskState, Event, LookupResult};
use crate::store::CacheKind;
use crate::store::key_match::KeyMatch;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReply {
    pub caches: Vec<CacheReply>,
    /// Which workspace crates are fresh after a restore of target directories.
    #[serde(default)]
    pub freshness: Option<FreshnessReply>,
    /// Units that may be stale in this job.
    #[serde(default)]
    pub stale: Vec<StaleUnit>,
    /// Entries that retention removed, and the bytes that this freed.
    pub evicted: Option<(u64, u64)>,
    /// The disk and the store after the job.
    pub disk: Option<DiskState>,
    /// What the disk guard found and did.
    pub guard: Option<GuardReport>,
    /// Earlier runs of the job and this one, the latest last.
    pub past_runs: Vec<PastRun>,
    /// What the remote did, if there is one.
    #[serde(default)]
    pub second_tier: Option<TierReport>,
    /// What must be copied to the remote when the job is over, if the request offered that.
    #[serde(default)]
    pub later_copy: Option<LaterCopy>,
    /// Whether the job must be repeated where there is a network: the machine has a remote, and this
    /// worker could not reach it. Nothing was done.
    #[serde(default)]
    pub needs_network: bool,
    /// What the worker sees, if it was asked to look.
    #[serde(default)]
    pub view: Option<WorkerView>,
    /// The event of this phase, if there is no store to record it in.
    pub unrecorded: Option<Event>,
    pub warnings: Vec<String>,
    /// Why the job failed, in one line.
    pub error: Option<String>,
}

/// A unit that cargo took for fresh in this job, although one of its inputs is now another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StaleUnit {
    pub package: String,
    /// The path that differs, as the steps know it.
    pub input: String,
    /// What to change in the workflow, in the imperative.
    pub advice: String,
}

impl fmt::Display for StaleUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            package,
            input,
            advice,
        } = self;
        write!(
            f,
            "{package} may be stale in this job: {input} changed and cargo did not compile it again; {advice}"
        )
    }
}

/// Which crates of the project are fresh after a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessReply {
    pub crates: u64,
    pub fresh: u64,
    /// The others. Cargo compiles them, and the crates that depend on them.
    pub stale: Vec<StaleCrate>,
    /// The units that are not fresh.
    #[serde(default)]
    pub units: Vec<UnitOutcome>,
}

/// What a restore decided about a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitOutcome {
    pub package: String,
    /// For example `lib-app`.
    pub unit: String,
    /// Why cargo compiles it again; `None` if it is fresh.
    pub reason: Option<String>,
}

/// A crate that is compiled again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleCrate {
    pub name: String,
    /// For example `src/lib.rs changed`.
    pub reason: String,
}

impl FreshnessReply {
    pub(crate) fn add(&mut self, other: Self) {
        self.crates += other.crates;
        self.fresh += other.fresh;
        self.stale.extend(other.stale);
        self.units.extend(other.units);
    }
}

impl fmt::Display for FreshnessReply {
    /// `12 of 14 crates are fresh; api: src/lib.rs changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} crates are fresh", self.fresh, self.crates)?;
        if let Some(StaleCrate { name, reason }) = self.stale.first() {
            write!(f, "; {name}: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for UnitOutcome {
    /// `api (lib-api): src/lib.rs changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or("fresh");
        write!(f, "{} ({}): {reason}", self.package, self.unit)
    }
}

/// An earlier run of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// From the start of the step's first phase to the end of its last.
    pub job_milliseconds: u64,
    pub found: Option<LookupResult>,
    /// Whether an experiment let it go without the cache.
    #[serde(default)]
    pub is_control: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheReply {
    /// Unique within the job; shown to people.
    pub name: String,
    pub kind: CacheKind,
    /// The key that was looked up or saved.
    pub key: String,
    pub found: Option<FoundEntry>,
    /// What comes closest, if nothing was found.
    #[serde(default)]
    pub near_miss: Option<NearMiss>,
    pub saved: Option<SaveReply>,
    /// Why this cache failed, in one line. The others of the job go on.
    pub error: Option<String>,
    pub notes: SaveNotes,
}

/// An entry that was found, and what was restored from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEntry {
    /// The id of the entry.
    pub entry: String,
    pub key: String,
    /// Whether the entry has the requested key.
    pub exact: bool,
    pub files: u64,
    pub bytes: u64,
    /// Files that differed from the entry.
    pub written_files: u64,
    pub written_bytes: u64,
    /// Those of them that the pre phase wrote.
    pub early_files: u64,
    /// Directories that were restored by a rename.
    pub ready: u32,
    pub milliseconds: u64,
    /// Whether the remote had the entry, and the store did not.
    #[serde(default)]
    pub from_remote: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaveReply {
    Done {
        files: u64,
        bytes: u64,
        /// Bytes by which the store grew.
        added_bytes: u64,
        milliseconds: u64,
    },
    /// The key has an entry, so nothing was saved.
    Exists {
        /// Whether this step restored that entry.
        was_restored: bool,
    },
    /// The entry with the key matches the disk.
    Unchanged,
    /// Another process is saving the same key.
    InProgress,
    /// None of the paths exists.
    NothingToSave,
    /// What there is now is not what the key stands for, or it is too large.
    Skipped {
        /// In a few words, without the name of the cache.
        reason: String,
    },
}

impl CacheReply {
    /// The [`CacheReply::name`] of installed programs.
    pub(crate) const BIN: &str = "bin";

    pub(crate) fn new(name: impl Into<String>, kind: CacheKind, key: &str) -> Self {
        let (name, key) = (name.into(), key.to_owned());
        Self {
            name,
            kind,
            key,
            found: None,
            near_miss: None,
            saved: None,
            error: None,
            notes: SaveNotes::default(),
        }
    }

    /// Whether these are the installed programs of a Cargo project.
    pub(crate) fn is_bin(&self) -> bool {
        self.name == Self::BIN
    }

    /// Whether there is nothing to cache: a project without git dependencies has no git cache.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.found, &self.saved) {
            (Some(found), _) => found.files == 0,
            (None, Some(SaveReply::Done { files, .. })) => *files == 0,
            (None, _) => {
                let packages = self.notes.packages.as_ref();
                self.error.is_none() && packages.is_some_and(LockedPackages::is_empty)
            }
        }
    }

    /// Whether it says something about how well the cache works. Installed programs do not:
    /// existing ones are not overwritten, which is no miss.
    pub(crate) fn counts(&self) -> bool {
        !self.is_bin() && !self.is_empty()
    }

    /// What the save of the same step needs to know.
    pub fn record(&self) -> RestoreRecord {
        let found = self.found.as_ref();
        RestoreRecord {
            cache: self.name.clone(),
            key: self.key.clone(),
            entry: found.map(|found| found.entry.clone()),
            exact: found.is_some_and(|found| found.exact),
            kind: self.kind,
            notes: self.notes.clone(),
        }
    }
}

impl From<restore::RestoredEntry> for FoundEntry {
    fn from(found: restore::RestoredEntry) -> Self {
        let applied = found.stats.applied.unwrap_or_default();
        Self {
            entry: found.id.to_string(),
            exact: found.matched == KeyMatch::Exact,
            files: found.entry.files,
            bytes: found.entry.bytes,
            key: found.entry.key,
            written_files: applied.files,
            written_bytes: applied.bytes,
            early_files: 0,
            ready: found.stats.ready,
            milliseconds: whole_milliseconds(found.elapsed),
            from_remote: found.from_second_tier,
        }
    }
}

impl From<save::SaveOutcome> for SaveReply {
    fn from(outcome: save::SaveOutcome) -> Self {
        match outcome {
            save::SaveOutcome::Saved(saved) => Self::Done {
                files: saved.entry.files,
                bytes: saved.entry.bytes,
                added_bytes: saved.entry.added_bytes,
                milliseconds: whole_milliseconds(saved.elapsed),
            },
            save::SaveOutcome::Exists => Self::Exists {
                was_restored: false,
            },
            save::SaveOutcome::Unchanged => Self::Unchanged,
            save::SaveOutcome::InProgress => Self::InProgress,
            save::SaveOutcome::NothingToSave => Self::NothingToSave,
            save::SaveOutcome::TooLarge(excess) => Self::Skipped {
                reason: excess.to_string(),
            },
        }
    }
}
