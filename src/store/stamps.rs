//! Records of directories outside the store: when each one last matched a manifest.
//!
//! `seen/<manifest>-<device>-<inode>` records when the root with that device and inode last matched
//! the manifest, with everything below it that the manifest lists. A save records the start
//! of its scan, a restore its end. If the restore also removed extraneous files, it records its
//! start too, because removing and creating files changed the directories. [`crate::tree::stamps`]
//! describes what follows for a file or directory that is checked later.
//!
//! Such a record stays true whatever happens to the directory: it is about one point in time. It
//! only saves time: without it, files are read and compared by their digests.

use std::path::{Path, PathBuf};

use super::open::{SMALL_FILE, Store};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Timestamp, files, has_local_clock};
use crate::tree::Roots;
use crate::tree::stamps::{RootStamp, RootStamps};

impl Store {
    /// The stamps of roots that once matched a manifest. Skips roots without a readable record.
    pub(crate) fn root_stamps(&self, manifest: &Digest, roots: &Roots) -> RootStamps {
        let mut stamps = RootStamps::default();
        let now = Timestamp::now();
        for (name, path) in roots.iter() {
            let Ok(Some(file)) = self.stamp_path(manifest, path) else {
                continue;
            };
            let Ok(bytes) = self.dir.read(&file, SMALL_FILE) else {
                continue;
            };
            // A time in the future was recorded before the clock was set back.
            match serde_json::from_slice::<RootStamp>(&bytes) {
                Ok(stamp) if stamp.clean_as_of <= now => stamps.insert(name, stamp),
                _ => {}
            }
        }
        stamps
    }

    /// Records that roots matched a manifest.
    ///
    /// Skips filesystems that may take change times from another machine's clock.
    pub(crate) fn put_root_stamps(
        &self,
        manifest: &Digest,
        roots: &Roots,
        stamp: RootStamp,
    ) -> Result<()> {
        let bytes = serde_json::to_vec(&stamp).map_err(Error::defect)?;
        self.dir
            .create_dir(&self.layout.stamps(), self.modes.directory)?;
        for (_, path) in roots.iter() {
            if let Some(file) = self.stamp_path(manifest, path)?
                && has_local_clock(path)?
            {
                self.write_atomically(&file, &bytes)?;
            }
        }
        Ok(())
    }

    fn stamp_path(&self, manifest: &Digest, root: &Path) -> Result<Option<PathBuf>> {
        Ok(files::stat(root)?.map(|stat| self.layout.stamp(manifest, stat.device, stat.inode)))
    }
}
