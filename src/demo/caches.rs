//! The caches of a job: those of the Cargo preset, restored and saved like in the action.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::report::{CacheUse, StoredSize};
use super::scratch::Scratch;
use crate::error::Error;
use crate::fs::Local;
use crate::job::{
    CacheReply, CargoTarget, FoundEntry, Housekeeping, Job, JobReply, JobTarget, RestoreRecord,
    RestoreTask, SaveReply, SaveTask, Task, run_job,
};
use crate::monitor::Monitor;
use crate::ops::restore::RestoreOptions;
use crate::ops::save::SaveOptions;
use crate::store::CacheScope;
use crate::store::key_match::KeyMatch;
use crate::tree::plan::Extraneous;

/// The caches of the project that is checked out.
pub(super) struct Caches {
    job: Job,
    home: PathBuf,
}

#[derive(Default)]
pub(super) struct Restored {
    pub(super) caches: Vec<CacheUse>,
    /// Includes the search for the entries.
    pub(super) elapsed: Duration,
    /// What [`Caches::save`] needs to know of the restore.
    pub(super) records: Vec<RestoreRecord>,
}

impl Caches {
    /// `variables` are those of the job's steps; some are a part of the keys.
    pub(super) fn of_job(scratch: &Scratch, variables: &BTreeMap<OsString, OsString>) -> Self {
        let mut cargo = CargoTarget::default();
        cargo.add_env(
            variables
                .iter()
                .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
            true,
        );
        let job = Job {
            cache_root: scratch.cache_root(),
            workspace: scratch.checkout(),
            target: JobTarget::Cargo(Box::new(cargo)),
            housekeeping: Housekeeping::default(),
            // `run` replaces it.
            task: Task::Restore(RestoreTask::default()),
        };
        Self {
            job,
            home: scratch.home(),
        }
    }

    pub(super) fn restore(&self, monitor: &dyn Monitor) -> Result<Restored> {
        let task = RestoreTask {
            read: vec![CacheScope::default()],
            options: RestoreOptions {
                extraneous: Extraneous::Remove,
                ..RestoreOptions::default()
            },
            ..RestoreTask::default()
        };
        let (reply, elapsed) = self.run(Task::Restore(task), monitor)?;
        Ok(Restored {
            records: reply.caches.iter().map(CacheReply::record).collect(),
            caches: reply.caches.into_iter().map(cache_use).collect(),
            elapsed,
        })
    }

    /// Saves the caches that changed, and notes their sizes in `caches`.
    pub(super) fn save(
        &self,
        records: Vec<RestoreRecord>,
        caches: &mut [CacheUse],
        monitor: &dyn Monitor,
    ) -> Result<Duration> {
        let task = SaveTask {
            records,
            options: SaveOptions {
                keep_ready: true,
                ..SaveOptions::default()
            },
            ..SaveTask::default()
        };
        let (reply, elapsed) = self.run(Task::Save(task), monitor)?;
        for CacheReply { name, saved, .. } in reply.caches {
            let cache = caches.iter_mut().find(|cache| cache.name == name);
            if let (Some(cache), Some(SaveReply::Done { files, bytes, .. })) = (cache, saved) {
                cache.saved = Some(StoredSize { files, bytes });
            }
        }
        Ok(elapsed)
    }

    fn run(&self, task: Task, monitor: &dyn Monitor) -> Result<(JobReply, Duration)> {
        let start = Instant::now();
        let job = Job {
            task,
            ..self.job.clone()
        };
        let reply = run_job(&job, &Local::new(Some(self.home.clone())), monitor);
        for warning in &reply.warnings {
            monitor.warn(warning);
        }
        if monitor.is_interrupted() {
            return Err(Error::Interrupted.into());
        }
        let mut errors = reply
            .error
            .iter()
            .chain(reply.caches.iter().filter_map(|cache| cache.error.as_ref()));
        if let Some(error) = errors.next() {
            bail!(error.clone());
        }
        Ok((reply, start.elapsed()))
    }
}

fn cache_use(cache: CacheReply) -> CacheUse {
    let restored = cache.found.as_ref().map(|found| {
        let size = StoredSize {
            files: found.files,
            bytes: found.bytes,
        };
        (key_match(found), size)
    });
    CacheUse {
        name: cache.name,
        key: cache.key,
        restored,
        saved: None,
    }
}

fn key_match(found: &FoundEntry) -> KeyMatch {
    if found.exact {
        KeyMatch::Exact
    } else {
        KeyMatch::Prefix
    }
}
