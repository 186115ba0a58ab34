//! The size of a store and of its files on disk.
//!
//! Adding up a thousand files takes milliseconds, and every phase of every job needs the sum. So it
//! is cached in `size`, with a digest of the times of the directories that contain the files.
//! Published files never change, and adding, renaming or removing one changes the time of its
//! directory: while the times are the same, the sum is the same.
//!
//! Nothing is cached if a directory changed less than [`SETTLED`] ago. After that time, two changes
//! can't have the same timestamp, and filesystems with delayed allocation (zfs, btrfs with
//! compression) have allocated all blocks.

use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::open::{SMALL_FILE, Store};
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{BaseDir, Timestamp, has_local_clock};

/// Seconds without a change before the sum is cached.
const SETTLED: i64 = 60;

#[derive(Serialize, Deserialize)]
struct SizeNote {
    /// Digest of the inodes and times of the directories.
    times: Digest,
    /// Bytes that their files use on disk.
    bytes: u64,
}

/// The directories whose files are counted.
struct CountedDirs {
    paths: Vec<PathBuf>,
    times: Digest,
    last_change: Timestamp,
}

/// Measures files of entries. It opens their directories once, because resolving the path of each
/// file takes several times as long as looking at it.
pub(crate) struct FileSizes<'s> {
    store: &'s Store,
    dirs: Vec<BaseDir>,
}

impl<'s> FileSizes<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        let Store { layout, dir, .. } = store;
        let paths = [layout.manifests(), layout.packs(), layout.blobs()];
        let opened = paths.iter().map(|path| dir.open_dir(path));
        Self {
            store,
            dirs: opened.filter_map(|dir| dir.ok().flatten()).collect(),
        }
    }

    /// The same as [`Store::allocated`].
    pub(crate) fn allocated(&self, path: &Path) -> u64 {
        match self.dirs.iter().find(|dir| path.starts_with(dir.path())) {
            Some(dir) => allocated_below(dir, path),
            None => self.store.allocated(path),
        }
    }
}

fn allocated_below(dir: &BaseDir, path: &Path) -> u64 {
    let found = dir.stat(path).ok().flatten();
    found.map_or(0, |stat| stat.allocated)
}

impl Store {
    /// The disk usage of a file of the store, in bytes. Zero if it does not exist or can't be looked
    /// at: a damaged directory must not make all sizes unknown.
    pub(crate) fn allocated(&self, path: &Path) -> u64 {
        allocated_below(&self.dir, path)
    }

    /// Bytes that the store uses on disk.
    pub fn allocated_bytes(&self) -> Result<u64> {
        // The times are read first: a change during the count makes them differ next time.
        let dirs = self.counted_dirs()?;
        let note = self.dir.read(&self.layout.size(), SMALL_FILE).ok();
        let note = note.and_then(|bytes| serde_json::from_slice::<SizeNote>(&bytes).ok());
        let total = match note.filter(|note| note.times == dirs.times) {
            Some(note) => note.bytes,
            None => self.add_up(&dirs)?,
        };
        // Only their owner can read and remove them.
        let ready = self.ready_copies().unwrap_or_default();
        Ok(ready
            .iter()
            .fold(total, |sum, copy| sum.saturating_add(copy.bytes)))
    }

    fn counted_paths(&self) -> Result<Vec<PathBuf>> {
        let blobs = self.layout.blobs();
        let mut paths = vec![
            self.layout.packs(),
            self.layout.manifests(),
            self.layout.entries(),
            blobs.clone(),
        ];
        let names = self.dir.list(&blobs)?;
        let shelves = names.iter().filter(|name| Layout::is_blob_shelf(name));
        paths.extend(shelves.map(|shelf| blobs.join(shelf)));
        Ok(paths)
    }

    fn counted_dirs(&self) -> Result<CountedDirs> {
        let paths = self.counted_paths()?;
        let mut times = Vec::with_capacity(paths.len() * 28);
        let mut last_change = Timestamp::default();
        for stat in paths.iter().map(|dir| self.dir.stat(dir)) {
            let Some(stat) = stat? else { continue };
            times.extend(stat.inode.to_le_bytes());
            for time in [stat.mtime, stat.ctime] {
                times.extend(time.seconds.to_le_bytes());
                times.extend(time.nanoseconds.to_le_bytes());
            }
            last_change = last_change.max(stat.mtime);
        }
        Ok(CountedDirs {
            paths,
            times: Digest::of(&times),
            last_change,
        })
    }

    fn add_up(&self, dirs: &CountedDirs) -> Result<u64> {
        let totals: Result<Vec<u64>> = dirs
            .paths
            .par_iter()
            .map(|dir| self.dir.allocated_in_dir(dir))
            .collect();
        let bytes = totals?.iter().sum();
        let age = Timestamp::now()
            .seconds
            .saturating_sub(dirs.last_change.seconds);
        if age > SETTLED && has_local_clock(self.layout.root())? {
            let note = serde_json::to_vec(&SizeNote {
                times: dirs.times,
                bytes,
            })
            .unwrap_or_default();
            // A user without write permission adds up again next time.
            drop(self.write_atomically(&self.layout.size(), &note));
        }
        Ok(bytes)
    }
}
