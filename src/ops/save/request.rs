//! What to save, and the result.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fmt::human;
use crate::fs::Timestamp;
use crate::store::ready_limit::ReadyLimit;
use crate::store::{Entry, EntryGroup, EntryId};
use crate::tree::Roots;
use crate::tree::scan;

/// How to save. A job has one set of options for all its caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveOptions {
    pub if_exists: IfExists,
    /// Afterwards move the directories among the roots into the store as ready copies.
    pub keep_ready: bool,
    /// How many ready copies of each root of the group's entries stay, whether or not this save
    /// adds one.
    pub ready_limit: ReadyLimit,
    /// Save an entry without files when there are none, so that the next restore hits.
    pub allow_empty: bool,
}

/// What happens to an entry that has the key already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfExists {
    /// Keep it and save nothing.
    #[default]
    Keep,
    Replace,
    /// Replace it unless it matches the disk.
    ReplaceIfChanged,
}

/// What the owner of the roots does during a save.
pub trait SaveSteps: Sync {
    /// The time that the owner gave some files at the restore. These count with the times that they
    /// have in the entry that was restored.
    fn restamped(&self) -> Option<Timestamp>;

    /// The record of the entry. Called when the roots were read.
    fn record(&self) -> Result<Vec<u8>>;

    /// Called before the roots are moved into the store.
    fn before_move(&self) -> Result<()>;
}

pub struct SaveRequest<'a> {
    /// The entries that the new one can stand in for.
    pub group: &'a EntryGroup,
    pub key: &'a str,
    pub roots: &'a Roots,
    pub filter: Option<scan::PathFilter<'a>>,
    pub options: SaveOptions,
    pub steps: Option<&'a dyn SaveSteps>,
    /// Digests of the parts that the key was computed from, by name.
    pub parts: BTreeMap<String, String>,
    /// The entry that the roots were restored from.
    pub parent: Option<EntryId>,
    /// Bytes on disk. Roots that may need more are not saved.
    pub max_bytes: Option<u64>,
}

#[derive(Debug)]
pub enum SaveOutcome {
    Saved(Box<SavedEntry>),
    /// An entry has the key already, and it stays.
    Exists,
    /// The entry with the key matches the disk.
    Unchanged,
    /// Another process is saving the same key.
    InProgress,
    /// None of the roots exists, or nothing below them can be read.
    NothingToSave,
    /// The roots may need more than [`SaveRequest::max_bytes`]. Nothing was written.
    TooLarge(Excess),
}

/// Why roots are too large to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// What the roots need at most. They need less if files have equal contents.
    pub bytes: u64,
    pub max_bytes: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its files take {}, and `max-cache-size` leaves {} for them; raise the limit, or cache less",
            human::bytes(self.bytes),
            human::bytes(self.max_bytes)
        )
    }
}

#[derive(Debug)]
pub struct SavedEntry {
    pub id: EntryId,
    pub entry: Entry,
    /// Files whose contents were in the store and were not read again.
    pub reused_files: u64,
    pub reused_bytes: u64,
    /// Files that could not be saved.
    pub skipped_files: u64,
    pub elapsed: Duration,
}
