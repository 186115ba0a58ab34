//! What a phase leaves to the later phases of its step, as values in `GITHUB_STATE`.
//!
//! All phases of a step are the same binary, so the values are JSON of its own types. One that
//! can't be read counts as missing.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::action::env::Env;
use crate::action::files::{CommandFiles, FileError};
use crate::action::summary::SummaryRow;
use crate::job::{EarlyRestore, RestoreRecord};
use crate::ops::free_space::DiskUsage;
use crate::ops::second_tier::TierReport;
use crate::site::worker::Identity;
use crate::stats::event::{Event, LookupResult};
use crate::store::CacheScope;

/// The key that main looked up; empty in a Cargo project, whose keys are in [`RESTORED`].
pub(super) const KEY: StateKey<String> = StateKey::new("KEY");
/// Where the step may write, decided before the job's own programs could reach the event file.
pub(super) const WRITE: StateKey<CacheScope> = StateKey::new("WRITE");
pub(super) const RESTORED: StateKey<Vec<RestoreRecord>> = StateKey::new("RESTORED");
/// The name under which the store keeps what main restored, for runners that forget main's state.
pub(super) const JOB_STATE: StateKey<String> = StateKey::new("JOB_STATE");
pub(super) const IDENTITY: StateKey<Identity> = StateKey::new("IDENTITY");
/// Events of phases that found no store to record them in.
pub(super) const EVENTS: StateKey<Vec<Event>> = StateKey::new("EVENTS");
/// When the step's first phase started, in milliseconds since the epoch.
pub(super) const STARTED: StateKey<i64> = StateKey::new("STARTED");
pub(super) const DISK_BEFORE: StateKey<DiskUsage> = StateKey::new("DISK_BEFORE");
/// What pre restored.
pub(super) const EARLY: StateKey<Vec<EarlyRestore>> = StateKey::new("EARLY");
pub(super) const LOOKUP: StateKey<LookupResult> = StateKey::new("LOOKUP");
/// Whether the cache worked, in one line.
pub(super) const VERDICT: StateKey<String> = StateKey::new("VERDICT");
/// The rows of the job summary so far.
pub(super) const ROWS: StateKey<Vec<SummaryRow>> = StateKey::new("ROWS");
/// What the remote did so far.
pub(super) const REMOTE: StateKey<TierReport> = StateKey::new("REMOTE");

/// The most bytes of the records in the state. The runner passes it in a variable of the
/// environment, which Linux limits to 128 KiB (`MAX_ARG_STRLEN` in linux/binfmts.h).
const MAX_RECORD_BYTES: usize = 100 << 10;

/// The records, without the packages if these are so many that the post phase could not start. Then
/// it uses the lock files as they are at that time.
pub(super) fn within_limit(mut records: Vec<RestoreRecord>) -> Vec<RestoreRecord> {
    let length = serde_json::to_string(&records).map_or(0, |json| json.len());
    if length > MAX_RECORD_BYTES {
        for record in &mut records {
            record.notes.packages = None;
        }
    }
    records
}

/// The name of a value and its type.
pub(super) struct StateKey<T> {
    name: &'static str,
    value: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> StateKey<T> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    fn read(&self, env: &Env) -> Option<T> {
        serde_json::from_str(env.state(self.name)?).ok()
    }

    pub(super) fn save(&self, files: &CommandFiles, value: &T) -> Result<(), FileError> {
        match serde_json::to_string(value) {
            Ok(json) => files.save_state(self.name, &json),
            // A value without a JSON form is as good as none.
            Err(_) => Ok(()),
        }
    }
}

/// Everything that earlier phases of the step left.
#[derive(Default)]
pub(super) struct StepState {
    pub(super) key: Option<String>,
    pub(super) write: Option<CacheScope>,
    pub(super) restored: Vec<RestoreRecord>,
    pub(super) job_state: Option<String>,
    pub(super) identity: Option<Identity>,
    pub(super) events: Vec<Event>,
    pub(super) started: Option<i64>,
    pub(super) disk_before: Option<DiskUsage>,
    pub(super) early: Vec<EarlyRestore>,
    pub(super) lookup: Option<LookupResult>,
    pub(super) verdict: Option<String>,
    pub(super) rows: Vec<SummaryRow>,
    pub(super) remote: Option<TierReport>,
}

impl StepState {
    pub(super) fn from_env(env: &Env) -> Self {
        Self {
            key: KEY.read(env),
            write: WRITE.read(env),
            restored: RESTORED.read(env).unwrap_or_default(),
            job_state: JOB_STATE.read(env),
            identity: IDENTITY.read(env),
            events: EVENTS.read(env).unwrap_or_default(),
            started: STARTED.read(env),
            disk_before: DISK_BEFORE.read(env),
            early: EARLY.read(env).unwrap_or_default(),
            lookup: LOOKUP.read(env),
            verdict: VERDICT.read(env),
            rows: ROWS.read(env).unwrap_or_default(),
            remote: REMOTE.read(env),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::project::lockfile::Lockfile;
    use crate::cargo::target_gc::locked_packages::LockedPackages;
    use crate::job::SaveNotes;
    use crate::store::CacheKind;

    fn records(packages: usize) -> Vec<RestoreRecord> {
        let package = |number| {
            format!(
                "[[package]]\nname = \"some-package-{number}\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n"
            )
        };
        let lock: String = (0..packages).map(package).collect();
        let lock = Lockfile::parse(lock.as_bytes()).unwrap();
        vec![RestoreRecord {
            cache: "registry".to_owned(),
            key: "key".to_owned(),
            entry: None,
            exact: false,
            kind: CacheKind::Registry,
            notes: SaveNotes {
                packages: Some(LockedPackages::of(&[lock])),
                ..SaveNotes::default()
            },
        }]
    }

    #[test]
    fn packages_are_left_out_only_if_the_variable_would_be_too_long() {
        assert_eq!(within_limit(records(3_000)), records(3_000));
        let shortened = within_limit(records(6_000));
        assert_eq!(shortened[0].key, "key");
        assert_eq!(shortened[0].notes.packages, None);
    }
}
