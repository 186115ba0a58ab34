//! Saving: the post phase of the action itself and the main phase of `save/`.

use std::num::NonZeroU32;

use super::{Step, cache_size, state};
use crate::action::console::Mark;
use crate::action::inputs::{CacheFamily, JobStatus, RetentionInputs, Reuse, SaveCondition};
use crate::action::kind::ActionKind;
use crate::fmt::human::{bytes, plural};
use crate::job::{
    CacheReply, Job, KeepCounts, PathsTarget, RestoreRecord, SaveReply, SaveTask, Task,
};
use crate::ops::save::SaveOptions;
use crate::stats::event::Phase;
use crate::store::CacheScope;

impl Step<'_, '_> {
    pub(super) fn save(&mut self) {
        let Some(job) = self.save_job() else {
            return self.end();
        };
        let is_of_cargo = self.is_of_cargo();
        let Some(reply) = self.carry_out(job) else {
            return;
        };
        self.report_guarded(&reply);
        if self.report_no_room(&reply) && self.inputs.kind == ActionKind::Save {
            self.warn("Cache save failed.");
        }
        for cache in &reply.caches {
            if is_of_cargo {
                self.report_saved_cargo(cache)
            } else {
                self.report_saved(cache)
            }
        }
        if let Some((entries, freed)) = reply.evicted {
            let entries = plural(entries, "old entry", "old entries");
            self.log.log(
                Mark::Cleaned,
                format_args!("removed {entries}, {} given back", bytes(freed)),
            );
        }
        self.summarize(&reply);
        if let Some(disk) = reply.disk {
            self.report_disk(disk);
        }
    }

    /// The job that saves; none where nothing is to be saved, which is said.
    fn save_job(&mut self) -> Option<Job> {
        let (job, access) = self.job()?;
        if !self.context.cache_mode.may_save() {
            self.log.log(
                Mark::Done,
                "this run may not save caches (ACTIONS_CACHE_MODE); nothing is saved",
            );
            return None;
        }
        if !self.wants_to_save() {
            return None;
        }
        let is_of_cargo = self.is_of_cargo();
        if self.inputs.kind == ActionKind::Cache && self.env.state(state::EXACT) == Some("true") {
            self.say_not_saved(&self.inputs.key);
            return None;
        }
        if self.inputs.key.is_empty() && !is_of_cargo {
            self.not_saved("Key is not specified, so nothing is saved");
            return None;
        }
        let task = SaveTask {
            write: self.writable(access.write),
            records: if is_of_cargo {
                self.noted_caches()
            } else {
                vec![self.noted()]
            },
            recorded_as: self.memory(),
            options: SaveOptions {
                keep_ready: self.inputs.reuse == Reuse::Move,
                ..SaveOptions::default()
            },
            keep: self.keep(),
            max_bytes: self.inputs.retention.max_cache_size,
        };
        Some(Job {
            task: Task::Save(task),
            ..job
        })
    }

    /// Where this phase may write: in the post phase what main noted down.
    fn writable(&self, decided: CacheScope) -> CacheScope {
        let noted = self
            .env
            .state(state::WRITE)
            .filter(|_| self.phase == Phase::Post);
        noted
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(decided)
    }

    /// What main noted down of the paths that it restored.
    fn noted(&self) -> RestoreRecord {
        RestoreRecord {
            cache: PathsTarget::NAME.to_owned(),
            key: self.inputs.key.clone(),
            entry: self.env.state(state::ENTRY).map(str::to_owned),
            exact: false,
            key_template: None,
        }
    }

    pub(super) fn keep(&self) -> KeepCounts {
        let RetentionInputs {
            keep,
            keep_registry,
            keep_git,
            keep_target,
            ..
        } = self.inputs.retention;
        let count = |count: NonZeroU32| usize::try_from(count.get()).unwrap_or(usize::MAX);
        KeepCounts {
            path: count(keep),
            registry: count(keep_registry),
            git: count(keep_git),
            target: count(keep_target),
        }
    }

    fn report_saved(&mut self, cache: &CacheReply) {
        let key = &cache.key;
        match &cache.saved {
            Some(SaveReply::Done { files, bytes: size, added_bytes, milliseconds }) => {
                self.log.log(Mark::Saved, format_args!("Cache saved with key: {key}"));
                let (files, added) = (plural(*files, "file", "files"), bytes(*added_bytes));
                let size = cache_size(*size);
                self.log
                    .line(format_args!("   Cache Size: {size}, {files}, {added} new, in {milliseconds} ms"));
            }
            Some(SaveReply::Exists { was_restored: true } | SaveReply::Unchanged) => self.say_not_saved(key),
            Some(SaveReply::Exists { was_restored: false }) => {
                self.not_reserved(&format!("there is an entry with key {key} already; it stays as it is"));
            }
            Some(SaveReply::InProgress) => {
                self.not_reserved(&format!("another job is saving an entry with key {key} right now"));
            }
            Some(SaveReply::NothingToSave) => self.not_saved(
                "Path Validation Error: Path(s) specified in the action for caching do(es) not exist, \
                 hence no cache is being saved.",
            ),
            None => {}
        }
    }

    /// The save action was asked to save, so that it did not deserves more than a line.
    fn not_saved(&self, why: &str) {
        self.log.log(Mark::Done, why);
        if self.inputs.kind == ActionKind::Save {
            self.warn("Cache save failed.");
        }
    }

    fn not_reserved(&self, why: &str) {
        if self.inputs.kind == ActionKind::Save {
            self.not_saved(&format!("Failed to save: Unable to reserve cache: {why}"));
        } else {
            self.not_saved(why);
        }
    }

    fn say_not_saved(&self, key: &str) {
        self.log.log(
            Mark::Done,
            format_args!("Cache hit occurred on the primary key {key}, not saving cache."),
        );
    }

    /// What the inputs and the job's state say. Where the runner does not tell that state, the job
    /// counts as successful: act runs the post phase of every job, and a cache of a failed one is
    /// still a cache.
    fn wants_to_save(&self) -> bool {
        let of = if self.is_of_cargo() {
            CacheFamily::Cargo
        } else {
            CacheFamily::Paths
        };
        match (self.inputs.save_condition(of), self.inputs.job_status) {
            (SaveCondition::Never, _) => {
                self.log.debug("nothing is saved: the inputs say so");
                false
            }
            (SaveCondition::OnSuccess, JobStatus::Failure | JobStatus::Cancelled) => {
                self.log.log(
                    Mark::Done,
                    "the job did not succeed, not saving cache; `save: always` saves anyway",
                );
                false
            }
            (SaveCondition::UnlessCancelled, JobStatus::Cancelled) => {
                self.log.log(
                    Mark::Done,
                    "the job was cancelled, not saving cache; `save: always` saves anyway",
                );
                false
            }
            (
                SaveCondition::Always | SaveCondition::UnlessCancelled | SaveCondition::OnSuccess,
                _,
            ) => true,
        }
    }
}
