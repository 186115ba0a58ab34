//! The caches of the jobs: lists of paths, each under a key with the digest of Cargo.lock.

use std::time::{Duration, Instant};

use super::scratch::Scratch;
use super::{CacheUse, Error, Stored};
use crate::key::hash_files::hash_files;
use crate::monitor::Monitor;
use crate::ops::paths::{Ground, PathList};
use crate::ops::{restore, save};
use crate::pattern::Base;
use crate::store::Store;
use crate::store::entry::{Entry, Group, Kind};
use crate::tree::plan::Extras;

/// What each cache holds, in a word and as people write it into `path`.
const CACHES: [(&str, &[&str]); 2] =
    [("registry", &["~/.cargo/registry", "~/.cargo/git"]), ("target", &["target"])];

/// One cache of a job.
pub(super) struct Cache<'a> {
    name: &'static str,
    key: String,
    restore_keys: [String; 1],
    paths: PathList,
    group: Group,
    store: &'a Store,
}

/// The caches of a job whose checkout lies in place.
pub(super) fn of_job<'a>(store: &'a Store, scratch: &Scratch) -> Result<Vec<Cache<'a>>, Error> {
    let base = Base::new(scratch.checkout(), scratch.home());
    let lock_files = ["**/Cargo.lock".to_owned()];
    let digest = hash_files(&scratch.checkout(), &lock_files, false, &scratch.home())?
        .map_or_else(String::new, |digest| digest.to_string());
    let cache = |(name, lines): (&'static str, &[&str])| {
        let paths =
            PathList::parse(lines, &base).map_err(|error| crate::error::Error::invalid(error.to_string()))?;
        let prefix = format!("{}-{name}-", std::env::consts::OS);
        let group =
            Group { scope: String::new(), git_ref: String::new(), kind: Kind::Path, paths: paths.identity() };
        Ok(Cache { name, key: format!("{prefix}{digest}"), restore_keys: [prefix], paths, group, store })
    };
    CACHES.into_iter().map(cache).collect()
}

impl Cache<'_> {
    /// Restores the cache; how long it took includes looking for it.
    pub(super) fn restore(&self, monitor: &dyn Monitor) -> Result<(CacheUse, Duration), Error> {
        let begun = Instant::now();
        let request = restore::Request {
            groups: std::slice::from_ref(&self.group),
            key: &self.key,
            restore_keys: &self.restore_keys,
            place: &|name| self.paths.place(name),
            extras: Extras::Keep,
            verify: true,
            lookup_only: false,
        };
        let restored = restore::restore(self.store, &request, monitor)?;
        let found = restored.map(|restored| (restored.matched, size(&restored.entry)));
        let of_it = CacheUse { name: self.name, key: self.key.clone(), restored: found, saved: None };
        Ok((of_it, begun.elapsed()))
    }

    /// Saves the cache; none when it is there already, or when there is nothing to save.
    pub(super) fn save(&self, monitor: &dyn Monitor) -> Result<(Option<Stored>, Duration), Error> {
        let begun = Instant::now();
        let roots = self.paths.resolve(&Ground::local(None))?;
        let exclude = roots.exclude();
        let request = save::Request {
            group: &self.group,
            key: &self.key,
            places: &roots.places,
            exclude: exclude.as_ref().map(|exclude| exclude as &_),
            existing: save::Existing::Stays,
            allow_empty: false,
            keep_ready: false,
            sources: None,
            parent: None,
        };
        let saved = match save::save(self.store, &request, monitor)? {
            save::Outcome::Saved(saved) => Some(size(&saved.entry)),
            save::Outcome::Exists
            | save::Outcome::Unchanged
            | save::Outcome::InProgress
            | save::Outcome::NothingThere => None,
        };
        Ok((saved, begun.elapsed()))
    }
}

fn size(entry: &Entry) -> Stored {
    Stored { files: entry.files, bytes: entry.bytes }
}
