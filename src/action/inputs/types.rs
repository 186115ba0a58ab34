//! The types of parsed inputs.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::cargo::key_inputs::KeyInputs;
use crate::job::WorkspaceLine;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Cargo when there is no path and the workspace has a Cargo.lock or Cargo.toml.
    Auto,
    /// Registry, git dependencies and target directories, under computed keys.
    Cargo,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Repository,
    /// Runs of all repositories of the owner.
    Owner,
    Runner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveMode {
    /// Also after a failure for the cargo preset, on success for `path`.
    Auto,
    /// Even if the job failed or was cancelled.
    Always,
    /// Only when no step failed.
    OnSuccess,
    Never,
}

/// Caches with different defaults for saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFamily {
    Cargo,
    Paths,
}

/// When a cache is saved: [`SaveMode`] and all related inputs combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveCondition {
    /// Even if the job failed or was cancelled.
    Always,
    /// Even if a step failed, but not if the job was cancelled.
    UnlessCancelled,
    /// Only when no step failed.
    OnSuccess,
    Never,
}

/// `mirror`: whether restoring removes what the entry does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// Yes for target directories, no for shared directories.
    Auto,
    Yes,
    No,
}

/// `reuse`: what happens to a target directory after saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It becomes the entry's ready copy.
    Move,
    Copy,
}

/// `job-status`: the status of the job at this phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// No step failed so far.
    Success,
    Failure,
    Cancelled,
    /// The runner does not tell, as act in the post phase.
    Unknown,
}

/// The inputs of the cargo preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CargoInputs {
    pub workspaces: Vec<WorkspaceLine>,
    /// Inputs that affect keys; the prefix is never empty.
    pub key_inputs: KeyInputs,
    pub cache_directories: Vec<String>,
    pub cache_targets: bool,
    pub cache_all_crates: bool,
    pub cache_bin: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionInputs {
    /// `keep-registry`, generations.
    pub keep_registry: NonZeroU32,
    /// `keep-git`, generations.
    pub keep_git: NonZeroU32,
    /// `keep-target`, generations.
    pub keep_target: NonZeroU32,
    /// `keep`, generations of each path cache.
    pub keep: NonZeroU32,
    /// `max-age`; `None` for no preference by age.
    pub max_age: Option<Duration>,
    /// `max-cache-size`, bytes; `None` for no limit.
    pub max_cache_size: Option<u64>,
    /// `disk-threshold`, percent; `None` for no threshold.
    pub disk_threshold: Option<u8>,
    /// `min-free-space`, bytes; 0 for no minimum.
    pub min_free_space: u64,
}
