//! What a save may take over from the restore of the same job (pure).

use std::collections::HashMap;
use std::path::Path;

use super::contents::FileState;
use super::note::LastRestore;
use crate::fs::{Stat, Timestamp};

/// The files whose modification times the restore set, which gave them later ctimes.
pub(super) struct Given<'r>(HashMap<&'r Path, Timestamp>);

impl<'r> Given<'r> {
    pub(super) fn new(restored: &'r LastRestore) -> Self {
        let given = restored.note.iter().flat_map(|note| &note.given);
        Self(given.map(|(name, ctime)| (&**name, *ctime)).collect())
    }

    /// When a file changed, apart from what the restore did to it.
    pub(super) fn changed(&self, name: &Path, stat: &Stat, changed: Timestamp) -> Timestamp {
        if self.0.get(name) == Some(&stat.ctime) {
            stat.mtime
        } else {
            changed
        }
    }
}

/// The states that the restore found, for what did not change since.
pub(super) struct KnownStates<'r> {
    since: Option<Timestamp>,
    states: HashMap<&'r Path, FileState>,
}

impl<'r> KnownStates<'r> {
    pub(super) fn new(restored: &'r LastRestore) -> Self {
        let since = restored.note.as_ref().map(|note| note.time);
        let mut states = HashMap::new();
        if let (Some(record), Some(note)) = (&restored.record, &restored.note) {
            states.extend(record.files.iter().map(|file| (&*file.path, file.state)));
            for number in &note.different {
                if let Some(file) = record.files.get(number.index()) {
                    states.remove(&*file.path);
                }
            }
        }
        Self { since, states }
    }
}

impl KnownStates<'_> {
    /// The state of a path, if it did not change since the restore.
    pub(super) fn get(&self, name: &Path, changed: Timestamp) -> Option<FileState> {
        let is_unchanged = self.since.is_some_and(|since| changed < since);
        self.states.get(name).copied().filter(|_| is_unchanged)
    }
}
