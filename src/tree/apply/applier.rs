//! What all threads of a restore share, and how they open directories.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::Batch;
use super::counts::Counts;
use crate::error::{Error, Result};
use crate::fs::{Dir, Reflinker, TempName, Timestamp, set_mode};
use crate::monitor::Monitor;
use crate::tree::cursor::{Cursor, OpenDir};
use crate::tree::manifest::Manifest;
use crate::tree::model::{DirId, LeafId, Tree};
use crate::tree::plan::{DirTask, Plan};
use crate::tree::roots::Roots;
use crate::tree::stamp::InodeState;
use crate::workers;

/// How to carry out a plan.
#[derive(Clone, Copy)]
pub struct ApplyOptions<'a> {
    /// Compare contents with their digests while writing them.
    pub verify: bool,
    pub source: &'a dyn ContentSource,
    pub monitor: &'a dyn Monitor,
}

/// Where the contents of files come from: a store.
pub trait ContentSource: Sync {
    /// Where the contents of leaves are.
    fn locate(&self, manifest: &Manifest, leaves: &[LeafId]) -> Result<Vec<Batch>>;

    /// Opens a file that a batch names.
    fn open(&self, path: &Path) -> Result<File>;
}

/// The state of a restore, shared by its threads.
pub(super) struct Applier<'a> {
    manifest: &'a Manifest,
    pub(super) tree: &'a Tree,
    pub(super) plan: Cow<'a, Plan>,
    pub(super) roots: &'a Roots,
    pub(super) options: ApplyOptions<'a>,
    /// The names under which missing directories are built.
    pub(super) temp_names: HashMap<DirId, TempName>,
    /// For each directory, whether it was created already.
    created: Vec<AtomicBool>,
    pub(super) reflinker: Reflinker,
    pub(super) counts: Counts,
    /// Before any file was read, by the clock that gives files their times.
    pub(super) started: Timestamp,
    /// The states of the files that were written, or read and found right.
    states: Mutex<Vec<(LeafId, InodeState)>>,
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        plan: &'a Plan,
        roots: &'a Roots,
        options: ApplyOptions<'a>,
    ) -> Self {
        let tasks = (0..).map(DirId).zip(&plan.dirs);
        let to_create = tasks.filter(|(_, task)| **task == DirTask::Create);
        Self {
            manifest,
            tree: &manifest.tree,
            plan: Cow::Borrowed(plan),
            roots,
            options,
            temp_names: to_create.map(|(dir, _)| (dir, TempName::new())).collect(),
            created: plan.dirs.iter().map(|_| AtomicBool::new(false)).collect(),
            reflinker: Reflinker::default(),
            counts: Counts::default(),
            started: Timestamp::file_clock_now(),
            states: Mutex::default(),
        }
    }

    /// Where the contents of leaves are.
    pub(super) fn locate(&self, leaves: &[LeafId]) -> Result<Vec<Batch>> {
        self.options.source.locate(self.manifest, leaves)
    }

    /// Keeps the state of a file that matches the manifest, for its stamp.
    pub(super) fn keep_state(&self, leaf: LeafId, state: Option<InodeState>) {
        if let Some(state) = state {
            workers::lock(&self.states).push((leaf, state));
        }
    }

    /// Replaces the kept states of some leaves by what `update` returns.
    pub(super) fn update_states(
        &self,
        leaves: &HashSet<LeafId>,
        mut update: impl FnMut(LeafId, InodeState) -> Result<Option<InodeState>>,
    ) -> Result<()> {
        let mut states = workers::lock(&self.states);
        for (leaf, state) in std::mem::take(&mut *states) {
            let updated = if leaves.contains(&leaf) {
                update(leaf, state)?
            } else {
                Some(state)
            };
            states.extend(updated.map(|state| (leaf, state)));
        }
        Ok(())
    }

    pub(super) fn into_states(self) -> Vec<(LeafId, InodeState)> {
        workers::into_inner(self.states)
    }

    /// Fails if the monitor asks to stop.
    pub(super) fn check_interrupted(&self) -> Result<()> {
        if self.options.monitor.is_interrupted() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// A cursor that creates missing directories.
    pub(super) fn cursor(&self) -> Cursor<'_, CreateMissing<'_, 'a>> {
        Cursor::with_opener(self.tree, self.roots, CreateMissing(self))
    }

    pub(super) fn task(&self, dir: DirId) -> DirTask {
        self.plan.dirs[dir.index()]
    }

    pub(super) fn leaf_path(&self, leaf: LeafId) -> PathBuf {
        self.roots.leaf_path(self.tree, leaf)
    }

    pub(super) fn dir_path(&self, dir: DirId) -> PathBuf {
        self.roots.dir_path(self.tree, dir)
    }
}

/// Opens directories and creates the missing ones.
pub(super) struct CreateMissing<'j, 'a>(&'j Applier<'a>);

impl OpenDir for CreateMissing<'_, '_> {
    fn open(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir> {
        match self.0.task(dir) {
            DirTask::Leave => parent.open_dir(name),
            DirTask::Update { .. } => {
                let opened = parent.open_dir(name)?;
                let mode = opened.stat()?.mode;
                // Names in it will change. Its final mode is set at the end.
                if mode & 0o300 != 0o300 {
                    set_mode(&opened, mode | 0o700)?;
                }
                Ok(opened)
            }
            DirTask::Create => {
                let temp = self.0.temp_names.get(&dir);
                self.create(parent, temp.map_or(name, TempName::as_bytes), dir)
            }
            DirTask::CreateBelow => self.create(parent, name, dir),
        }
    }
}

impl CreateMissing<'_, '_> {
    fn create(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir> {
        let created = &self.0.created[dir.index()];
        // `Relaxed` suffices: the flag only saves a call. A thread that does not see it yet gets
        // EEXIST.
        if !created.load(Ordering::Relaxed) {
            match parent.create_dir(name) {
                Ok(()) => self.0.counts.directories.add(1),
                // Another thread created it just now.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            created.store(true, Ordering::Relaxed);
        }
        parent.open_dir(name)
    }
}
