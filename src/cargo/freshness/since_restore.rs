//! What a save may take over from the restore of the same job (pure).

use std::collections::HashMap;
use std::path::Path;

use super::contents::FileState;
use super::note::LastRestore;
use super::paths::FoundInput;
use super::record::RecordedFile;
use crate::fs::{FileKind, Stat, Timestamp};

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
    /// By path, and by whether it is the state of a symlink itself.
    states: HashMap<(&'r Path, bool), FileState>,
}

impl<'r> KnownStates<'r> {
    pub(super) fn new(restored: &'r LastRestore) -> Self {
        let since = restored.note.as_ref().map(|note| note.time);
        let mut states = HashMap::new();
        if let (Some(record), Some(note)) = (&restored.record, &restored.note) {
            let key = |file: &'r RecordedFile| (&*file.path, file.state.is_link());
            states.extend(record.files.iter().map(|file| (key(file), file.state)));
            for number in &note.different {
                if let Some(file) = record.files.get(number.index()) {
                    states.remove(&key(file));
                }
            }
        }
        Self { since, states }
    }
}

impl KnownStates<'_> {
    /// The state of a path, or of a symlink itself, if it did not change since the restore.
    pub(super) fn get(&self, name: &Path, path: &FoundInput) -> Option<FileState> {
        let is_unchanged = self.since.is_some_and(|since| path.changed < since);
        let is_link = path.stat.kind == FileKind::Symlink;
        let state = self.states.get(&(name, is_link)).copied();
        state.filter(|_| is_unchanged)
    }
}
