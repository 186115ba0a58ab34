//! What phases do besides restoring and saving: the disk is guarded, the phase recorded, the
//! summary written.

use std::time::Duration;

use crate::action::console::Mark;
use crate::action::experiment;
use crate::action::inputs::{JobStatus, RetentionInputs};
use crate::action::kind::ActionKind;
use crate::action::phase::{Step, state};
use crate::action::summary::{JobSummary, SummaryRow, TREND_RUNS, markdown};
use crate::fmt::human::{bytes, plural};
use crate::job::{
    CacheReply, Housekeeping, Job, JobReply, JobTarget, PathsTarget, SaveReply, Task,
};
use crate::ops::free_space::{DiskNotice, DiskUsage, GuardPolicy, GuardReport};
use crate::stats::event as events;
use crate::stats::event::{Arm, Event, LookupResult, Phase, Run};
use crate::store::CacheKind;
use crate::store::disk_limits::DiskLimits;

impl Step<'_, '_> {
    /// What every job of this phase does besides its task.
    pub(crate) fn health(&self) -> Housekeeping {
        let is_last = self.phase == Phase::Post;
        let number = |name: &str| self.env.state(name).and_then(|text| text.parse().ok());
        let event = Event {
            phase: self.phase,
            run: self.event_run(),
            experiment: self.arm(),
            job_status: is_last.then(|| self.job_status()).flatten(),
            found: self
                .env
                .state(state::FOUND)
                .filter(|_| is_last)
                .and_then(|text| serde_json::from_str(text).ok()),
            ..Event::default()
        };
        Housekeeping {
            guard: Some(self.wanted_room()),
            event: Some(event),
            earlier_events: if is_last {
                self.kept_events()
            } else {
                Vec::new()
            },
            started: number(state::STARTED).filter(|_| is_last),
            past_runs: if is_last && self.inputs.summary {
                TREND_RUNS
            } else {
                0
            },
        }
    }

    /// Events that found no store to be recorded in: the last phase records them, if there is one
    /// then.
    fn kept_events(&self) -> Vec<Event> {
        self.env
            .state(state::EVENTS)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// Keeps what could not be recorded for the last phase.
    pub(crate) fn keep_event(&mut self, reply: &JobReply) {
        let Some(event) = reply.unrecorded.clone() else {
            return;
        };
        if self.phase == Phase::Post || self.inputs.kind != ActionKind::Cache {
            return;
        }
        let mut events = self.kept_events();
        events.push(event);
        if let Ok(events) = serde_json::to_string(&events) {
            self.tell(self.context.files.save_state(state::EVENTS, &events));
        }
    }

    fn event_run(&self) -> Run {
        let context = self.context;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Run {
            repository: text(&context.repository),
            workflow: text(&context.workflow),
            job: text(&context.job),
            step: text(&context.action),
            git_ref: text(&context.git_ref),
            run_id: context.run_id.unwrap_or_default(),
            attempt: context.run_attempt.unwrap_or_default(),
        }
    }

    fn job_status(&self) -> Option<String> {
        let status = match self.inputs.job_status {
            JobStatus::Success => "success",
            JobStatus::Failure => "failure",
            JobStatus::Cancelled => "cancelled",
            JobStatus::Unknown => return None,
        };
        Some(status.to_owned())
    }

    fn wanted_room(&self) -> GuardPolicy {
        let RetentionInputs {
            max_age,
            max_cache_size,
            disk_threshold,
            min_free_space,
            ..
        } = self.inputs.retention;
        let keep = self.keep();
        GuardPolicy {
            limits: DiskLimits {
                used_percent: disk_threshold,
                free_bytes: min_free_space,
                store_bytes: max_cache_size,
            },
            keep: vec![
                (CacheKind::Path, keep.path),
                (CacheKind::Registry, keep.registry),
                (CacheKind::Git, keep.git),
                (CacheKind::Target, keep.target),
            ],
            old_after: max_age,
            default_branches: self.default_branches(),
        }
    }

    /// The group of an experiment that the run is in.
    pub(crate) fn arm(&self) -> Option<Arm> {
        experiment::arm(self.inputs, self.context).filter(|_| self.inputs.kind == ActionKind::Cache)
    }

    /// Whether this run goes without the cache; it is said.
    pub(crate) fn is_control(&self) -> bool {
        let is_control = self.arm() == Some(Arm::Control);
        if is_control {
            self.log.log(
                Mark::Missed,
                format_args!(
                    "this run is one of the {} % that go without restoring, to measure what the cache saves \
                     (`experiment`)",
                    self.inputs.experiment
                ),
            );
        }
        is_control
    }

    /// The first phase: when it began is noted down, and the disk is guarded.
    pub(crate) fn begin(&mut self) {
        self.tell(
            self.context
                .files
                .save_state(state::STARTED, &events::now().to_string()),
        );
        if let Some(room) = self.guard_disk().map(|guarded| guarded.before)
            && let Ok(room) = serde_json::to_string(&room)
        {
            self.tell(self.context.files.save_state(state::BEFORE, &room));
        }
    }

    /// Where there was no first phase, the job is measured from here on.
    pub(crate) fn begin_late(&mut self) {
        if self.env.state(state::STARTED).is_none() && self.inputs.kind == ActionKind::Cache {
            self.tell(
                self.context
                    .files
                    .save_state(state::STARTED, &events::now().to_string()),
            );
        }
    }

    /// Guards the disk where there is nothing else to do. The main phase says why there is no place
    /// to work at.
    fn guard_disk(&mut self) -> Option<GuardReport> {
        let workspace = self.context.workspace.clone()?;
        let paths = PathsTarget {
            paths: Vec::new(),
            key: String::new(),
            restore_keys: Vec::new(),
        };
        let job = Job {
            cache_root: self.inputs.cache_root.clone().into(),
            workspace,
            target: JobTarget::Paths(paths),
            task: Task::Guard,
            housekeeping: self.health(),
        };
        let (reply, identity) = match self.place.get().run(job, self.log) {
            Ok(done) => done,
            Err(why) => {
                self.log.debug(why);
                return None;
            }
        };
        self.remember(identity);
        self.keep_event(&reply);
        reply
            .warnings
            .iter()
            .chain(&reply.error)
            .for_each(|text| self.log.debug(text));
        self.report_guarded(&reply);
        if self.phase == Phase::Post {
            self.summarize(&reply);
        }
        reply.guard
    }

    /// The last phase of a step that saves nothing.
    pub(crate) fn end(&mut self) {
        if self.phase == Phase::Post {
            self.guard_disk();
        }
    }

    /// What the guard did, and what people should know of the disk.
    pub(crate) fn report_guarded(&mut self, reply: &JobReply) {
        let Some(guarded) = &reply.guard else {
            return;
        };
        if guarded.freed_bytes > 0 || !guarded.removed.is_empty() {
            let entries = plural(guarded.removed.len() as u64, "entry", "entries");
            self.log.log(
                Mark::Cleaned,
                format_args!(
                    "the disk was {} % used, {} free: removed {entries}, {} given back",
                    guarded.before.used_percent,
                    bytes(guarded.before.free_bytes),
                    bytes(guarded.freed_bytes)
                ),
            );
        }
        if !guarded.removed.is_empty() {
            let lines = guarded
                .removed
                .iter()
                .map(|removed| format!("{}: {}", removed.key, removed.reason));
            self.log.group("what was removed, and why", lines);
        }
        for notice in &guarded.notices {
            let text = notice_text(notice, &self.inputs.cache_root);
            match notice {
                // Once for a job is enough for an annotation.
                DiskNotice::FilledByOthers { .. } | DiskNotice::WorkspaceFull(_)
                    if self.phase != Phase::Post =>
                {
                    self.warn(&text);
                }
                DiskNotice::LittleFree(_) if self.phase == Phase::Post => self.log.debug(text),
                _ => self.log.log(Mark::Check, text),
            }
        }
    }

    /// Says that nothing was saved for want of room. False when there was room.
    pub(crate) fn report_no_room(&mut self, reply: &JobReply) -> bool {
        let full = reply
            .guard
            .as_ref()
            .filter(|guarded| !guarded.may_save && reply.caches.is_empty());
        let Some(guarded) = full else { return false };
        self.warn(&format!(
            "nothing is saved: the disk of {} has {} free, and {} are to be kept free; free some space, or set \
             `min-free-space`",
            self.inputs.cache_root,
            bytes(guarded.before.free_bytes),
            bytes(self.inputs.retention.min_free_space)
        ));
        true
    }

    /// Notes down for the last phase what was found, or writes the summary where there is no such
    /// phase.
    pub(crate) fn after_restore(&mut self, reply: Option<&JobReply>) {
        let caches = reply.map_or(&[][..], |reply| &reply.caches);
        let rows: Vec<SummaryRow> = caches.iter().map(|cache| row(cache, true)).collect();
        let asked_for_nothing =
            self.arm() == Some(Arm::Control) || !self.context.cache_mode.may_restore();
        if self.inputs.kind != ActionKind::Cache {
            if let Some(reply) = reply {
                self.write_summary(&rows, reply);
            }
            return;
        }
        if !asked_for_nothing
            && let Some(found) = found(caches)
            && let Ok(found) = serde_json::to_string(&found)
        {
            self.tell(self.context.files.save_state(state::FOUND, &found));
        }
        if let Ok(rows) = serde_json::to_string(&rows) {
            self.tell(self.context.files.save_state(state::ROWS, &rows));
        }
    }

    /// Writes the summary of a step that has come to its end.
    pub(crate) fn summarize(&mut self, reply: &JobReply) {
        let rows = self
            .env
            .state(state::ROWS)
            .and_then(|text| serde_json::from_str(text).ok());
        let mut rows: Vec<SummaryRow> = rows.unwrap_or_default();
        for cache in &reply.caches {
            let saved = row(cache, false);
            match rows.iter_mut().find(|row| row.name == saved.name) {
                Some(row) => {
                    (row.saved, row.key) = (saved.saved, saved.key);
                    if row.files == 0 {
                        (row.files, row.bytes) = (saved.files, saved.bytes);
                    }
                }
                None => rows.push(saved),
            }
        }
        self.write_summary(&rows, reply);
    }

    fn write_summary(&mut self, rows: &[SummaryRow], reply: &JobReply) {
        if !self.inputs.summary || self.context.files.summary.is_none() {
            return;
        }
        let guarded = reply.guard.as_ref();
        let mut notices: Vec<String> = guarded
            .map_or(&[][..], |guarded| &guarded.notices)
            .iter()
            .map(|notice| notice_text(notice, &self.inputs.cache_root))
            .collect();
        if self.arm() == Some(Arm::Control) {
            notices.push(
                "This run went without restoring, to measure what the cache saves.".to_owned(),
            );
        }
        let noted: Option<DiskUsage> = self
            .env
            .state(state::BEFORE)
            .and_then(|text| serde_json::from_str(text).ok());
        let after = reply.disk;
        let before = noted.or(guarded.map(|guarded| guarded.before));
        let summary = JobSummary {
            rows,
            before,
            after,
            notices: &notices,
            trend: &reply.past_runs,
        };
        if let Some(markdown) = markdown(&summary) {
            // A summary that can't be written is no reason to trouble anybody.
            if let Err(error) = self.context.files.append_summary(&markdown) {
                self.log.debug(error);
            }
        }
    }
}

/// What a step had found, all caches taken together.
fn found(caches: &[CacheReply]) -> Option<LookupResult> {
    let mut counted = caches.iter().filter(|cache| cache.name != "bin").peekable();
    counted.peek()?;
    let is_exact = |cache: &CacheReply| cache.found.as_ref().is_some_and(|found| found.exact);
    Some(if counted.clone().all(is_exact) {
        LookupResult::Exact
    } else if counted.any(|cache| cache.found.is_some()) {
        LookupResult::Prefix
    } else {
        LookupResult::Miss
    })
}

fn row(cache: &CacheReply, is_restore: bool) -> SummaryRow {
    let mut row = SummaryRow {
        name: cache.name.clone(),
        key: cache.key.clone(),
        ..SummaryRow::default()
    };
    if let Some(found) = &cache.found {
        row.hit = Some(if found.exact {
            LookupResult::Exact
        } else {
            LookupResult::Prefix
        });
        (row.files, row.bytes, row.written_bytes) = (found.files, found.bytes, found.written_bytes);
        row.restore_milliseconds = Some(found.milliseconds);
    } else if is_restore {
        row.hit = Some(LookupResult::Miss);
    }
    row.saved = cache
        .error
        .as_ref()
        .map(|_| "failed".to_owned())
        .or(match &cache.saved {
            Some(SaveReply::Done {
                files,
                bytes: size,
                added_bytes,
                milliseconds,
            }) => {
                (row.files, row.bytes) = (*files, *size);
                let took = crate::fmt::human::elapsed(Duration::from_millis(*milliseconds));
                Some(format!(
                    "{} in {took}, {} new",
                    bytes(*size),
                    bytes(*added_bytes)
                ))
            }
            Some(SaveReply::Unchanged | SaveReply::Exists { .. }) => {
                Some("is there already".to_owned())
            }
            Some(SaveReply::InProgress) => Some("by another job".to_owned()),
            Some(SaveReply::NothingToSave) => Some("nothing there".to_owned()),
            None => None,
        });
    row
}

/// What people should know of the disk, in one line.
fn notice_text(notice: &DiskNotice, root: &str) -> String {
    let used = |room: &DiskUsage| {
        let inodes = match room.inodes_percent {
            Some(percent @ 81..) => format!(", {percent} % of its inodes used"),
            _ => String::new(),
        };
        format!(
            "{} % used, {} free{inodes}",
            room.used_percent,
            bytes(room.free_bytes)
        )
    };
    match notice {
        DiskNotice::LittleFree(room) => {
            format!(
                "the disk of {root} is {}; 50 GB are recommended for caches and builds",
                used(room)
            )
        }
        DiskNotice::FilledByOthers {
            usage: room,
            store_bytes,
        } => format!(
            "the disk of {root} is {}, and all of the cache takes {}: removing it would not be enough, so it stays; \
             free space elsewhere, or set `disk-threshold` and `min-free-space`",
            used(room),
            bytes(*store_bytes)
        ),
        DiskNotice::WorkspaceFull(room) => format!(
            "the disk of the workspace is {}; the cache is on another one, so nothing can be removed for it",
            used(room)
        ),
        DiskNotice::InUse(room) => format!(
            "the disk of {root} is {}, but other jobs use the cache just now; a later phase cleans",
            used(room)
        ),
    }
}
