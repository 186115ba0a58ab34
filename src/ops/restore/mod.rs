//! Restoring: find an entry, compare, write what differs.

mod root_lock;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::error::{Error, Result};
use crate::fs::{Timestamp, files};
use crate::monitor::{Monitor, Stage};
use crate::ops::restore::root_lock::RootLock;
use crate::store::Store;
use crate::store::key_match as matching;
use crate::store::key_match::{KeyCandidate, KeyMatch};
use crate::store::{Entry, EntryGroup, EntryId};
use crate::tree::apply::{self, Applied};
use crate::tree::manifest::Manifest;
use crate::tree::plan::{Extraneous, plan};
use crate::tree::scan::{self, scan};
use crate::tree::stamps::RootStamp;
use crate::tree::{DirId, LeafKind, Roots, Tree};

/// What to restore.
pub struct RestoreRequest<'a> {
    /// The groups in which to look, in order.
    pub groups: &'a [EntryGroup],
    /// The key asked for.
    pub key: &'a str,
    /// Prefixes to try in order when there is no such key.
    pub restore_keys: &'a [String],
    /// Where a root of the entry goes, by its name; an error for one that was not asked for.
    pub place: &'a (dyn Fn(&[u8]) -> Result<PathBuf> + Sync),
    /// What happens to names that the entry does not have.
    pub extras: Extraneous,
    /// Whether contents are compared with their digests.
    pub verify: bool,
    /// Only find the entry.
    pub lookup_only: bool,
}

/// An entry that was found.
#[derive(Debug)]
pub struct RestoredEntry {
    /// Its id.
    pub id: EntryId,
    /// The entry.
    pub entry: Entry,
    /// How its key matched.
    pub matched: KeyMatch,
    /// What was written; none when it was only looked up.
    pub applied: Option<Applied>,
    /// Files that were right already.
    pub right_files: u64,
    /// Bytes in them.
    pub right_bytes: u64,
    /// Directories that a rename put back.
    pub ready: u32,
    /// How long it took to write.
    pub took: Duration,
}

/// Restores the entry that stands in for a key; none when there is none.
///
/// An entry that turns out to be damaged is set aside with a warning, and the next best one is
/// tried.
pub fn restore(
    store: &Store,
    request: &RestoreRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<RestoredEntry>> {
    let _sharing = store.lock_shared(PATIENCE)?;
    let mut damaged = Damaged {
        store,
        monitor,
        known: HashSet::new(),
    };
    loop {
        let Some((id, entry, matched)) = find(request, &mut damaged)? else {
            return Ok(None);
        };
        let begun = Instant::now();
        let attempt = if request.lookup_only {
            Ok(None)
        } else {
            write(store, &entry, request, monitor).map(Some)
        };
        match attempt.map_err(|error| store.as_damage(error)) {
            Ok(done) => {
                if let Err(error) = store.mark_used(&id) {
                    monitor.warn(&error.with_advice());
                }
                let took = begun.elapsed();
                let applied = done.as_ref().map(|done| done.applied);
                let (right_files, right_bytes, ready) = done.map_or((0, 0, 0), |done| {
                    (done.right_files, done.right_bytes, done.ready)
                });
                let restored = RestoredEntry {
                    id,
                    entry,
                    matched,
                    applied,
                    right_files,
                    right_bytes,
                    ready,
                    took,
                };
                return Ok(Some(restored));
            }
            Err(error) if error.is_damage() => damaged.set_aside(&id, &error),
            Err(error) => return Err(error),
        }
    }
}

/// The entries that turned out to be damaged.
struct Damaged<'a> {
    store: &'a Store,
    monitor: &'a dyn Monitor,
    /// Where the store may not be written to, they stay where they are; they are not looked at
    /// twice.
    known: HashSet<EntryId>,
}

impl Damaged<'_> {
    fn read_entry(&mut self, id: &EntryId) -> Result<Option<Entry>> {
        if self.known.contains(id) {
            return Ok(None);
        }
        match self.store.read_entry(id) {
            Err(error) if error.is_damage() => {
                self.set_aside(id, &error);
                Ok(None)
            }
            other => other,
        }
    }

    fn set_aside(&mut self, id: &EntryId, error: &Error) {
        self.known.insert(id.clone());
        let mark = match error {
            Error::Damaged { path, .. } => self.store.mark_suspect(path),
            _ => Ok(()),
        };
        match mark.and_then(|()| self.store.quarantine(id)) {
            Ok(()) => {
                self.monitor.warn(&format!(
                    "{error}; the entry {id} counts as a miss and is set aside"
                ));
            }
            Err(other) => self.monitor.warn(&format!(
                "{error}; the entry {id} counts as a miss ({other})"
            )),
        }
    }
}

/// Finds the entry that stands in for a key.
fn find(
    request: &RestoreRequest<'_>,
    damaged: &mut Damaged<'_>,
) -> Result<Option<(EntryId, Entry, KeyMatch)>> {
    for group in request.groups {
        // The usual case needs no look at the other entries.
        let exact = group.entry_id(request.key);
        if let Some(entry) = damaged.read_entry(&exact)? {
            return Ok(Some((exact, entry, KeyMatch::Exact)));
        }
        let mut entries = Vec::new();
        for id in damaged.store.entry_ids(Some(group))? {
            let entry = damaged.read_entry(&id)?;
            // Names of groups are short; the entry itself says whose it is.
            entries.extend(
                entry
                    .filter(|entry| entry.group == *group)
                    .map(|entry| (id, entry)),
            );
        }
        let candidates: Vec<_> = entries
            .iter()
            .map(|(_, entry)| KeyCandidate {
                key: &entry.key,
                created: entry.created,
            })
            .collect();
        if let Some((found, matched)) =
            matching::find(&candidates, request.key, request.restore_keys)
        {
            let (id, entry) = entries.swap_remove(found);
            return Ok(Some((id, entry, matched)));
        }
    }
    Ok(None)
}

/// What a restore did.
struct Written {
    applied: Applied,
    right_files: u64,
    right_bytes: u64,
    ready: u32,
}

fn write(
    store: &Store,
    entry: &Entry,
    request: &RestoreRequest<'_>,
    monitor: &dyn Monitor,
) -> Result<Written> {
    let manifest = store.read_manifest(entry)?;
    let places = places(&manifest.tree, request.place)?;
    let claim = RootLock::take(&places, PATIENCE, monitor)?;
    let ready = store.take_ready_copies(&entry.manifest, &manifest.tree, &places)?;
    monitor.begin(Stage::Scanning, 0);
    let seen = store.root_stamps(&entry.manifest, &places);
    let options = scan::ScanOptions {
        guide: Some(&manifest.tree),
        trust_mtimes: request.extras == Extraneous::Keep,
        stamps: Some(&seen),
        ..scan::ScanOptions::default()
    };
    let mut present = scan(&places, &options)?;
    if !claim.is_complete() {
        present.stale_temps.clear();
    }
    let nothing_extra = match request.extras {
        Extraneous::Keep => false,
        Extraneous::Remove => {
            let is_spared = spare_store(store, &mut present, &places)?;
            !is_spared && claim.is_complete() && present.skipped.is_empty()
        }
    };
    refuse_linked_roots(&manifest, &present.tree, &places)?;
    let plan = plan(&manifest, &present, &seen, request.extras);
    let started = present.started;
    drop(present);
    monitor.begin(
        Stage::Restoring,
        plan.write.iter().fold(0, |sum: u64, leaf| {
            sum.saturating_add(size(&manifest, *leaf))
        }),
    );
    let options = apply::ApplyOptions {
        verify: request.verify,
    };
    let locate = |leaves: &[_]| store.locate(&manifest, leaves);
    let applied = apply::apply(&manifest, &plan, &places, &locate, options, monitor)?;
    // It costs time later not to know it, no more; and where the store can't be written to, that is
    // said already.
    let moment = if plan.is_empty() {
        Some(started)
    } else {
        Timestamp::next_file_clock_tick()
    };
    if let Some(moment) = moment {
        let names = nothing_extra.then_some(started);
        drop(store.put_root_stamps(
            &entry.manifest,
            &places,
            RootStamp {
                clean_as_of: moment,
                no_extraneous_since: names,
            },
        ));
    }
    if applied.without_attributes > 0 {
        let count = applied.without_attributes;
        monitor.warn(&format!(
            "{count} files or directories could not be given all of their extended attributes"
        ));
    }
    let right_bytes = plan
        .up_to_date_bytes
        .saturating_add(applied.confirmed_bytes);
    Ok(Written {
        applied,
        right_files: plan.up_to_date + applied.confirmed,
        right_bytes,
        ready,
    })
}

fn size(manifest: &Manifest, leaf: crate::tree::LeafId) -> u64 {
    match &manifest.tree[leaf].kind {
        LeafKind::File(file) => file.data_len(),
        LeafKind::Symlink(_) | LeafKind::HardLink(_) => 0,
    }
}

fn places(tree: &Tree, place: &dyn Fn(&[u8]) -> Result<PathBuf>) -> Result<Roots> {
    let dirs = tree.dirs_in(Tree::TOP).map(|(_, dir)| &dir.name);
    let leaves = tree.leaves_in(Tree::TOP).map(|(_, leaf)| &leaf.name);
    let places: Result<Vec<_>> = dirs
        .chain(leaves)
        .map(|name| Ok((name.clone(), place(name)?)))
        .collect();
    let places: Vec<(Box<[u8]>, PathBuf)> = places?;
    // Saving makes no such entry. Restoring one, a root that is a symlink would lead another one
    // elsewhere.
    let mut paths: Vec<&PathBuf> = places.iter().map(|(_, path)| path).collect();
    paths.sort_unstable();
    if let Some(pair) = paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        let (above, below) = (pair[0].display(), pair[1].display());
        return Err(Error::invalid(format!(
            "the entry is not to be trusted: it holds {above} and also {below}"
        )));
    }
    Ok(Roots::new(places))
}

/// The store may lie below a root. It is not saved, but it is not something to be removed for that.
/// Returns whether it is there.
fn spare_store(store: &Store, present: &mut scan::Scan, places: &Roots) -> Result<bool> {
    let root = files::canonical(store.layout().root())?;
    let scan::Scan {
        tree,
        extraneous: extra,
        ..
    } = present;
    let count = extra.len();
    let mut parents: HashMap<DirId, Option<PathBuf>> = HashMap::new();
    extra.retain(|extra| {
        let parent = parents
            .entry(extra.parent)
            // What is deeper than a path can be is not above the store.
            .or_insert_with(|| files::canonical(&places.dir_path(tree, extra.parent)).ok());
        let name = OsStr::from_bytes(&extra.name);
        !parent
            .as_ref()
            .is_some_and(|parent| root.starts_with(parent.join(name)))
    });
    Ok(extra.len() < count)
}

/// A root that is a symlink was made so by somebody; to replace it would lose what it points to, to
/// follow it would write elsewhere.
fn refuse_linked_roots(manifest: &Manifest, present: &Tree, places: &Roots) -> Result<()> {
    for (_, root) in manifest.tree.dirs_in(Tree::TOP) {
        let linked = present
            .find_leaf(Tree::TOP, &root.name)
            .map(|leaf| &present[leaf].kind);
        if let Some(LeafKind::Symlink(target)) = linked {
            return Err(Error::invalid(format!(
                "{} is a symlink to {}; cache the directory it points to instead",
                places.path(&root.name)?.display(),
                String::from_utf8_lossy(target)
            )));
        }
    }
    Ok(())
}
