//! Operations as values: a job and its reply, to be carried out in this process or in another one
//! that sees the files.

pub mod cargo;
pub mod housekeeping;
pub mod paths;
pub mod reply;
pub mod request;

pub use cargo::import::adopt;
pub use cargo::request::{Cargo, WorkspaceLine};
pub use housekeeping::{Health, Past};
pub use paths::Paths;
pub use reply::{Cache, Disk, Found, Reply, Saved};
pub use request::{Job, Keep, Noted, RestoreTask, SaveTask, Subject, Task};

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::fs::volume;
use crate::monitor::{Monitor, Stage};
use crate::ops::path_list::Ground;
use crate::ops::prune as maintain;
use crate::store::Store;
use crate::store::entry::{Group, Kind};
use crate::store::retention::Policy;

/// Carries out a job. Every failure is in the reply.
pub fn work(job: &Job, ground: &Ground<'_>, monitor: &dyn Monitor) -> Reply {
    let collector = Collector {
        inner: monitor,
        warnings: Mutex::default(),
    };
    let mut reply = Reply::default();
    let begun = Instant::now();
    let has_room = housekeeping::before(job, ground, &collector, &mut reply);
    let result = match &job.task {
        Task::Save(_) if !has_room => Ok(()),
        Task::Guard => Ok(()),
        Task::Restore(task) => restore(job, task, ground, &collector, &mut reply),
        Task::Save(task) => save(job, task, ground, &collector, &mut reply),
    };
    reply.error = result.err().map(|error| error.line());
    housekeeping::after(job, ground, &collector, &mut reply, begun);
    reply.warnings = collector
        .warnings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    reply
}

/// Where a job is carried out.
pub(crate) struct At<'a> {
    job: &'a Job,
    ground: &'a Ground<'a>,
    monitor: &'a dyn Monitor,
}

fn restore(
    job: &Job,
    task: &RestoreTask,
    ground: &Ground<'_>,
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let root = ground.locate(&job.cache_root)?;
    let mut store = Store::open(&root)?;
    if store.is_none() && task.remember_as.is_some() {
        store = Some(Store::create(&root)?);
    }
    let at = At {
        job,
        ground,
        monitor,
    };
    match &job.subject {
        Subject::Paths(subject) => {
            reply
                .caches
                .push(paths::restore(&at, subject, task, store.as_ref())?)
        }
        Subject::Cargo(subject) => cargo::restore(&at, subject, task, store.as_ref(), reply)?,
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
    ground: &Ground<'_>,
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let root = ground.locate(&job.cache_root)?;
    let store = Store::create(&root)?;
    let remembered = task
        .remembered_as
        .as_ref()
        .and_then(|name| recall(&store, name));
    let noted = remembered.as_ref().unwrap_or(&task.noted);
    let at = At {
        job,
        ground,
        monitor,
    };
    let groups = match &job.subject {
        Subject::Paths(subject) => {
            let (cache, group) = paths::save(&at, subject, task, noted, &store)?;
            reply.caches.push(cache);
            vec![group]
        }
        Subject::Cargo(subject) => {
            cargo::save(&at, subject, task, noted, &store, &mut reply.caches)?
        }
    };
    clean(&store, task, &groups, monitor, reply)
}

/// Keeps what was found for a save that the runner tells nothing.
fn remember(store: &Store, name: &str, caches: &[Cache]) -> Result<()> {
    let noted: Vec<Noted> = caches.iter().map(Cache::noted).collect();
    let bytes = serde_json::to_vec(&noted).map_err(Error::defect)?;
    store.remember(name, &bytes)
}

fn recall(store: &Store, name: &str) -> Option<Vec<Noted>> {
    store
        .recall(name)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Removes entries beyond those kept, if nobody else uses the store; else a later job does.
fn clean(
    store: &Store,
    task: &SaveTask,
    groups: &[Group],
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let Keep {
        path,
        registry,
        git,
        target,
    } = task.keep;
    let keep = [
        (Kind::Path, path),
        (Kind::Registry, registry),
        (Kind::Git, git),
        (Kind::Target, target),
    ];
    let policy = Policy {
        keep: HashMap::from(keep),
        groups: Some(groups.iter().map(Group::id).collect()),
        max_bytes: task.max_bytes,
        ..Policy::default()
    };
    match maintain::prune(store, &policy, false, monitor) {
        Ok(pruned) => {
            let dropped = pruned
                .decisions
                .iter()
                .filter(|(decision, _)| decision.drop.is_some())
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
fn disk(store: Option<&Store>, root: &Path, known: Option<u64>) -> Option<Disk> {
    let volume = volume(root).ok()?;
    let add_up = || store.map_or(Ok(0), Store::allocated).ok();
    Some(Disk {
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
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }
}
