//! The caches of the jobs: those of the cargo preset, as the action restores and saves them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::scratch::Scratch;
use super::{CacheUse, DemoError, StoredSize};
use crate::fs::Local;
use crate::job::{
    CargoTarget, FoundEntry, Housekeeping, Job, JobReply, JobTarget, RestoreRecord, RestoreTask,
    SaveReply, SaveTask, Task, run_job,
};
use crate::monitor::Monitor;
use crate::ops::restore::RestoreOptions;
use crate::ops::save::SaveOptions;
use crate::store::CacheScope;
use crate::store::key_match::KeyMatch;
use crate::tree::plan::Extraneous;

/// The caches of a job whose checkout lies in place.
pub(super) struct Caches {
    job: Job,
    home: PathBuf,
}

impl Caches {
    /// The caches of the project in the checkout, for steps with these variables.
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
            // Replaced by each task.
            task: Task::Restore(RestoreTask::default()),
        };
        Self {
            job,
            home: scratch.home(),
        }
    }

    /// Restores the caches; how long it took includes looking for them. The last is for
    /// [`Caches::save`].
    pub(super) fn restore(
        &self,
        monitor: &dyn Monitor,
    ) -> Result<(Vec<CacheUse>, Duration, Vec<RestoreRecord>), DemoError> {
        let task = RestoreTask {
            read: vec![CacheScope::default()],
            options: RestoreOptions {
                extraneous: Extraneous::Remove,
                ..RestoreOptions::default()
            },
            ..RestoreTask::default()
        };
        let (reply, took) = self.carry_out(Task::Restore(task), monitor)?;
        let noted = reply
            .caches
            .iter()
            .map(crate::job::CacheReply::record)
            .collect();
        let uses = reply.caches.into_iter().map(|cache| {
            let restored = cache
                .found
                .as_ref()
                .map(|found| (matched(found), size(found.files, found.bytes)));
            CacheUse {
                name: cache.name,
                key: cache.key,
                restored,
                saved: None,
            }
        });
        Ok((uses.collect(), took, noted))
    }

    /// Saves what changed of the caches and says so in `uses`.
    pub(super) fn save(
        &self,
        noted: Vec<RestoreRecord>,
        uses: &mut [CacheUse],
        monitor: &dyn Monitor,
    ) -> Result<Duration, DemoError> {
        let task = SaveTask {
            records: noted,
            options: SaveOptions {
                keep_ready: true,
                ..SaveOptions::default()
            },
            ..SaveTask::default()
        };
        let (reply, took) = self.carry_out(Task::Save(task), monitor)?;
        for cache in reply.caches {
            let of_it = uses.iter_mut().find(|of_it| of_it.name == cache.name);
            if let (Some(of_it), Some(SaveReply::Done { files, bytes, .. })) = (of_it, cache.saved)
            {
                of_it.saved = Some(size(files, bytes));
            }
        }
        Ok(took)
    }

    fn carry_out(
        &self,
        task: Task,
        monitor: &dyn Monitor,
    ) -> Result<(JobReply, Duration), DemoError> {
        let begun = Instant::now();
        let reply = run_job(
            &Job {
                task,
                ..self.job.clone()
            },
            &Local::new(Some(self.home.clone())),
            monitor,
        );
        reply
            .warnings
            .iter()
            .for_each(|warning| monitor.warn(warning));
        let mut errors = reply
            .error
            .iter()
            .chain(reply.caches.iter().filter_map(|cache| cache.error.as_ref()));
        match errors.next().cloned() {
            _ if monitor.is_interrupted() => Err(crate::error::Error::Interrupted.into()),
            Some(error) => Err(crate::error::Error::invalid(error).into()),
            None => Ok((reply, begun.elapsed())),
        }
    }
}

fn matched(found: &FoundEntry) -> KeyMatch {
    if found.exact {
        KeyMatch::Exact
    } else {
        KeyMatch::Prefix
    }
}

fn size(files: u64, bytes: u64) -> StoredSize {
    StoredSize { files, bytes }
}
