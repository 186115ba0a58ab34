//! What a job does, and to what.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cargo::key::template::KeyTemplate;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::fs::serde_path;
use crate::job::cargo_target::CargoTarget;
use crate::ops::free_space::GuardPolicy;
use crate::ops::restore::RestoreOptions;
use crate::ops::save::SaveOptions;
use crate::stats::event::Event;
use crate::store::{CacheKind, CacheScope};

/// Paths are as the steps of the job know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The directory of the store: absolute, or beginning with `~`.
    #[serde(with = "serde_path")]
    pub cache_root: PathBuf,
    #[serde(with = "serde_path")]
    pub workspace: PathBuf,
    pub target: JobTarget,
    pub task: Task,
    pub housekeeping: Housekeeping,
}

/// What a job does besides its task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Housekeeping {
    /// How [`Task::Guard`], and every save before and after it, guards the disk.
    pub guard: Option<GuardPolicy>,
    /// The event to record; the job fills in what it did.
    pub event: Option<Event>,
    /// Events of earlier phases of the step that found no store to be recorded in.
    pub earlier_events: Vec<Event>,
    /// When the first phase of the step started, in milliseconds since the epoch.
    pub started: Option<i64>,
    /// How many earlier runs of the job to look up.
    pub past_runs: usize,
}

/// What is restored or saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobTarget {
    Paths(PathsTarget),
    /// The caches of Cargo workspaces.
    Cargo(Box<CargoTarget>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathsTarget {
    pub paths: Vec<String>,
    pub key: String,
    /// Key prefixes to try in order when no entry has the key.
    pub restore_keys: Vec<String>,
}

impl PathsTarget {
    /// The [`CacheReply::name`](crate::job::CacheReply::name) of the only cache.
    pub const NAME: &str = "path";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    Restore(RestoreTask),
    /// Guard the disk, then restore what does not depend on the checkout.
    RestoreEarly(RestoreTask),
    Save(SaveTask),
    Guard,
    /// Say what the worker sees, and do nothing.
    Look,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTask {
    /// Scopes and refs to search, in order.
    pub read: Vec<CacheScope>,
    /// Extraneous names are removed only where that is safe.
    pub options: RestoreOptions,
    /// Keep the restore records in the store under this name, for act, which forgets the state that
    /// main saves.
    pub record_as: Option<String>,
    /// What the pre phase restored.
    pub restored_early: Vec<EarlyRestore>,
    /// On a miss, name entries of other repositories too. A job must not learn their keys.
    pub hints_at_all_scopes: bool,
}

/// What the pre phase restored of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyRestore {
    pub cache: String,
    /// The key that was looked up.
    pub key: String,
    /// The variable `CARGO_HOME` of the step.
    pub cargo_home: Option<String>,
    /// Files that differed from the entry.
    pub written_files: u64,
    pub written_bytes: u64,
    pub milliseconds: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveTask {
    pub write: CacheScope,
    /// The records of the restore in the same step.
    pub records: Vec<RestoreRecord>,
    /// The name under which the store keeps these records, if the runner does not (act).
    pub recorded_as: Option<String>,
    pub options: SaveOptions,
    pub keep: KeepCounts,
    /// The largest size of the store.
    pub max_bytes: Option<u64>,
}

/// How many generations of each cache are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepCounts {
    pub path: usize,
    pub registry: usize,
    pub git: usize,
    pub target: usize,
}

impl Default for KeepCounts {
    /// Keeps all generations.
    fn default() -> Self {
        Self {
            path: usize::MAX,
            registry: usize::MAX,
            git: usize::MAX,
            target: usize::MAX,
        }
    }
}

/// What a restore leaves for the save of the same step, one for each cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    pub cache: String,
    /// The key that was looked up.
    pub key: String,
    /// The id of the entry that was found.
    pub entry: Option<String>,
    /// Whether the entry has the key.
    pub exact: bool,
    pub kind: CacheKind,
    pub notes: SaveNotes,
}

/// What the save of a Cargo cache needs to know of the project as it was at the restore: until then
/// the checkout can be gone, or show another branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SaveNotes {
    /// How to compute the key for another compiler, if the compiler is part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_template: Option<KeyTemplate>,
    /// The downloads that the lock files need; `None` without lock files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<LockedPackages>,
    /// The places of a target directory, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// Digests of the parts of the key, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}
