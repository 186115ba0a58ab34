//! Operations as values: a job and its reply, to be carried out in this process or in another one
//! that sees the files.

pub mod cargo;
pub mod housekeeping;
pub mod paths;
pub mod reply;
pub mod request;

pub use cargo::import::adopt;
pub use cargo::request::{CargoTarget, WorkspaceLine};
pub use housekeeping::{Housekeeping, Past};
pub use paths::PathsTarget;
pub use reply::{CacheReply, FoundEntry, JobReply, SaveReply};
pub use request::{Job, JobTarget, KeepCounts, RestoreRecord, RestoreTask, SaveTask, Task};

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::fs::Namespace;
use crate::fs::volume;
use crate::monitor::{Monitor, Stage};
use crate::ops::prune as maintain;
use crate::stats::event::DiskState;
use crate::store::Store;
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheKind, EntryGroup};
use crate::workers;

/// Carries out a job. Every failure is in the reply.
pub fn work(job: &Job, namespace: &dyn Namespace, monitor: &dyn Monitor) -> JobReply {
    let collector = Collector {
        inner: monitor,
        warnings: Mutex::default(),
    };
    let mut reply = JobReply::default();
    let begun = Instant::now();
    let has_room = housekeeping::before(job, namespace, &collector, &mut reply);
    let result = match &job.task {
        Task::Save(_) if !has_room => Ok(()),
        Task::Guard => Ok(()),
        Task::Restore(task) => restore(job, task, namespace, &collector, &mut reply),
        Task::Save(task) => save(job, task, namespace, &collector, &mut reply),
    };
    reply.error = result.err().map(|error| error.with_advice());
    housekeeping::after(job, namespace, &collector, &mut reply, begun);
    reply.warnings = workers::into_inner(collector.warnings);
    reply
}

/// Where a job is carried out.
pub(crate) struct JobContext<'a> {
    job: &'a Job,
    namespace: &'a dyn Namespace,
    monitor: &'a dyn Monitor,
}

fn restore(
    job: &Job,
    task: &RestoreTask,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    reply: &mut JobReply,
) -> Result<()> {
    let root = namespace.locate(&job.cache_root)?;
    let mut store = Store::open(&root)?;
    if store.is_none() && task.remember_as.is_some() {
        store = Some(Store::create(&root)?);
    }
    let at = JobContext {
        job,
        namespace,
        monitor,
    };
    match &job.subject {
        JobTarget::Paths(subject) => {
            reply
                .caches
                .push(paths::restore(&at, subject, task, store.as_ref())?)
        }
        JobTarget::Cargo(subject) => cargo::restore(&at, subject, task, store.as_ref(), reply)?,
    }
    if let (Some(name), Some(store)) = (&task.remember_as, &store) {
        remember(store, name, &reply.caches)?;
    }
    reply.disk = disk(store.as_ref(), &root, None);
    Ok(())
}

fn save(
    job: &Job,
    task: &SaveTask,
    namespace: &dyn Namespace,
    monitor: &dyn Monitor,
    reply: &mut JobReply,
) -> Result<()> {
    let root = namespace.locate(&job.cache_root)?;
    let store = Store::create(&root)?;
    let remembered = task
        .remembered_as
        .as_ref()
        .and_then(|name| recall(&store, name));
    let noted = remembered.as_ref().unwrap_or(&task.noted);
    let at = JobContext {
        job,
        namespace,
        monitor,
    };
    let groups = match &job.subject {
        JobTarget::Paths(subject) => {
            let (cache, group) = paths::save(&at, subject, task, noted, &store)?;
            reply.caches.push(cache);
            vec![group]
        }
        JobTarget::Cargo(subject) => {
            cargo::save(&at, subject, task, noted, &store, &mut reply.caches)?
        }
    };
    clean(&store, task, &groups, monitor, reply)
}

/// Keeps what was found for a save that the runner tells nothing.
fn remember(store: &Store, name: &str, caches: &[CacheReply]) -> Result<()> {
    let noted: Vec<RestoreRecord> = caches.iter().map(CacheReply::noted).collect();
    let bytes = serde_json::to_vec(&noted).map_err(Error::defect)?;
    store.put_job_state(name, &bytes)
}

fn recall(store: &Store, name: &str) -> Option<Vec<RestoreRecord>> {
    store
        .take_job_state(name)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Removes entries beyond those kept, if nobody else uses the store; else a later job does.
fn clean(
    store: &Store,
    task: &SaveTask,
    groups: &[EntryGroup],
    monitor: &dyn Monitor,
    reply: &mut JobReply,
) -> Result<()> {
    let KeepCounts {
        path,
        registry,
        git,
        target,
    } = task.keep;
    let keep = [
        (CacheKind::Path, path),
        (CacheKind::Registry, registry),
        (CacheKind::Git, git),
        (CacheKind::Target, target),
    ];
    let policy = RetentionPolicy {
        keep: HashMap::from(keep),
        groups: Some(groups.iter().map(EntryGroup::id).collect()),
        max_bytes: task.max_bytes,
        ..RetentionPolicy::default()
    };
    match maintain::prune(store, &policy, false, monitor) {
        Ok(pruned) => {
            let dropped = pruned
                .decisions
                .iter()
                .filter(|(decision, _)| decision.evict.is_some())
                .count() as u64;
            let freed = pruned.collected.map_or(0, |collected| collected.bytes);
            reply.cleaned = (dropped > 0).then_some((dropped, freed));
            Ok(())
        }
        Err(Error::Busy { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Not to know it is no failure. Where there is no store yet, the disk is the one that it would be
/// on. Adding up a store takes a while, so what it takes may be given where it is known.
fn disk(store: Option<&Store>, root: &Path, known: Option<u64>) -> Option<DiskState> {
    let volume = volume(root).ok()?;
    let add_up = || store.map_or(Ok(0), Store::allocated_bytes).ok();
    Some(DiskState {
        used_percent: volume.used_percent(),
        free_bytes: volume.free_bytes,
        store_bytes: known.or_else(add_up)?,
    })
}

/// Collects warnings for the reply.
struct Collector<'m> {
    inner: &'m dyn Monitor,
    warnings: Mutex<Vec<String>>,
}

impl Monitor for Collector<'_> {
    fn begin(&self, stage: Stage, bytes: u64) {
        self.inner.begin(stage, bytes);
    }

    fn advance(&self, bytes: u64) {
        self.inner.advance(bytes);
    }

    fn warn(&self, message: &str) {
        let mut warnings = workers::lock(&self.warnings);
        warnings.push(message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }
}
