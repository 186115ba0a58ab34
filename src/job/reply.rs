//! What comes of a job.

use serde::{Deserialize, Serialize};

use crate::cargo::key::template::KeyTemplate;
use crate::cargo::mtimes::replay::ReplayStats;
use crate::job::{Past, RestoreRecord};
use crate::ops::free_space::GuardReport;
use crate::ops::{restore, save};
use crate::stats::event::{DiskState, Event};
use crate::store::CacheKind;
use crate::store::key_match::KeyMatch;

/// What came of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReply {
    /// What came of each cache.
    pub caches: Vec<CacheReply>,
    /// What came of giving sources their times back.
    pub given_back: Option<ReplayStats>,
    /// Entries that were cleaned away, and bytes given back.
    pub cleaned: Option<(u64, u64)>,
    /// The disk and the store afterwards.
    pub disk: Option<DiskState>,
    /// What the guard of the disk found and did.
    pub guarded: Option<GuardReport>,
    /// Earlier runs of the job and this one, the latest last.
    pub past: Vec<Past>,
    /// What would have been recorded of the phase, where there is no store to record it in.
    pub unrecorded: Option<Event>,
    /// One line each.
    pub warnings: Vec<String>,
    /// Why the job failed, in one line.
    pub error: Option<String>,
}

/// What came of one cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheReply {
    /// What tells it from the others of the job, for people and for the save.
    pub name: String,
    /// Its kind.
    pub kind: CacheKind,
    /// The key that was looked for, or that was to be saved.
    pub key: String,
    /// The entry that was found or restored.
    pub found: Option<FoundEntry>,
    /// What came of saving.
    pub saved: Option<SaveReply>,
    /// Why it failed, in one line; the others went on.
    pub error: Option<String>,
    /// How the key is made again for another compiler, where the compiler is in it.
    pub recipe: Option<KeyTemplate>,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEntry {
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
    /// Directories that a rename put back.
    pub ready: u32,
    /// How long restoring took.
    pub milliseconds: u64,
}

/// What came of saving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaveReply {
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
    /// The entry of the key holds just what is there.
    Unchanged,
    /// Another process is saving the same key.
    InProgress,
    /// None of the paths exists.
    NothingThere,
}

impl CacheReply {
    pub(crate) fn new(name: impl Into<String>, kind: CacheKind, key: &str) -> Self {
        let (name, key) = (name.into(), key.to_owned());
        Self {
            name,
            kind,
            key,
            found: None,
            saved: None,
            error: None,
            recipe: None,
        }
    }

    /// What the save of the same step needs to know of what was restored.
    pub fn noted(&self) -> RestoreRecord {
        let found = self.found.as_ref();
        RestoreRecord {
            cache: self.name.clone(),
            key: self.key.clone(),
            entry: found.map(|found| found.entry.clone()),
            exact: found.is_some_and(|found| found.exact),
            recipe: self.recipe.clone(),
        }
    }
}

impl From<restore::RestoredEntry> for FoundEntry {
    fn from(found: restore::RestoredEntry) -> Self {
        let applied = found.applied.unwrap_or_default();
        Self {
            entry: found.id.to_string(),
            exact: found.matched == KeyMatch::Exact,
            files: found.entry.files,
            bytes: found.entry.bytes,
            key: found.entry.key,
            written_files: applied.files,
            written_bytes: applied.bytes,
            ready: found.ready,
            milliseconds: u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<save::SaveOutcome> for SaveReply {
    fn from(outcome: save::SaveOutcome) -> Self {
        match outcome {
            save::SaveOutcome::Saved(saved) => Self::Done {
                files: saved.entry.files,
                bytes: saved.entry.bytes,
                added_bytes: saved.entry.added_bytes,
                milliseconds: u64::try_from(saved.took.as_millis()).unwrap_or(u64::MAX),
            },
            save::SaveOutcome::Exists => Self::Exists {
                was_restored: false,
            },
            save::SaveOutcome::Unchanged => Self::Unchanged,
            save::SaveOutcome::InProgress => Self::InProgress,
            save::SaveOutcome::NothingThere => Self::NothingThere,
        }
    }
}
