//! What to restore, and the result.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fs::Timestamp;
use crate::ops::second_tier::SecondTier;
use crate::store::key_match::KeyMatch;
use crate::store::{Entry, EntryGroup, EntryId};
use crate::tree::apply::Applied;
use crate::tree::manifest::Manifest;
use crate::tree::plan::Extraneous;
use crate::tree::{RootPlace, Roots};

/// How to restore. A job has one set of options for all its caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is independent of the others"
)]
pub struct RestoreOptions {
    pub extraneous: Extraneous,
    /// Compare contents with their digests while writing.
    pub verify: bool,
    /// Find the entry, but write nothing.
    pub lookup_only: bool,
    /// Take only an entry of the store with the key itself, spelled as requested.
    pub exact_only: bool,
    /// Somebody looks into the entry: leave its ready copy in the store, and do not count this as a
    /// use. No job does that.
    #[serde(skip)]
    pub inspect: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            extraneous: Extraneous::Keep,
            verify: true,
            lookup_only: false,
            exact_only: false,
            inspect: false,
        }
    }
}

pub struct RestoreRequest<'a> {
    /// The groups to search, in order.
    pub groups: &'a [EntryGroup],
    pub key: &'a str,
    /// Key prefixes to try in order when no entry has the key.
    pub restore_keys: &'a [String],
    /// Where to restore a root to, by the root's name in the entry. A directory is restored through
    /// a symlink that leads to one, any other root in the place of it. An error for a root that the
    /// caller did not ask for, so that an entry can't choose where it is written.
    pub destination: &'a (dyn Fn(&[u8]) -> Result<RootPlace> + Sync),
    pub options: RestoreOptions,
    pub steps: Option<&'a dyn RestoreSteps>,
    /// Where entries are looked for besides the store.
    pub second_tier: Option<&'a dyn SecondTier>,
}

/// What the owner of the roots does during a restore.
pub trait RestoreSteps: Sync {
    /// Called before anything is written below the roots.
    fn prepare(&self, entry: &Entry, manifest: &Manifest, roots: &Roots) -> Result<()>;

    /// Called when the roots match the manifest. Returns the modification time that it gave some
    /// files instead of the manifest's.
    fn finish(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        roots: &Roots,
    ) -> Result<Option<Timestamp>>;
}

/// An entry that was found, and what was restored from it.
#[derive(Debug)]
pub struct RestoredEntry {
    pub id: EntryId,
    pub entry: Entry,
    pub matched: KeyMatch,
    /// Whether the store did not have the entry before, and the second tier did.
    pub from_second_tier: bool,
    pub stats: RestoreStats,
    pub elapsed: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreStats {
    /// `None` for a look-up, which writes nothing.
    pub applied: Option<Applied>,
    pub up_to_date_files: u64,
    pub up_to_date_bytes: u64,
    /// Directories that were restored by a rename.
    pub ready: u32,
}
