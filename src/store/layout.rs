//! The paths of all files in the store. No other file joins paths below the cache root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::id::EntryId;
use crate::digest::Digest;
use crate::fs::Stat;

/// The version of the store's format. A newer one gets a directory of its own.
pub const VERSION: u32 = 1;

/// The paths of a store.
///
/// ```text
/// <cache root>/local-cache-v1/
///   CACHEDIR.TAG  format.json
///   size                         the size of the store when it was last computed
///   collected                    exists while nothing has become garbage since its mtime
///   contents                     the contents of all packs, to read fewer of them
///   entries/<entry id>.json      one entry; it exists if this file does
///   manifests/<digest>           the list of an entry's files, or the record of its units
///   packs/<digest>.pack          contents of small files
///   packs/<digest>.moved         names of the packs that hold the contents of a rewritten pack
///   blobs/ab/<digest>            contents of one large file
///   used/<entry id>              empty; its modification time is the last use of the entry
///   ready/<manifest>-<n>-<bytes>-<ino>  a saved directory, to be restored by a rename
///   lent/<manifest>-<n>-<dev>-<ino>     notes a job's directory that becomes a ready copy
///   seen/<manifest>-<dev>-<ino>  states of files outside the store that matched a manifest
///   keys/<group>                 keys of the entries of a large group, to read fewer of them
///   locks/store                  locked by every process that reads or writes the store
///   locks/turn                   locked by a garbage collection that waits for `locks/store`
///   locks/<entry id>             locked by a save
///   locks/push-<digest>          locked by a push to one place on a remote
///   background-push.json         how the last copy to a remote in the background ended
///   memories/<name>              state that one phase of a job leaves for a later one
///   tmp/<random>                 unfinished files, and directories of them
///   events/                      the journal: one line for each phase of a job
///   quarantine/                  damaged entries, and marks for damaged packs and blobs
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The directories that have a file for each entry.
    pub(super) const CROWDED: [&str; 4] = ["entries", "manifests", "packs", "used"];

    pub fn new(cache_root: &Path) -> Self {
        Self {
            root: cache_root.join(format!("local-cache-v{VERSION}")),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directories that are created with the store, except [`Layout::root`].
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

    pub fn format(&self) -> PathBuf {
        self.root.join("format.json")
    }

    /// Caches the computed size of the store.
    pub fn size(&self) -> PathBuf {
        self.root.join("size")
    }

    /// An empty file; its modification time is that of the last garbage collection.
    pub(crate) fn collected(&self) -> PathBuf {
        self.root.join("collected")
    }

    /// Lists the contents of all packs.
    pub(crate) fn pack_contents(&self) -> PathBuf {
        self.root.join("contents")
    }

    /// Makes backup programs skip the store: <https://bford.info/cachedir/>.
    pub(crate) fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    pub fn entries(&self) -> PathBuf {
        self.root.join("entries")
    }

    pub fn entry(&self, id: &EntryId) -> PathBuf {
        self.entries().join(Self::entry_name(id))
    }

    /// The name of an entry's file.
    pub(super) fn entry_name(id: &EntryId) -> String {
        format!("{id}.json")
    }

    pub fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// The path of a manifest or of a record.
    pub fn manifest(&self, id: &Digest) -> PathBuf {
        self.manifests().join(id.to_string())
    }

    pub fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    pub fn pack(&self, id: &Digest) -> PathBuf {
        self.packs().join(format!("{id}.pack"))
    }

    /// Lists the packs that a pack was rewritten into.
    pub fn moved(&self, id: &Digest) -> PathBuf {
        self.packs().join(format!("{id}.moved"))
    }

    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Whether a name in [`Layout::blobs`] is that of a [`Layout::blob_shelf`].
    pub(super) fn is_blob_shelf(name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        name.len() == 2 && name.iter().all(u8::is_ascii_hexdigit)
    }

    /// The directory of the blobs whose digests start with the same two digits.
    pub fn blob_shelf(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(&digest.to_string()[..2])
    }

    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blob_shelf(digest).join(digest.to_string())
    }

    pub(crate) fn used_dir(&self) -> PathBuf {
        self.root.join("used")
    }

    /// Its modification time is the last use of the entry.
    pub fn used(&self, id: &EntryId) -> PathBuf {
        self.used_dir().join(id.to_string())
    }

    pub fn ready_copies(&self) -> PathBuf {
        self.root.join("ready")
    }

    /// A ready copy of root `number` of a manifest; `bytes` is its size on disk. A directory keeps
    /// its inode, so each copy has a name of its own.
    pub(crate) fn ready_copy(
        &self,
        manifest: &Digest,
        number: u32,
        bytes: u64,
        inode: u64,
    ) -> PathBuf {
        self.ready_copies()
            .join(format!("{manifest}-{number}-{bytes}-{inode:x}"))
    }

    pub(crate) fn lent_dir(&self) -> PathBuf {
        self.root.join("lent")
    }

    /// Notes the directory of a job that becomes a ready copy of root `number`.
    pub(crate) fn lent(&self, manifest: &Digest, number: u32, directory: &Stat) -> PathBuf {
        let Stat { device, inode, .. } = directory;
        self.lent_dir()
            .join(format!("{manifest}-{number}-{device:x}-{inode:x}"))
    }

    pub(crate) fn stamps(&self) -> PathBuf {
        self.root.join("seen")
    }

    /// The stamp of the tree whose first root has this device and inode.
    pub(crate) fn stamp(&self, manifest: &Digest, device: u64, inode: u64) -> PathBuf {
        self.stamps()
            .join(format!("{manifest}-{device:x}-{inode:x}"))
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The keys of the entries of a group.
    pub(crate) fn keys(&self, group: &str) -> PathBuf {
        self.keys_dir().join(group)
    }

    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    pub(crate) fn store_lock(&self) -> PathBuf {
        self.locks().join("store")
    }

    /// Held by a garbage collection while it waits for [`Layout::store_lock`].
    pub(crate) fn turn_lock(&self) -> PathBuf {
        self.locks().join("turn")
    }

    /// Locked while an entry is saved.
    pub(crate) fn save_lock(&self, id: &EntryId) -> PathBuf {
        self.locks().join(id.to_string())
    }

    /// Locked while entries are pushed to a place on a remote.
    #[cfg(feature = "remote")]
    pub(crate) fn push_lock(&self, place: &Digest) -> PathBuf {
        self.locks().join(format!("push-{place}"))
    }

    #[cfg(feature = "remote")]
    pub(crate) fn background_push(&self) -> PathBuf {
        self.root.join("background-push.json")
    }

    pub(crate) fn job_states(&self) -> PathBuf {
        self.root.join("memories")
    }

    pub(crate) fn job_state(&self, name: &str) -> PathBuf {
        self.job_states().join(name)
    }

    /// The directory of the journal.
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The directory of unfinished files. Garbage collection empties it.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Where a damaged entry is moved to.
    pub fn quarantined(&self, id: &EntryId) -> PathBuf {
        self.quarantine().join(format!("{id}.json"))
    }

    /// Marks a damaged pack or blob.
    pub(crate) fn suspect(&self, digest: &Digest) -> PathBuf {
        self.quarantine().join(format!("{digest}.suspect"))
    }
}

/// What an administrator sets for the machine, beside the stores of all formats.
pub fn machine_config(cache_root: &Path) -> PathBuf {
    cache_root.join("config.toml")
}

/// The digest that a file name consists of, before `suffix`.
pub(super) fn parse_digest(name: &OsStr, suffix: &str) -> Option<Digest> {
    name.to_str()?.strip_suffix(suffix)?.parse().ok()
}
