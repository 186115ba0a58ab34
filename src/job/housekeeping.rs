//! What a job does besides its task: it guards the disk, and leaves a line in the journal.
//!
//! Neither may spoil the task: what goes wrong with them is a warning, or nothing.
//!
//! The journal is in the store, and the first job of a runner finds none. What it would have
//! recorded is handed back, and its last phase, which makes the store when there is something to
//! save, brings it along.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fs::Namespace;
use crate::job::reply::{CacheReply, FoundEntry, JobReply, SaveReply};
use crate::job::{Job, Task};
use crate::monitor::Monitor;
use crate::ops::free_space as guard;
use crate::ops::free_space::{GuardPolicy, GuardReport};
use crate::stats::event as events;
use crate::stats::event::{DiskState, Event, LookupResult, Phase};
use crate::stats::journal;
use crate::stats::journal::JournalLimits;
use crate::store::Store;
use crate::store::disk_limits::DiskLimits;

/// What is done besides the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Housekeeping {
    /// How the disk is guarded: before a save and after it, and where that is all there is to do.
    pub guard: Option<GuardPolicy>,
    /// What is known of the phase; the rest is filled in, and the event recorded.
    pub event: Option<Event>,
    /// Events of earlier phases of the step that found no store to be recorded in.
    pub earlier: Vec<Event>,
    /// When the first phase of the step began, in milliseconds since the epoch.
    pub started: Option<i64>,
    /// How many earlier runs of the job are asked for.
    pub past: usize,
}

/// An earlier run of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// How long it took from the first phase of the step to the last.
    pub job_milliseconds: u64,
    /// What the step had found.
    pub found: Option<LookupResult>,
}

/// What of the journal is read for the earlier runs, in bytes: some thousand phases.
const RECENT: u64 = 1 << 20;

/// Before the task. False when there is no room for what is to be saved.
pub(crate) fn before(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    reply: &mut JobReply,
) -> bool {
    if !matches!(job.task, Task::Guard | Task::Save(_)) {
        return true;
    }
    // How large the store may be is looked at after a save.
    let save = matches!(job.task, Task::Save(_));
    reply.guarded = guarded(job, namespace, monitor, |limits| DiskLimits {
        store_bytes: limits.store_bytes.filter(|_| !save),
        ..limits
    });
    reply
        .guarded
        .as_ref()
        .is_none_or(|guarded| guarded.may_save)
}

/// After the task.
pub(crate) fn after(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    reply: &mut JobReply,
    begun: Instant,
) {
    if matches!(job.task, Task::Save(_))
        && let Some(last) = guarded(job, namespace, monitor, |limits| limits)
    {
        join(reply, last);
    }
    let Ok(root) = namespace.locate(&job.cache_root) else {
        return;
    };
    if matches!(job.task, Task::Guard | Task::Save(_)) {
        // The guard may have changed what the task saw.
        reply.disk = disk_after(&root, job, reply);
    }
    if let Some(event) = &job.health.event {
        let event = filled(event, job, reply, begun);
        reply.past = past(&root, job, &event);
        match record(&root, job.health.earlier.iter().chain([&event])) {
            Ok(false) => reply.unrecorded = Some(event),
            // What is wrong with the store is said once.
            Err(error) if reply.error.is_none() => {
                monitor.warn(&format!(
                    "the journal of the store could not be written: {}",
                    error.with_advice()
                ));
            }
            Ok(true) | Err(_) => {}
        }
    }
}

fn guarded(
    job: &Job,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    limits: impl Fn(DiskLimits) -> DiskLimits,
) -> Option<GuardReport> {
    let wanted = job.health.guard.as_ref()?;
    let wanted = &GuardPolicy {
        limits: limits(wanted.limits),
        ..wanted.clone()
    };
    if wanted.limits.are_unset() {
        return None;
    }
    let workspace = namespace.locate(&job.workspace).ok();
    let guarded = namespace
        .locate(&job.cache_root)
        .and_then(|root| guard::guard(&root, workspace.as_deref(), wanted, monitor));
    guarded
        .map_err(|error| {
            monitor.warn(&format!(
                "the disk could not be guarded: {}",
                error.with_advice()
            ))
        })
        .ok()
}

/// Puts what the guard did before and after a save together.
fn join(reply: &mut JobReply, last: GuardReport) {
    let Some(first) = &mut reply.guarded else {
        reply.guarded = Some(last);
        return;
    };
    first.after = last.after;
    first.removed.extend(last.removed);
    first.freed_bytes += last.freed_bytes;
    first.store_bytes = last.store_bytes;
    for notice in last.notices {
        let is_said = |said: &guard::DiskNotice| {
            std::mem::discriminant(said) == std::mem::discriminant(&notice)
        };
        if !first.notices.iter().any(is_said) {
            first.notices.push(notice);
        }
    }
}

/// The phase before all others is not to cost the time that adding up the store takes, nor is any
/// to do it again.
fn disk_after(root: &Path, job: &Job, reply: &JobReply) -> Option<DiskState> {
    let is_first = job
        .health
        .event
        .as_ref()
        .is_some_and(|event| event.phase == Phase::Pre);
    let known = reply
        .guarded
        .as_ref()
        .and_then(|guarded| guarded.store_bytes);
    if is_first && known.is_none() {
        return None;
    }
    crate::job::disk(Store::open(root).ok()?.as_ref(), root, known)
}

fn filled(event: &Event, job: &Job, reply: &JobReply, begun: Instant) -> Event {
    let now = events::now();
    let guarded = reply.guarded.as_ref();
    let (cleaned, freed) = reply.cleaned.unwrap_or_default();
    Event {
        time: now,
        caches: reply
            .caches
            .iter()
            .filter_map(|cache| of_cache(cache, job))
            .collect(),
        disk: reply.disk,
        removed_entries: cleaned + guarded.map_or(0, |guarded| guarded.removed.len() as u64),
        freed_bytes: freed + guarded.map_or(0, |guarded| guarded.freed_bytes),
        milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        // A clock that was set back meanwhile says nothing of a duration.
        job_milliseconds: job
            .health
            .started
            .and_then(|started| u64::try_from(now.saturating_sub(started)).ok()),
        error: reply
            .error
            .clone()
            .or_else(|| reply.caches.iter().find_map(|cache| cache.error.clone())),
        ..event.clone()
    }
}

/// What is recorded of a cache; none where nothing was asked of it.
fn of_cache(cache: &CacheReply, job: &Job) -> Option<events::CacheEvent> {
    let mut recorded = events::CacheEvent {
        kind: cache.kind.to_string(),
        key: cache.key.clone(),
        ..events::CacheEvent::default()
    };
    match (&job.task, &cache.found, &cache.saved) {
        (Task::Restore(task), Some(found), _) if !task.lookup_only => {
            let FoundEntry {
                exact,
                files,
                bytes,
                written_bytes,
                milliseconds,
                ..
            } = found;
            recorded.hit = Some(if *exact {
                LookupResult::Exact
            } else {
                LookupResult::Prefix
            });
            recorded.restored_files = *files;
            recorded.restored_bytes = *bytes;
            recorded.written_bytes = (*written_bytes).min(*bytes);
            recorded.restore_milliseconds = *milliseconds;
        }
        // Programs are not put back where there are some, which is no miss.
        (Task::Restore(task), None, _)
            if !task.read.is_empty() && !task.lookup_only && cache.name != "bin" =>
        {
            recorded.hit = Some(LookupResult::Miss);
        }
        (
            Task::Save(_),
            _,
            Some(SaveReply::Done {
                bytes,
                added_bytes,
                milliseconds,
                ..
            }),
        ) => {
            recorded.saved_bytes = Some(*bytes);
            recorded.added_bytes = *added_bytes;
            recorded.save_milliseconds = *milliseconds;
        }
        _ => return None,
    }
    Some(recorded)
}

/// Appends events to the journal. False where there is no store: none is made for its journal
/// alone.
fn record<'e>(root: &Path, events: impl Iterator<Item = &'e Event>) -> Result<bool> {
    let Some(store) = Store::open(root)? else {
        return Ok(false);
    };
    let (dir, modes) = (store.layout().events(), store.modes());
    for event in events {
        journal::append(
            &dir,
            event,
            (modes.directory, modes.file),
            JournalLimits::default(),
        )?;
    }
    Ok(true)
}

/// The last runs of the job before this one, the latest last.
fn past(root: &Path, job: &Job, event: &Event) -> Vec<Past> {
    if job.health.past == 0 {
        return Vec::new();
    }
    let dir = crate::store::layout::Layout::new(root).events();
    let recent = journal::read_recent(&dir, RECENT).unwrap_or_default();
    let is_same = |other: &&Event| {
        let (one, other) = (&event.run, &other.run);
        (&one.repository, &one.workflow, &one.job, &one.step)
            == (&other.repository, &other.workflow, &other.job, &other.step)
    };
    let runs: Vec<Past> = recent
        .events
        .iter()
        .chain([event])
        .filter(is_same)
        .filter_map(|event| {
            Some(Past {
                job_milliseconds: event.job_milliseconds?,
                found: event.found,
            })
        })
        .collect();
    runs[runs.len().saturating_sub(job.health.past)..].to_vec()
}
