//! What a job is asked to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cargo::key::template::KeyTemplate;
use crate::fs::serde_path as lossless;
use crate::job::{CargoTarget, Housekeeping, PathsTarget};
use crate::store::CacheScope;

/// What is to be done. All paths are as the steps of the job know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where the store is: absolute, or beginning with `~`.
    #[serde(with = "lossless")]
    pub cache_root: PathBuf,
    /// The checked-out repository.
    #[serde(with = "lossless")]
    pub workspace: PathBuf,
    /// What is restored or saved.
    pub subject: JobTarget,
    /// What to do.
    pub task: Task,
    /// What is done besides.
    pub health: Housekeeping,
}

/// What is restored or saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobTarget {
    /// Paths that somebody listed: one cache.
    Paths(PathsTarget),
    /// The caches of Cargo workspaces.
    Cargo(Box<CargoTarget>),
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Restore.
    Restore(RestoreTask),
    /// Save, and clean.
    Save(SaveTask),
    /// Nothing but what is done besides any task.
    Guard,
}

/// How to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTask {
    /// Scopes and refs to look in, in order.
    pub read: Vec<CacheScope>,
    /// Whether names that the entry does not have are removed, where that is not out of the
    /// question.
    pub mirror: bool,
    /// Whether contents are compared with their digests.
    pub verify: bool,
    /// Only find the entries.
    pub lookup_only: bool,
    /// A name under which what was found is remembered for the save, where the runner forgets it.
    pub remember_as: Option<String>,
}

/// How to save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveTask {
    /// Where the entries belong.
    pub write: CacheScope,
    /// What the restore of the same step noted down.
    pub noted: Vec<RestoreRecord>,
    /// The name under which the restore was remembered.
    pub remembered_as: Option<String>,
    /// Whether target directories are moved into the store afterwards, for a restore to put back by
    /// a rename.
    pub keep_ready: bool,
    /// Whether an entry of the same key is replaced where something changed, also if it was not
    /// restored.
    pub refresh: bool,
    /// How many entries of each group stay.
    pub keep: KeepCounts,
    /// The greatest size of the store in bytes.
    pub max_bytes: Option<u64>,
}

/// How many entries of each group stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepCounts {
    /// Of paths that somebody listed.
    pub path: usize,
    /// Of the registry.
    pub registry: usize,
    /// Of git dependencies.
    pub git: usize,
    /// Of a target directory.
    pub target: usize,
}

impl Default for KeepCounts {
    /// All of them.
    fn default() -> Self {
        Self {
            path: usize::MAX,
            registry: usize::MAX,
            git: usize::MAX,
            target: usize::MAX,
        }
    }
}

/// What a restore leaves for the save of the same step: one for each cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Which cache of the job: [`crate::job::Cache::name`].
    pub cache: String,
    /// The key that was looked for.
    pub key: String,
    /// The entry that was found.
    pub entry: Option<String>,
    /// Whether its key is the one looked for.
    pub exact: bool,
    /// How the key is made again for another compiler, where the compiler is in it.
    pub recipe: Option<KeyTemplate>,
}
