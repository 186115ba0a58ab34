//! What is known of directories outside of the store: when each was last as a manifest says.
//!
//! `seen/<manifest>-<device>-<inode>` holds the moment at which the root with that device and
//! inode, and everything below it that the manifest lists, was as the manifest says. Saving notes
//! the moment at which its scan began, restoring the one after which it did nothing more; when it
//! removed what was extra, too, also when it had begun to look, as what it then removed or made
//! changed the directories. [`crate::tree::stamps`] says what follows for a file or directory that
//! is looked at later.
//!
//! Such a note stays true for ever, whatever happens to the directory: it speaks of a moment. It is
//! only ever a shortcut: without it, files are read and compared by their digests.

use std::path::Path;

use super::open::Store;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{Timestamp, files, has_local_clock};
use crate::tree::Roots;
use crate::tree::stamps::{RootStamp, RootStamps};

impl Store {
    /// What is known of roots that were once as a manifest says. What is not known, or can't be
    /// read, is not in it.
    pub fn root_stamps(&self, manifest: &Digest, roots: &Roots) -> RootStamps {
        let mut seen = RootStamps::default();
        let now = Timestamp::now();
        for (name, path) in roots.iter() {
            let Ok(Some(note)) = self.note_path(manifest, path) else {
                continue;
            };
            let Ok(bytes) = files::read(&note) else {
                continue;
            };
            // A moment that is still to come was noted by a clock that has been set back since.
            match serde_json::from_slice::<RootStamp>(&bytes) {
                Ok(sight) if sight.clean_as_of <= now => seen.insert(name, sight),
                _ => {}
            }
        }
        seen
    }

    /// Notes that roots were as a manifest says.
    ///
    /// Nothing is noted of a filesystem that may take the times of changes from another machine's
    /// clock.
    pub fn put_root_stamps(
        &self,
        manifest: &Digest,
        roots: &Roots,
        sight: RootStamp,
    ) -> Result<()> {
        let bytes = serde_json::to_vec(&sight).map_err(Error::defect)?;
        files::create_dir(&self.layout().stamps(), self.modes().directory)?;
        for (_, path) in roots.iter() {
            if let Some(note) = self.note_path(manifest, path)?
                && has_local_clock(path)?
            {
                self.write_atomically(&note, &bytes)?;
            }
        }
        Ok(())
    }

    fn note_path(&self, manifest: &Digest, root: &Path) -> Result<Option<std::path::PathBuf>> {
        Ok(files::stat(root)?.map(|stat| self.layout().stamp(manifest, stat.device, stat.inode)))
    }
}
