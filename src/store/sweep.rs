//! Removing files of the store, one by one, for garbage collection.
//!
//! A file that can't be removed or read costs space and nothing else. So garbage collection goes on
//! with the others, and says at the end what was left.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use super::derived::MANY;
use super::garbage::LEFT_AFTER;
use super::open::Store;
use crate::error::{Error, Result};
use crate::fs::{FileKind, Stat, Timestamp, effective_uid, is_temp_name};
use crate::monitor::Monitor;

const DAY: i64 = 86_400;
/// Seconds until damaged entries are removed. Until then they can be inspected.
const QUARANTINE_AGE: i64 = 7 * DAY;
/// Seconds until the state of a job is removed: GitHub's longest job on a self-hosted runner.
const JOB_STATE_AGE: i64 = 5 * DAY;

/// What one garbage collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Files removed from the store.
    pub files: u64,
    pub rewritten: u64,
    /// Entries that were found to be damaged.
    pub quarantined: u64,
    pub bytes: u64,
}

/// One garbage collection: what it removed, and what it could not.
pub(super) struct Sweep<'s> {
    store: &'s Store,
    pub(super) stats: GcStats,
    failed: u64,
    /// The first failure.
    failure: Option<Error>,
}

impl<'s> Sweep<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        Self {
            store,
            stats: GcStats::default(),
            failed: 0,
            failure: None,
        }
    }

    /// Says what could not be removed.
    pub(super) fn finish(self, monitor: &dyn Monitor) -> GcStats {
        if let Some(error) = self.failure {
            let more = match self.failed {
                1 => String::new(),
                failed => format!(" (and {} more)", failed - 1),
            };
            monitor.warn(&format!("{error}{more}; its space stays in use"));
        }
        self.stats
    }

    /// Notes an error of a file of the store. Returns all others.
    pub(super) fn go_on(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if self.store.is_unreadable(&error) => {
                self.failed += 1;
                self.failure.get_or_insert(error);
                Ok(())
            }
            other => other,
        }
    }

    /// Removes a file or symlink in the place of a directory that is created when it is needed.
    pub(super) fn clear_place_of(&mut self, dir: &Path) -> Result<()> {
        match self.store.dir.stat(dir) {
            Ok(Some(stat)) if stat.kind != FileKind::Directory => self.remove(dir),
            // Reading the directory reports the error.
            _ => Ok(()),
        }
    }

    /// Removes the files of a directory for which `retain` is false.
    pub(super) fn sweep(&mut self, dir: &Path, retain: impl Fn(&OsStr) -> bool) -> Result<()> {
        self.clear_place_of(dir)?;
        let names = match self.store.dir.list(dir) {
            Err(error) => return self.go_on(Err(error)),
            Ok(names) => names,
        };
        names
            .iter()
            .filter(|name| !retain(name))
            .try_for_each(|name| self.remove(&dir.join(name)))
    }

    /// Removes the files of a directory that did not change for `max_age` seconds.
    pub(super) fn sweep_old(&mut self, dir: &Path, max_age: i64) -> Result<()> {
        let store = self.store;
        self.sweep(dir, |name| {
            age_of(store, &dir.join(name), |stat| stat.ctime) < max_age
        })
    }

    /// Whether everything could be removed so far.
    pub(super) fn is_complete(&self) -> bool {
        self.failure.is_none()
    }

    /// Removes derived files that are not read, because they are about few entries or packs.
    pub(super) fn derived(&mut self) -> Result<()> {
        let Store { dir, layout, .. } = self.store;
        let mut entries: HashMap<String, usize> = HashMap::new();
        for id in self.store.entry_ids(None)? {
            *entries.entry(id.group().to_owned()).or_default() += 1;
        }
        let is_read = |name: &OsStr| name.to_str().and_then(|name| entries.get(name)) > Some(&MANY);
        self.sweep(&layout.keys_dir(), is_read)?;
        if self.store.pack_ids()?.len() <= MANY {
            // Somebody may have put a directory in the place of the file.
            self.go_on(dir.remove_tree(&layout.pack_contents()))?;
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<()> {
        let removed = self.try_remove(path);
        self.go_on(removed)
    }

    fn try_remove(&mut self, path: &Path) -> Result<()> {
        let bytes = self.store.allocated(path);
        // Somebody may have put a directory in the place of the file.
        self.store.dir.remove_tree(path)?;
        self.stats.files += 1;
        self.stats.bytes += bytes;
        Ok(())
    }

    /// Removes files that entries never refer to: lock files, files of killed processes, and old
    /// files of `quarantine` and of jobs.
    pub(super) fn leftovers(&mut self) -> Result<()> {
        let layout = &self.store.layout;
        // These two stay: this process holds or held them, and a new file of that name would not be
        // locked.
        self.sweep(&layout.locks(), |name| name == "store" || name == "turn")?;
        self.sweep_old(&layout.quarantine(), QUARANTINE_AGE)?;
        self.sweep_old(&layout.job_states(), JOB_STATE_AGE)?;
        self.temporary_names()?;
        self.unfinished()
    }

    /// Directories and the journal are created under temporary names outside of `tmp`, without a
    /// lock. An old one was left by a killed process.
    fn temporary_names(&mut self) -> Result<()> {
        let store = self.store;
        for dir in [store.layout.root(), &store.layout.events()] {
            let age = |name: &OsStr| age_of(store, &dir.join(name), |stat| stat.mtime);
            self.sweep(dir, |name| {
                !is_temp_name(name.as_encoded_bytes()) || age(name) <= LEFT_AFTER
            })?;
        }
        Ok(())
    }

    /// Every process that writes to `tmp` holds `locks/store`, so processes that were killed left
    /// these files.
    fn unfinished(&mut self) -> Result<()> {
        let tmp = self.store.layout.tmp();
        let names = match self.store.dir.list(&tmp) {
            Err(error) => return self.go_on(Err(error)),
            Ok(names) => names,
        };
        for name in names {
            let path = tmp.join(name);
            let removed = self.store.dir.remove_tree(&path);
            if removed.is_err() && self.belongs_to_another(&path) {
                // A ready copy that its owner began to remove, in a shared store. It has the modes
                // of a job's directory, so only its owner can remove it, and will.
                continue;
            }
            self.go_on(removed)?;
        }
        Ok(())
    }

    fn belongs_to_another(&self, path: &Path) -> bool {
        let found = self.store.dir.stat(path).ok().flatten();
        found.is_some_and(|stat| stat.uid != effective_uid())
    }
}

/// Seconds since a time of a file. Zero if the file is gone or can't be looked at.
fn age_of(store: &Store, path: &Path, time: impl Fn(Stat) -> Timestamp) -> i64 {
    let found = store.dir.stat(path).ok().flatten();
    found.map_or(0, |stat| {
        Timestamp::now().seconds.saturating_sub(time(stat).seconds)
    })
}
