//! Operations as values: a job and its reply, to be carried out in this process or in another one that sees the files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::paths::{Ground, PathList};
use super::{maintain, restore, save};
use crate::error::{Error, Result};
use crate::fs::files;
use crate::key::matching::Match;
use crate::monitor::{Monitor, Stage};
use crate::pattern::Base;
use crate::site::lossless;
use crate::store::Store;
use crate::store::entry::{EntryId, Group, Kind};
use crate::store::retention::Policy;
use crate::tree::plan::Extras;

/// What is to be done. All paths are as the steps of the job know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where the store is: absolute, or beginning with `~`.
    #[serde(with = "lossless")]
    pub cache_root: PathBuf,
    /// The checked-out repository.
    #[serde(with = "lossless")]
    pub workspace: PathBuf,
    /// The paths of the cache, one pattern each.
    pub paths: Vec<String>,
    /// The key.
    pub key: String,
    /// What to do.
    pub task: Task,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Restore.
    Restore(RestoreTask),
    /// Save, and clean.
    Save(SaveTask),
}

/// How to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTask {
    /// Scopes and refs to look in, in order.
    pub read: Vec<(String, String)>,
    /// Prefixes to try, in order.
    pub restore_keys: Vec<String>,
    /// Whether names that the entry does not have are removed.
    pub mirror: bool,
    /// Whether contents are compared with their digests.
    pub verify: bool,
    /// Only find the entry.
    pub lookup_only: bool,
    /// A name under which what was found is remembered for the save, where the runner forgets it.
    pub remember_as: Option<String>,
}

/// How to save.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveTask {
    /// The scope and ref to write to.
    pub write: (String, String),
    /// The entry that was restored.
    pub parent: Option<String>,
    /// The name under which the restore was remembered.
    pub remembered_as: Option<String>,
    /// How many entries of the group stay.
    pub keep: usize,
    /// The greatest size of the store in bytes.
    pub max_bytes: Option<u64>,
}

/// What came of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The entry that was found or restored.
    pub found: Option<Found>,
    /// What came of saving.
    pub saved: Option<Saved>,
    /// The key that was to be saved: another one than the job's where the restore of the step was remembered.
    pub key: Option<String>,
    /// Entries that were cleaned away, and bytes given back.
    pub cleaned: Option<(u64, u64)>,
    /// The disk and the store afterwards.
    pub disk: Option<Disk>,
    /// One line each.
    pub warnings: Vec<String>,
    /// Why the job failed, in one line.
    pub error: Option<String>,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its id.
    pub entry: String,
    /// Its key.
    pub key: String,
    /// Whether that is the key asked for.
    pub exact: bool,
    /// Files in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Files that were written; the others were right already.
    pub written_files: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
    /// How long restoring took.
    pub milliseconds: u64,
}

/// What came of saving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Saved {
    /// An entry was saved.
    Done {
        /// Files in it.
        files: u64,
        /// Bytes in it.
        bytes: u64,
        /// Bytes that it added to the store.
        added_bytes: u64,
        /// How long it took.
        milliseconds: u64,
    },
    /// The key had been restored exactly, or has an entry.
    Exists {
        /// Whether it had been restored.
        was_restored: bool,
    },
    /// Another process is saving the same key.
    InProgress,
    /// None of the paths exists.
    NothingThere,
}

/// The disk that the store is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Percent of it that is used, of what ordinary users may use.
    pub used_percent: u8,
    /// Bytes that are free for ordinary users.
    pub free_bytes: u64,
    /// Bytes that the store takes.
    pub store_bytes: u64,
}

/// What a restore leaves for the save of the same step, where the runner forgets what the main phase told it.
#[derive(Serialize, Deserialize)]
struct Memory {
    key: String,
    entry: Option<String>,
    exact: bool,
}

/// Carries out a job. Every failure is in the reply.
pub fn work(job: &Job, ground: &Ground<'_>, monitor: &dyn Monitor) -> Reply {
    let collector = Collector { inner: monitor, warnings: std::sync::Mutex::default() };
    let mut reply = Reply::default();
    let result = match &job.task {
        Task::Restore(task) => restore(job, task, ground, &collector, &mut reply),
        Task::Save(task) => save(job, task, ground, &collector, &mut reply),
    };
    reply.error = result.err().map(|error| error.line());
    reply.warnings = collector.warnings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    reply
}

fn list(job: &Job, ground: &Ground<'_>) -> Result<PathList> {
    let base = Base::new(&job.workspace, ground.home.unwrap_or(Path::new("")));
    PathList::parse(&job.paths, &base).map_err(|error| Error::invalid(error.to_string()))
}

fn group(area: &(String, String), paths: &PathList) -> Group {
    Group { scope: area.0.clone(), git_ref: area.1.clone(), kind: Kind::Path, paths: paths.identity() }
}

fn restore(
    job: &Job,
    task: &RestoreTask,
    ground: &Ground<'_>,
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let root = ground.locate(&job.cache_root)?;
    let paths = list(job, ground)?;
    let Some(store) = Store::open(&root)? else {
        if let Some(name) = &task.remember_as {
            remember(&Store::create(&root)?, name, &job.key, None)?;
        }
        reply.disk = disk(None, &root);
        return Ok(());
    };
    let groups: Vec<Group> = task.read.iter().map(|area| group(area, &paths)).collect();
    let request = restore::Request {
        groups: &groups,
        key: &job.key,
        restore_keys: &task.restore_keys,
        place: &|name| ground.locate_link(&paths.place(name)?),
        extras: extras(job, task, ground, &paths, monitor),
        verify: task.verify,
        lookup_only: task.lookup_only,
    };
    let found = restore::restore(&store, &request, monitor);
    if let (Some(name), Ok(found)) = (&task.remember_as, &found) {
        remember(&store, name, &job.key, found.as_ref())?;
    }
    reply.found = found?.map(|found| {
        let applied = found.applied.unwrap_or_default();
        Found {
            entry: found.id.to_string(),
            exact: found.matched == Match::Exact,
            files: found.entry.files,
            bytes: found.entry.bytes,
            key: found.entry.key,
            written_files: applied.files,
            written_bytes: applied.bytes,
            milliseconds: u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
        }
    });
    reply.disk = disk(Some(&store), &root);
    Ok(())
}

/// What happens to names that the entry does not have. Nothing is removed where that would take more with it than the
/// cached directories: the runner and its keys live below home, and what a `!` line leaves out is in no entry.
fn extras(
    job: &Job,
    task: &RestoreTask,
    ground: &Ground<'_>,
    paths: &PathList,
    monitor: &dyn Monitor,
) -> Extras {
    if !task.mirror {
        return Extras::Keep;
    }
    let precious =
        [(ground.home, "the home directory"), (job.workspace.parent(), "the directory of the workspace")];
    let held = precious.into_iter().find_map(|(path, what)| Some((paths.root_around(path?)?, what)));
    let danger = match held {
        Some((root, what)) => format!("{} holds {what}", root.display()),
        None if paths.has_exclusions() => "what the `!` lines leave out is in no entry".to_owned(),
        None => return Extras::Remove,
    };
    monitor
        .warn(&format!("{danger}, so nothing is removed there; name the directories to mirror one by one"));
    Extras::Keep
}

fn remember(store: &Store, name: &str, key: &str, found: Option<&restore::Restored>) -> Result<()> {
    let memory = Memory {
        key: key.to_owned(),
        entry: found.map(|found| found.id.to_string()),
        exact: found.is_some_and(|found| found.matched == Match::Exact),
    };
    let bytes = serde_json::to_vec(&memory).map_err(|error| Error::invalid(error.to_string()))?;
    store.remember(name, &bytes)
}

fn save(
    job: &Job,
    task: &SaveTask,
    ground: &Ground<'_>,
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let root = ground.locate(&job.cache_root)?;
    let paths = list(job, ground)?;
    let store = Store::create(&root)?;
    let memory = task.remembered_as.as_ref().and_then(|name| store.recall(name));
    let memory: Option<Memory> = memory.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let key = memory.as_ref().map_or(&job.key, |memory| &memory.key);
    reply.key = Some(key.clone());
    if memory.as_ref().is_some_and(|memory| memory.exact) {
        reply.saved = Some(Saved::Exists { was_restored: true });
    } else {
        let parent = memory.as_ref().and_then(|memory| memory.entry.as_ref()).or(task.parent.as_ref());
        let roots = paths.resolve(ground)?;
        let exclude = roots.exclude();
        let request = save::Request {
            group: &group(&task.write, &paths),
            key,
            places: &roots.places,
            exclude: exclude.as_ref().map(|exclude| exclude as &_),
            refresh: false,
            sources: None,
            parent: parent.and_then(|id| EntryId::parse(id)),
        };
        reply.saved = Some(shown(save::save(&store, &request, monitor)?));
    }
    clean(&store, task, &group(&task.write, &paths), monitor, reply)?;
    reply.disk = disk(Some(&store), &root);
    Ok(())
}

fn shown(outcome: save::Outcome) -> Saved {
    match outcome {
        save::Outcome::Saved(saved) => Saved::Done {
            files: saved.entry.files,
            bytes: saved.entry.bytes,
            added_bytes: saved.entry.added_bytes,
            milliseconds: u64::try_from(saved.took.as_millis()).unwrap_or(u64::MAX),
        },
        save::Outcome::Exists => Saved::Exists { was_restored: false },
        save::Outcome::InProgress => Saved::InProgress,
        save::Outcome::NothingThere => Saved::NothingThere,
    }
}

/// Removes entries beyond those kept, if nobody else uses the store; else a later job does.
fn clean(
    store: &Store,
    task: &SaveTask,
    group: &Group,
    monitor: &dyn Monitor,
    reply: &mut Reply,
) -> Result<()> {
    let policy = Policy {
        keep: std::collections::HashMap::from([(Kind::Path, task.keep)]),
        groups: Some(vec![group.id()]),
        max_age: None,
        max_bytes: task.max_bytes,
    };
    match maintain::prune(store, &policy, false, monitor) {
        Ok(pruned) => {
            let dropped =
                pruned.decisions.iter().filter(|(decision, _)| decision.drop.is_some()).count() as u64;
            let freed = pruned.collected.map_or(0, |collected| collected.bytes);
            reply.cleaned = (dropped > 0).then_some((dropped, freed));
            Ok(())
        }
        Err(Error::Busy { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Not to know it is no failure. Where there is no store yet, the disk is the one that it would be on.
fn disk(store: Option<&Store>, root: &Path) -> Option<Disk> {
    let space = root.ancestors().find_map(|directory| files::space(directory).ok())?;
    Some(Disk {
        used_percent: space.used_percent,
        free_bytes: space.free_bytes,
        store_bytes: store.map_or(Ok(0), Store::allocated).ok()?,
    })
}

/// Collects warnings for the reply.
struct Collector<'m> {
    inner: &'m dyn Monitor,
    warnings: std::sync::Mutex<Vec<String>>,
}

impl Monitor for Collector<'_> {
    fn begin(&self, stage: Stage, bytes: u64) {
        self.inner.begin(stage, bytes);
    }

    fn advance(&self, bytes: u64) {
        self.inner.advance(bytes);
    }

    fn warn(&self, message: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        warnings.push(message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }
}
