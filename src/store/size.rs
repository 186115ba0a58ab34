//! How much room a store takes.
//!
//! Adding up the files of a store takes milliseconds for each thousand of them, and every phase of
//! every job asks. So the sum is noted down in `size`, together with a digest of the times of the
//! directories that the files are in. Published files never change, and whoever adds, renames or
//! removes one changes its directory's time: as long as the times are the same, so is the sum.
//!
//! Nothing is noted while a directory changed less than [`SETTLED`] ago. By then two changes can't
//! have the same time, and filesystems that decide late how many blocks a file takes (zfs, btrfs
//! with compression) have done so.

use std::path::PathBuf;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::fs::{Timestamp, files, has_local_clock};

/// How long nothing must have changed for the sum to be noted, in seconds.
const SETTLED: i64 = 60;

/// What is noted.
#[derive(Serialize, Deserialize)]
struct SizeNote {
    /// Digest of the times of the directories.
    times: Digest,
    /// Bytes that their files take on disk.
    bytes: u64,
}

/// The directories whose files count.
struct Counted {
    dirs: Vec<PathBuf>,
    times: Digest,
    changed: Timestamp,
}

impl Store {
    /// Bytes that the store takes on disk.
    pub fn allocated_bytes(&self) -> Result<u64> {
        // The times first: what changes meanwhile makes them other ones.
        let counted = self.counted()?;
        let noted = files::read(&self.layout.size()).ok();
        let noted = noted.and_then(|bytes| serde_json::from_slice::<SizeNote>(&bytes).ok());
        let total = match noted.filter(|noted| noted.times == counted.times) {
            Some(noted) => noted.bytes,
            None => self.add_up(&counted)?,
        };
        let ready: u64 = self.ready_copies()?.iter().map(|copy| copy.bytes).sum();
        Ok(total.saturating_add(ready))
    }

    fn counted(&self) -> Result<Counted> {
        let mut dirs = vec![
            self.layout.packs(),
            self.layout.manifests(),
            self.layout.entries(),
            self.layout.blobs(),
        ];
        dirs.extend(
            files::list(&self.layout.blobs())?
                .iter()
                .map(|shelf| self.layout.blobs().join(shelf)),
        );
        let mut times = Vec::with_capacity(dirs.len() * 28);
        let mut changed = Timestamp::default();
        for stat in dirs.iter().map(|dir| files::stat(dir)) {
            let Some(stat) = stat? else { continue };
            times.extend(stat.inode.to_le_bytes());
            for time in [stat.mtime, stat.ctime] {
                times.extend(time.seconds.to_le_bytes());
                times.extend(time.nanoseconds.to_le_bytes());
            }
            changed = changed.max(stat.mtime);
        }
        Ok(Counted {
            dirs,
            times: Digest::of(&times),
            changed,
        })
    }

    fn add_up(&self, counted: &Counted) -> Result<u64> {
        let totals: Result<Vec<u64>> = counted
            .dirs
            .par_iter()
            .map(|dir| files::allocated_in_dir(dir))
            .collect();
        let bytes = totals?.iter().sum();
        let settled = Timestamp::now()
            .seconds
            .saturating_sub(counted.changed.seconds)
            > SETTLED;
        if settled && has_local_clock(self.layout.root())? {
            let noted = serde_json::to_vec(&SizeNote {
                times: counted.times,
                bytes,
            })
            .unwrap_or_default();
            // Whoever may not write it adds up anew.
            drop(self.write_atomically(&self.layout.size(), &noted));
        }
        Ok(bytes)
    }
}
