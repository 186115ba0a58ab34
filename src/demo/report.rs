//! The figures of the jobs.

use std::path::PathBuf;
use std::time::Duration;

use super::output::Compiled;
use crate::store::key_match::KeyMatch;

/// The result of the demo.
#[derive(Debug)]
pub struct Report {
    /// The name of the project for people.
    pub project: String,
    /// Whether crates were copied from the user's Cargo home instead of downloaded.
    pub offline: bool,
    /// In the order in which they ran.
    pub jobs: [JobReport; 3],
    /// The temporary directory, if it was kept.
    pub kept: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// The first job on a runner: the store is empty, so it restores nothing and saves.
    Fresh,
    /// The next job: it restores what the first one saved.
    WithCache,
    /// The same next job without the cache.
    WithoutCache,
}

impl JobKind {
    /// Whether the job restores and saves.
    pub(crate) const fn uses_cache(self) -> bool {
        !matches!(self, Self::WithoutCache)
    }
}

/// The steps of a job. Without the cache, `restore` and `save` are `None` and `caches` is empty.
#[derive(Clone, Debug)]
pub struct JobReport {
    pub kind: JobKind,
    /// Includes the search for the entries.
    pub restore: Option<Duration>,
    /// `cargo fetch`, and copying crates if offline.
    pub fetch: Duration,
    pub build: Duration,
    /// Includes the check for changes, which may be all there is to do.
    pub save: Option<Duration>,
    pub compiled: Compiled,
    pub caches: Vec<CacheUse>,
}

impl JobReport {
    pub fn total(&self) -> Duration {
        self.restore.unwrap_or_default() + self.fetch + self.build + self.save.unwrap_or_default()
    }

    /// The number of caches that were restored.
    pub fn hits(&self) -> usize {
        self.caches
            .iter()
            .filter(|cache| cache.restored.is_some())
            .count()
    }

    pub fn restored(&self) -> StoredSize {
        let sizes = self.caches.iter().filter_map(|cache| cache.restored);
        sum(sizes.map(|(_, size)| size))
    }

    pub fn saved(&self) -> StoredSize {
        sum(self.caches.iter().filter_map(|cache| cache.saved))
    }
}

/// What a job did with one cache.
#[derive(Clone, Debug)]
pub struct CacheUse {
    /// `registry`, `git`, `target` or the like.
    pub name: String,
    pub key: String,
    /// How the key matched and what was restored; `None` if no entry was found.
    pub restored: Option<(KeyMatch, StoredSize)>,
    pub saved: Option<StoredSize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSize {
    pub files: u64,
    pub bytes: u64,
}

fn sum(sizes: impl Iterator<Item = StoredSize>) -> StoredSize {
    sizes.fold(StoredSize::default(), |sum, size| StoredSize {
        files: sum.files + size.files,
        bytes: sum.bytes + size.bytes,
    })
}
