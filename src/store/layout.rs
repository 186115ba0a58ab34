//! Where everything in the store lies. Nobody else joins paths below the cache root.

use std::path::{Path, PathBuf};

use super::id::EntryId;
use crate::digest::Digest;

/// The version of the store's format. A newer one gets a directory of its own.
pub const VERSION: u32 = 1;

/// The paths of a store.
///
/// ```text
/// <cache root>/local-cache-v1/
///   CACHEDIR.TAG  format.json
///   size                         how much room all of it takes
///   entries/<entry id>.json      one entry; it exists when this file does
///   manifests/<digest>           the list of an entry's files, or the record of the sources that it was built from
///   packs/<digest>.pack          contents of small files
///   packs/<digest>.moved         where the contents of a rewritten pack went
///   blobs/ab/<digest>            contents of one large file
///   used/<entry id>              when an entry was last used: the time of this file
///   ready/<manifest>-<n>-<bytes> a directory that was saved, to be put back by a rename
///   seen/<manifest>-<dev>-<ino>  when a directory outside of the store was last as a manifest says
///   locks/store                  held by everything that reads or writes the store
///   locks/<entry id>             held by a save
///   memories/<name>              what a phase of a job leaves for a later one, where the runner forgets it
///   tmp/<random>/                what is not finished yet
///   events/                      what phases of jobs did, one line each
///   quarantine/                  damaged entries, and marks for files of the store that damage was found in
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the store below a cache root.
    pub fn new(cache_root: &Path) -> Self {
        Self {
            root: cache_root.join(format!("local-cache-v{VERSION}")),
        }
    }

    /// The store's own directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directories that a store consists of, besides [`Layout::root`].
    pub fn subdirectories(&self) -> [PathBuf; 8] {
        [
            "entries",
            "manifests",
            "packs",
            "blobs",
            "used",
            "locks",
            "tmp",
            "quarantine",
        ]
        .map(|name| self.root.join(name))
    }

    /// States the version of the store.
    pub fn format(&self) -> PathBuf {
        self.root.join("format.json")
    }

    /// How much room the store takes, as it was last added up.
    pub fn size(&self) -> PathBuf {
        self.root.join("size")
    }

    /// Tells backup programs to pass the store over: <https://bford.info/cachedir/>.
    pub fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    /// The directory of all entries.
    pub fn entries(&self) -> PathBuf {
        self.root.join("entries")
    }

    /// An entry.
    pub fn entry(&self, id: &EntryId) -> PathBuf {
        self.entries().join(format!("{id}.json"))
    }

    /// The directory of all manifests.
    pub fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// A manifest, or a record of sources.
    pub fn manifest(&self, id: &Digest) -> PathBuf {
        self.manifests().join(id.to_string())
    }

    /// The directory of all packs.
    pub fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    /// A pack.
    pub fn pack(&self, id: &Digest) -> PathBuf {
        self.packs().join(format!("{id}.pack"))
    }

    /// Names the packs that hold what a rewritten pack held.
    pub fn moved(&self, id: &Digest) -> PathBuf {
        self.packs().join(format!("{id}.moved"))
    }

    /// The directory of all blobs.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The directory of the blobs whose digests begin alike.
    pub fn blob_shelf(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(&digest.to_string()[..2])
    }

    /// A blob.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blob_shelf(digest).join(digest.to_string())
    }

    /// When entries were last used.
    pub fn used_dir(&self) -> PathBuf {
        self.root.join("used")
    }

    /// When an entry was last used.
    pub fn used(&self, id: &EntryId) -> PathBuf {
        self.used_dir().join(id.to_string())
    }

    /// The directory of all ready copies.
    pub fn ready_copies(&self) -> PathBuf {
        self.root.join("ready")
    }

    /// A ready copy: that of a root of a manifest, by its number, and what it takes on disk.
    pub fn ready_copy(&self, manifest: &Digest, number: u32, bytes: u64) -> PathBuf {
        self.ready_copies()
            .join(format!("{manifest}-{number}-{bytes}"))
    }

    /// When directories outside of the store were last as manifests say.
    pub fn stamps(&self) -> PathBuf {
        self.root.join("seen")
    }

    /// When a directory, by its device and inode, was last as a manifest says.
    pub fn stamp(&self, manifest: &Digest, device: u64, inode: u64) -> PathBuf {
        self.stamps()
            .join(format!("{manifest}-{device:x}-{inode:x}"))
    }

    /// The directory of all locks.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// The lock of the whole store.
    pub fn store_lock(&self) -> PathBuf {
        self.locks().join("store")
    }

    /// The lock of saving an entry.
    pub fn save_lock(&self, id: &EntryId) -> PathBuf {
        self.locks().join(id.to_string())
    }

    /// What phases of jobs left for later ones.
    pub fn job_states(&self) -> PathBuf {
        self.root.join("memories")
    }

    /// What a phase of a job left for a later one.
    pub fn job_state(&self, name: &str) -> PathBuf {
        self.job_states().join(name)
    }

    /// What phases of jobs did.
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// What is not finished yet.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What was found to be damaged.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// A damaged entry, set aside.
    pub fn quarantined(&self, id: &EntryId) -> PathBuf {
        self.quarantine().join(format!("{id}.json"))
    }

    /// Marks a pack or blob in which damage was found.
    pub fn suspect(&self, digest: &Digest) -> PathBuf {
        self.quarantine().join(format!("{digest}.suspect"))
    }
}

/// The digest in the name of a file of the store, less its ending.
pub(super) fn parse_digest(name: &std::ffi::OsStr, ending: &str) -> Option<Digest> {
    name.to_str()?.strip_suffix(ending)?.parse().ok()
}
