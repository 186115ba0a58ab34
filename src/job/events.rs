//! The event of a phase: completed with what the job did, and appended to the journal.
//!
//! The journal is in the store, and the first job of a runner finds none. Its events go back with
//! the replies, and its last phase, which creates the store if there is something to save, brings
//! them along.

use std::path::Path;
use std::time::Instant;

use crate::error::Result;
use crate::fmt::whole_milliseconds;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, FoundEntry, JobReply, PastRun, SaveReply};
use crate::job::request::{Job, Task};
use crate::ops::second_tier::TierReport;
use crate::stats::event::{self, Arm, CacheEvent, Event, LookupResult};
use crate::stats::journal::{self, JournalContents, JournalLimits};
use crate::store::Store;

/// Bytes of the journal that are read for earlier runs: some thousand phases.
const RECENT_BYTES: u64 = 1 << 20;

/// Records the event of the job, if it has one, and looks up the earlier runs.
pub(super) fn record_event(
    context: &JobContext<'_>,
    root: &Path,
    reply: &mut JobReply,
    start: Instant,
) {
    let housekeeping = &context.job.housekeeping;
    let Some(event) = &housekeeping.event else {
        return;
    };
    let event = complete(event, context.job, reply, start);
    reply.past_runs = past_runs(root, housekeeping.past_runs, &event);
    match append_events(root, housekeeping.earlier_events.iter().chain([&event])) {
        Ok(true) => {}
        Ok(false) => reply.unrecorded = Some(event),
        // The same fault of the store has been reported by the task.
        Err(_) if reply.error.is_some() => {}
        Err(error) => context.monitor.warn(&format!(
            "the journal of the store could not be written: {}",
            error.with_advice()
        )),
    }
}

fn complete(event: &Event, job: &Job, reply: &JobReply, start: Instant) -> Event {
    let now = event::now();
    let guard = reply.guard.as_ref();
    let (evicted, evicted_bytes) = reply.evicted.unwrap_or_default();
    let caches = reply.caches.iter();
    let cache_error = || reply.caches.iter().find_map(|cache| cache.error.clone());
    Event {
        time: now,
        caches: caches.filter_map(|cache| cache_event(cache, job)).collect(),
        disk: reply.disk,
        removed_entries: evicted + guard.map_or(0, |report| report.removed.len() as u64),
        freed_bytes: evicted_bytes + guard.map_or(0, |report| report.freed_bytes),
        milliseconds: whole_milliseconds(start.elapsed()),
        job_milliseconds: job.housekeeping.started.and_then(|started| {
            // Negative if the clock was set back meanwhile: then the duration is unknown.
            u64::try_from(now.saturating_sub(started)).ok()
        }),
        remote: reply.second_tier.as_ref().and_then(TierReport::traffic),
        error: match &job.task {
            // Main does the same again, and records its error.
            Task::RestoreEarly(_) => None,
            _ => reply.error.clone().or_else(cache_error),
        },
        ..event.clone()
    }
}

/// `None` if the job did nothing with the cache.
fn cache_event(cache: &CacheReply, job: &Job) -> Option<CacheEvent> {
    match &job.task {
        Task::Restore(task) if !task.options.lookup_only => {
            let was_searched = !task.read.is_empty() && cache.counts();
            (cache.found.is_some() || was_searched).then(|| cache.restore_event())
        }
        Task::Save(_) => cache.save_event(),
        // The main phase counts what it confirms.
        Task::Restore(_) | Task::RestoreEarly(_) | Task::Guard | Task::Look => None,
    }
}

impl CacheReply {
    fn event(&self) -> CacheEvent {
        CacheEvent {
            kind: self.kind.to_string(),
            key: self.key.clone(),
            ..CacheEvent::default()
        }
    }

    /// What a restore did with the cache.
    pub(crate) fn restore_event(&self) -> CacheEvent {
        match &self.found {
            Some(found) => with_restore(self.event(), found),
            None => CacheEvent {
                hit: Some(LookupResult::Miss),
                ..self.event()
            },
        }
    }

    /// What a save did with the cache; `None` if it made no entry.
    pub(crate) fn save_event(&self) -> Option<CacheEvent> {
        match &self.saved {
            Some(SaveReply::Done {
                bytes,
                added_bytes,
                milliseconds,
                ..
            }) => Some(CacheEvent {
                saved_bytes: Some(*bytes),
                added_bytes: *added_bytes,
                save_milliseconds: *milliseconds,
                ..self.event()
            }),
            _ => None,
        }
    }
}

fn with_restore(event: CacheEvent, found: &FoundEntry) -> CacheEvent {
    CacheEvent {
        hit: Some(if found.exact {
            LookupResult::Exact
        } else {
            LookupResult::Prefix
        }),
        from_remote: found.from_remote,
        restored_files: found.files,
        restored_bytes: found.bytes,
        written_bytes: found.written_bytes.min(found.bytes),
        restore_milliseconds: found.milliseconds,
        ..event
    }
}

/// Appends events to the journal of the store below `root`. Returns false if there is no store: none
/// is created for its journal alone.
pub(crate) fn append_events<'e>(
    root: &Path,
    events: impl IntoIterator<Item = &'e Event>,
) -> Result<bool> {
    let Some(store) = Store::open(root)? else {
        return Ok(false);
    };
    let journal = store.create_journal()?;
    for event in events {
        let mode = store.modes().file;
        journal::append(&journal, event, mode, JournalLimits::default())?;
    }
    Ok(true)
}

/// The last `count` runs of the job up to this one, the latest last.
fn past_runs(root: &Path, count: usize, event: &Event) -> Vec<PastRun> {
    if count == 0 {
        return Vec::new();
    }
    let recent = recent_events(root).unwrap_or_default();
    let mut runs: Vec<PastRun> = Vec::new();
    for other in recent.events.iter().chain([event]) {
        let is_same_job = other.run.repository == event.run.repository
            && other.run.workflow == event.run.workflow
            && other.run.job == event.run.job
            && other.run.step == event.run.step;
        if let (true, Some(job_milliseconds)) = (is_same_job, other.job_milliseconds) {
            runs.push(PastRun {
                job_milliseconds,
                found: other.found,
                is_control: other.experiment == Some(Arm::Control),
            });
        }
    }
    runs.split_off(runs.len().saturating_sub(count))
}

fn recent_events(root: &Path) -> Result<JournalContents> {
    Store::open_journal(root)?.map_or_else(
        || Ok(JournalContents::default()),
        |journal| journal::read_recent(&journal, RECENT_BYTES),
    )
}
