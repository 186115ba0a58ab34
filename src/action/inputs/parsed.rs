//! The parsed inputs of a step.

use std::time::Duration;

use log::LevelFilter;

use super::table::RemovedInput;
use super::types::{
    CacheFamily, CargoInputs, JobStatus, Mirror, Preset, RetentionInputs, Reuse, SaveCondition,
    SaveMode, Scope,
};
use crate::action::kind::ActionKind;
use crate::cargo::freshness::mode::FreshnessMode;
use crate::site::SitePreference;
use crate::store::ready_limit::ReadyLimit;

/// All inputs of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an input, and independent of the others"
)]
pub struct Inputs {
    /// The action that they are for.
    pub kind: ActionKind,
    /// `path`: patterns as written, including comments; empty in a Cargo project.
    pub paths: Vec<String>,
    pub key: String,
    pub restore_keys: Vec<String>,
    pub fail_on_cache_miss: bool,
    pub lookup_only: bool,
    /// `preset`; with paths never [`Preset::Cargo`].
    pub preset: Preset,
    /// The inputs of the cargo preset.
    pub cargo: CargoInputs,
    /// `cache-on-failure`; `None` when it is empty.
    pub cache_on_failure: Option<bool>,
    pub save_if: bool,
    /// `cache-root`: absolute, or beginning with `~`.
    pub cache_root: String,
    pub scope: Scope,
    pub branch_isolation: bool,
    pub save: SaveMode,
    pub retention: RetentionInputs,
    pub mirror: Mirror,
    pub reuse: Reuse,
    pub ready_copies: ReadyLimit,
    pub freshness: FreshnessMode,
    pub sources: Vec<String>,
    pub fail_on_stale: bool,
    pub keep_outputs: Vec<String>,
    pub restore_in_pre: bool,
    /// `remote`: a URL that can be understood, or `none`; `None` when it is empty.
    pub remote: Option<String>,
    pub verify: bool,
    /// `timeout`; `None` for no limit.
    pub timeout: Option<Duration>,
    pub fail_on_error: bool,
    /// `experiment`, percent of runs.
    pub experiment: u8,
    pub summary: bool,
    pub log_level: LevelFilter,
    pub site: SitePreference,
    pub job_status: JobStatus,
    /// `job-container`: the id of the job's container.
    pub job_container: Option<String>,
    /// Inputs that were set and have no effect here, with their values.
    pub ignored: Vec<(&'static str, String)>,
    /// Inputs of earlier versions that were set.
    pub removed: Vec<&'static RemovedInput>,
}

impl Inputs {
    /// When a cache is saved: always by the save action, never by the restore action, otherwise as
    /// `save`, `save-always`, `save-if` and `cache-on-failure` decide. Whether the run is permitted
    /// to save is decided elsewhere.
    pub fn save_condition(&self, of: CacheFamily) -> SaveCondition {
        if self.kind == ActionKind::Save {
            return SaveCondition::Always;
        }
        if self.kind == ActionKind::Restore || !self.save_if {
            return SaveCondition::Never;
        }
        match self.save {
            SaveMode::Never => SaveCondition::Never,
            SaveMode::Always => SaveCondition::Always,
            SaveMode::OnSuccess => SaveCondition::OnSuccess,
            SaveMode::Auto => match (of, self.cache_on_failure) {
                // A failed test run has compiled everything.
                (CacheFamily::Cargo, None | Some(true)) => SaveCondition::UnlessCancelled,
                (CacheFamily::Paths, Some(true)) => SaveCondition::Always,
                (CacheFamily::Paths, None) | (_, Some(false)) => SaveCondition::OnSuccess,
            },
        }
    }
}
