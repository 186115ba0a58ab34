//! Records what sources are like, and replays their times. [`crate::cargo::mtimes`] says which, and
//! why that is right; here they are looked at, read and set.
//!
//! - [`look_for`] finds the area of a step.
//! - [`record`] is called while a target directory is saved, after it was read and before its entry
//!   is published: [`crate::ops::save::SaveRequest::record_sources`] does so.
//! - [`give_back`] is called once in a step, after all its target directories are back in their
//!   places, as a directory that comes back changes the time of the one it stands in.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::cargo::mtimes::history::{ReplayHistory, RestoredTarget, Sources};

use crate::cargo::mtimes::decide::{CurrentSources, decide, to_read};
use crate::cargo::mtimes::effective_mtime::{EffectiveMtimes, ReplayMark};
use crate::cargo::mtimes::match_dirs::KnownRecord;
use crate::cargo::mtimes::packages::packages;
use crate::cargo::mtimes::source_roots::SourceRoots;
use crate::cargo::project::facts::WorkspaceFacts;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Namespace, Stat, Timestamp, files};
use crate::monitor::{Monitor, Stage};
use crate::store::{Entry, Store};
use crate::tree::manifest::{Manifest, SourceRecord};
use crate::tree::scan;
use crate::tree::scan::{Scan, scan};
use crate::tree::set_mtimes as times;
use crate::tree::set_mtimes::{MtimeChange, SetStats};
use crate::tree::{
    Content, ContentLocation, FileData, LeafId, LeafKind, ReadOutcome, Roots, TreeReader,
};
use crate::workers;

/// How many refusals are reported one by one.
const WARNINGS: usize = 5;
/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;
/// Files that a thread reads one after another.
const CHUNK: usize = 32;

/// Where to look for sources. All paths but those of the workspaces are those that this process
/// uses.
pub struct SourcesRequest<'a> {
    /// The checkout; all of it is looked at.
    pub checkout: &'a Path,
    /// The workspaces of the step. The repository of one outside of the checkout is looked at, too,
    /// and so are packages that they depend on by path.
    pub workspaces: &'a [WorkspaceFacts],
    /// Where the files are that the paths of the workspaces name.
    pub namespace: &'a dyn Namespace,
    /// What is never looked at: the cache root, `CARGO_HOME`, further target directories. Those of
    /// the workspaces need not be named.
    pub skipped: &'a [PathBuf],
    /// What the input `sources` names, by any names that are the same from job to job.
    pub named: &'a Roots,
}

/// Finds the area in which the sources of a step are.
pub fn look_for(request: &SourcesRequest<'_>, monitor: &dyn Monitor) -> Result<SourceRoots> {
    let checkout = files::canonical(request.checkout)?;
    let locate = |name: &Path| request.namespace.locate(name);
    let mut others = Vec::new();
    for project in request
        .workspaces
        .iter()
        .filter_map(|workspace| workspace.project.as_ref())
    {
        others.push(repository(&locate(&project.root)?)?);
        let found = packages(project, request.namespace);
        found
            .warnings
            .iter()
            .for_each(|warning| monitor.warn(warning));
        for directory in &found.directories {
            others.push(locate(directory)?);
        }
    }
    let targets = request
        .workspaces
        .iter()
        .flat_map(|workspace| [Some(&workspace.target), workspace.build_dir.as_ref()]);
    // What does not exist needs no skipping.
    let skipped = targets
        .flatten()
        .filter_map(|name| locate(name).ok())
        .chain(request.skipped.iter().cloned())
        .filter_map(|path| files::canonical(&path).ok())
        .collect();
    Ok(SourceRoots::new(&checkout, &others, skipped, request.named))
}

/// The directory of the repository around a workspace; the workspace itself if there is none.
fn repository(root: &Path) -> Result<PathBuf> {
    for directory in root.ancestors() {
        if files::stat(&directory.join(".git"))?.is_some() {
            return Ok(directory.to_owned());
        }
    }
    Ok(root.to_owned())
}

/// Records what the sources are like. `outputs` are the modification times of all files in the
/// target directory, which was built from them.
pub fn record(
    store: &Store,
    sources: &Sources<'_>,
    outputs: impl Iterator<Item = Timestamp>,
    monitor: &dyn Monitor,
) -> Result<SourceRecord> {
    let given = ReplayHistory::read(store, sources)?
        .given
        .map(|given| given.moment);
    // Not by their ctimes: what gives the checkout another owner often does so with the target
    // directory in it.
    let first_built = outputs
        .filter(|time| given.is_none_or(|given| *time > given))
        .min();
    let scan = look(sources.area, monitor)?;
    let arrivals = EffectiveMtimes::new(&scan, first_built.unwrap_or(Timestamp::MAX));
    let mut tree = scan.tree.clone();
    tree.set_mtimes(
        |id| arrivals.of_dir(id),
        |id| arrivals.of_leaf(id, &scan.stats[id.index()]),
    );
    let is_file = |id: &LeafId| matches!(scan.tree[*id].kind, LeafKind::File(_));
    let files: Vec<LeafId> = scan.tree.leaf_ids_depth_first().filter(is_file).collect();
    let read = read(&scan, sources.area.places(), &files, monitor)?;
    let mut unread: HashSet<LeafId> = files.into_iter().collect();
    for (id, stat, digest) in read {
        let content = (stat.size > 0).then_some(Content {
            digest,
            location: ContentLocation::Blob,
        });
        let data = FileData {
            size: stat.size,
            extents: Box::default(),
            content,
        };
        tree.set_file(id, stat.mode, arrivals.of_leaf(id, &stat), data);
        unread.remove(&id);
    }
    let tree = tree.without_leaves(&unread);
    Ok(SourceRecord::new(Manifest {
        scanned_at: scan.started,
        packs: Vec::new(),
        tree,
    }))
}

/// The result of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayStats {
    /// Files and symlinks that are as they were recorded.
    pub same: u64,
    /// Files and symlinks that are not.
    pub different: u64,
    /// Files, symlinks and directories that were given the time that they had.
    pub given: u64,
    /// Files, symlinks and directories that are different and had old times, and now have new ones.
    pub renewed: u64,
    /// Whether what the input `sources` names is different, so that no time was replayed.
    pub distrusted: bool,
}

/// Gives sources that are the same the times that they had when the entries of target directories
/// were saved, and new times to those that are not and would look old.
///
/// `entries` are all that were restored in this step. A record that is damaged or missing is a
/// warning, and vouches for nothing.
pub fn give_back(
    store: &Store,
    sources: &Sources<'_>,
    entries: &[&Entry],
    monitor: &dyn Monitor,
) -> Result<ReplayStats> {
    if entries.is_empty() {
        return Ok(ReplayStats::default());
    }
    let area = sources.area;
    let mut past = earlier_steps(store, sources)?;
    note_restored(&mut past, area, entries);
    // Should this end before all times are given, what was given so far counts as touched since the
    // step before.
    let earlier = past.given.clone();
    past.write(store, sources)?;
    let nothing = SourceRecord::new(Manifest {
        scanned_at: Timestamp::default(),
        packs: Vec::new(),
        tree: scan(&Roots::default(), &scan::ScanOptions::default())?.tree,
    });
    let mut records = Vec::with_capacity(past.restored.len());
    for RestoredTarget { record, .. } in &past.restored {
        let read = match record.map(|id| store.read_record(&id)).transpose() {
            Err(error) if error.is_damage() => {
                monitor.warn(&format!(
                    "{error}; no modification times are replayed, so cargo rebuilds what depends on them"
                ));
                None
            }
            other => other?,
        };
        records.push(read.unwrap_or_else(|| nothing.clone()));
    }
    let pairs = past.restored.iter().zip(&records);
    let known: Vec<KnownRecord<'_>> = pairs
        .map(
            |(RestoredTarget { saved, roots, .. }, record)| KnownRecord {
                record: record.manifest(),
                saved: *saved,
                roots,
            },
        )
        .collect();
    let (given_back, given) = set(area, &known, earlier.as_ref(), monitor)?;
    past.given = Some(given);
    past.write(store, sources)?;
    Ok(given_back)
}

/// What steps before this one did.
fn earlier_steps(store: &Store, sources: &Sources<'_>) -> Result<ReplayHistory> {
    if sources.job.is_empty() {
        Ok(ReplayHistory::default())
    } else {
        ReplayHistory::read(store, sources)
    }
}

fn note_restored(past: &mut ReplayHistory, area: &SourceRoots, entries: &[&Entry]) {
    let roots: Vec<Box<[u8]>> = area.roots().map(Box::from).collect();
    for entry in entries {
        let own = RestoredTarget {
            record: entry.sources,
            saved: entry.created,
            roots: roots.clone(),
        };
        if !past.restored.contains(&own) {
            past.restored.push(own);
        }
    }
}

fn set(
    area: &SourceRoots,
    known: &[KnownRecord<'_>],
    earlier: Option<&ReplayMark>,
    monitor: &dyn Monitor,
) -> Result<(ReplayStats, ReplayMark)> {
    let scan = look(area, monitor)?;
    let mut digests = vec![None; scan.tree.leaves().len()];
    for (id, _, digest) in read(&scan, area.places(), &to_read(area, &scan, known), monitor)? {
        digests[id.index()] = Some(digest);
    }
    let seen = CurrentSources {
        scan: &scan,
        digests: &digests,
        given: earlier,
    };
    let decisions = decide(area, seen, known, Timestamp::now());
    let (renew, give) = split(&decisions.leaves);
    let (renew_dirs, give_dirs) = split(&decisions.dirs);
    let places = area.places();
    // New times first: should this end in between, nothing is taken for fresh that is not.
    let renewed = [
        times::set_leaf_mtimes(&scan, places, &renew)?,
        times::set_dir_mtimes(&scan, places, &renew_dirs)?,
    ];
    let given = [
        times::set_leaf_mtimes(&scan, places, &give)?,
        times::set_dir_mtimes(&scan, places, &give_dirs)?,
    ];
    let done = |sets: &[SetStats]| sets.iter().map(|set| set.set).sum();
    let outcome = ReplayStats {
        same: decisions.same,
        different: decisions.different,
        given: done(&given),
        renewed: done(&renewed),
        distrusted: decisions.distrusted > 0,
    };
    // A filesystem on another machine has another clock.
    let latest = renewed
        .iter()
        .chain(&given)
        .filter_map(|set| set.last_ctime)
        .max();
    let moment = latest.map_or_else(Timestamp::now, |latest| latest.max(Timestamp::now()));
    say_refused(renewed, monitor);
    for (path, error) in given.into_iter().flat_map(|set| set.refused) {
        log::debug!(
            "cannot set the modification time of {}: {error}",
            path.display()
        );
    }
    Ok((outcome, ReplayMark::new(moment, &scan.tree)))
}

type Changes<T> = Vec<(T, MtimeChange)>;

/// Changes that make things new, and the others.
fn split<T: Copy>(changes: &[(T, MtimeChange)]) -> (Changes<T>, Changes<T>) {
    changes
        .iter()
        .partition(|(_, change)| matches!(change, MtimeChange::Renew(_)))
}

fn say_refused(sets: [SetStats; 2], monitor: &dyn Monitor) {
    let refused: Vec<_> = sets.into_iter().flat_map(|set| set.refused).collect();
    for (path, error) in refused.iter().take(WARNINGS) {
        monitor.warn(&format!(
            "cannot set the modification time of {} to the current time, so cargo may treat a changed file \
             as unchanged ({error}); remove the target directory, or let the user who runs this own the checkout",
            path.display()
        ));
    }
    if let Some(more @ 1..) = refused.len().checked_sub(WARNINGS) {
        monitor.warn(&format!("{more} more modification times could not be set"));
    }
}

/// Looks at the area. What can't be read is as if it were not there.
fn look(area: &SourceRoots, monitor: &dyn Monitor) -> Result<Scan> {
    monitor.begin(Stage::Scanning, 0);
    let exists = |path: &Path| files::stat(path).is_ok_and(|stat| stat.is_some());
    let exclude = area.exclude(&exists);
    let options = scan::ScanOptions {
        filter: Some(&exclude),
        without_attributes: true,
        ..scan::ScanOptions::default()
    };
    let scan = scan(area.places(), &options)?;
    for left_out in &scan.skipped {
        log::debug!(
            "{} is not compared: {}",
            left_out.path.display(),
            left_out.reason
        );
    }
    Ok(scan)
}

/// The states and digests of files, in no order. What can't be read, or is being written to, is
/// missing.
fn read(
    scan: &Scan,
    places: &Roots,
    files: &[LeafId],
    monitor: &dyn Monitor,
) -> Result<Vec<(LeafId, Stat, Digest)>> {
    let done = Mutex::new(Vec::with_capacity(files.len()));
    let chunks: Vec<&[LeafId]> = files.chunks(CHUNK).collect();
    let state = || (TreeReader::new(&scan.tree, places), vec![0; BUFFER]);
    workers::for_each_in_order(&chunks, state, |(reader, buffer), chunk| {
        if monitor.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let mut digests = Vec::with_capacity(chunk.len());
        for leaf in *chunk {
            let path = || places.leaf_path(&scan.tree, *leaf);
            match reader.read(*leaf, |mut file, _| {
                digest_of(&mut file, buffer).context("read", path)
            })? {
                ReadOutcome::Done(stat, digest) => digests.push((*leaf, stat, digest)),
                ReadOutcome::Vanished => {}
                ReadOutcome::Skipped(reason) => {
                    log::debug!("{} is not compared: {reason}", path().display());
                }
            }
        }
        workers::lock(&done).append(&mut digests);
        Ok(())
    })?;
    Ok(workers::into_inner(done))
}

fn digest_of(file: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}
