//! What the jobs did, in numbers.

use std::path::PathBuf;
use std::time::Duration;

use super::Compiled;
use crate::store::key_match::KeyMatch;

/// What the demonstration showed.
#[derive(Debug)]
pub struct Report {
    /// The project.
    pub project: String,
    /// Whether crates came from the user's registry in place of the network.
    pub offline: bool,
    /// The jobs, in the order in which they ran.
    pub jobs: [JobReport; 3],
    /// The temporary directory, where it was left.
    pub kept: Option<PathBuf>,
}

/// Which of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// The first job on a runner: the store is empty, so it restores nothing and saves.
    Fresh,
    /// The next job: it finds what the first saved.
    WithCache,
    /// The same next job without the cache.
    WithoutCache,
}

impl JobKind {
    /// Whether the job restores and saves.
    pub const fn uses_cache(self) -> bool {
        !matches!(self, Self::WithoutCache)
    }
}

/// What a job did.
#[derive(Clone, Debug)]
pub struct JobReport {
    /// Which job.
    pub kind: JobKind,
    /// How long looking for its caches and restoring them took; none without the cache.
    pub restore: Option<Duration>,
    /// How long `cargo fetch` took.
    pub fetch: Duration,
    /// How long `cargo build` took.
    pub build: Duration,
    /// How long saving took, or seeing that all is saved already; none without the cache.
    pub save: Option<Duration>,
    /// What cargo compiled.
    pub compiled: Compiled,
    /// What became of each of its caches; empty without the cache.
    pub caches: Vec<CacheUse>,
}

impl JobReport {
    /// How long its steps took together.
    pub fn total(&self) -> Duration {
        self.restore.unwrap_or_default() + self.fetch + self.build + self.save.unwrap_or_default()
    }

    /// How many of its caches were found.
    pub fn hits(&self) -> usize {
        self.caches
            .iter()
            .filter(|cache| cache.restored.is_some())
            .count()
    }

    /// Files and bytes that were restored.
    pub fn restored(&self) -> StoredSize {
        sum(self
            .caches
            .iter()
            .filter_map(|cache| Some(cache.restored?.1)))
    }

    /// Files and bytes that were saved.
    pub fn saved(&self) -> StoredSize {
        sum(self.caches.iter().filter_map(|cache| cache.saved))
    }
}

/// What became of one cache in a job.
#[derive(Clone, Debug)]
pub struct CacheUse {
    /// What it holds, in a word.
    pub name: String,
    /// Its key.
    pub key: String,
    /// How its key matched, and what was restored; none when it was not found.
    pub restored: Option<(KeyMatch, StoredSize)>,
    /// What was saved; none where nothing changed.
    pub saved: Option<StoredSize>,
}

/// Files and the bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSize {
    /// How many files and symlinks.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl StoredSize {
    /// Whether there is anything.
    pub(super) fn is_filled(self) -> bool {
        self.files > 0
    }
}

fn sum(parts: impl Iterator<Item = StoredSize>) -> StoredSize {
    parts.fold(StoredSize::default(), |sum, part| StoredSize {
        files: sum.files + part.files,
        bytes: sum.bytes + part.bytes,
    })
}
