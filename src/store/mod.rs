//! The store: entries, manifests, packs and blobs below a cache root. `docs/format.md` describes it
//! byte by byte.
//!
//! # Why it is right at any instant
//!
//! - What is referred to is written before what refers to it: contents, then the manifest, then the
//!   entry. Each is written in `tmp` and renamed when it is complete. An entry exists only when its
//!   file does, so a save that is killed leaves nothing but garbage, and collecting removes that.
//! - Files that are published never change. Manifests, packs and blobs are named by digests of what
//!   they hold; two processes that publish the same thing publish the same bytes.
//! - Removal goes the other way: the entry first, then its manifest, then contents that nothing
//!   refers to.
//! - Nothing is flushed to the disk. A power cut can leave a published file torn or empty, but
//!   every byte is covered by a digest that is checked before or while it is used: the entry by its
//!   checksum, the manifest by the entry, each content by the manifest. Then the entry is damaged,
//!   which is said, and counts as a miss.
//! - Reading and saving hold the store's lock shared; collecting holds it alone, so that what a
//!   save found in the store and refers to is still there when its entry is published. See
//!   [`lock`].

pub mod blob;
pub mod disk_limits;
pub mod entry;
pub mod gc;
pub mod key_match;
pub mod layout;
mod locate;
pub mod lock;
pub mod pack;
pub mod ready;
pub mod retention;
pub mod save;
pub mod scope;
mod size;
mod stamps;
pub mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{Timestamp, files};
use crate::tree::manifest::{Manifest, References, SourceRecord};
use entry::{Entry, EntryGroup, EntryId};
use layout::Layout;

pub use scope::CacheScope;

/// A store that exists.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    modes: Modes,
}

/// The modes of the store's files, so that all who may write to the cache root may write to the
/// store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Of directories.
    pub directory: u32,
    /// Of files.
    pub file: u32,
}

impl Modes {
    /// Whoever may write to the cache root may read and write; nobody else may read, for there may
    /// be files in the store that nobody else may read where they come from. New files inherit the
    /// group as the root says.
    fn like(root: u32) -> Self {
        let group = if root & 0o020 == 0 { 0 } else { 0o070 };
        let others = if root & 0o002 == 0 { 0 } else { 0o007 };
        let directory = 0o700 | group | others | (root & 0o2000);
        Self {
            directory,
            file: directory & 0o666,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoreFormat {
    format: u32,
}

/// The text that marks a directory as a cache: <https://bford.info/cachedir/>.
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is kept by local-cache. All of it can be removed; builds are slower then.\n";

/// How long who makes a store, or remembers something in it, waits for a collection to end.
const PATIENCE: Duration = Duration::from_secs(30);

impl Store {
    /// Opens the store below a cache root; none when nothing has been saved there yet.
    pub fn open(cache_root: &Path) -> Result<Option<Self>> {
        let layout = Layout::new(cache_root);
        let Some(root) = files::stat(layout.root())? else {
            return Ok(None);
        };
        let store = Self {
            layout,
            modes: Modes::like(root.mode),
        };
        let read = match store.read_format() {
            // It is being made just now, or the process that made it was killed.
            Err(error) if error.is_not_found() && store.entry_ids(None)?.is_empty() => {
                return Ok(None);
            }
            // Entries come after the format, so where there are some by now, so is that.
            Err(error) if error.is_not_found() => store.read_format(),
            other => other,
        };
        read.map_err(|error| store.as_damage(error))?;
        Ok(Some(store))
    }

    /// Opens the store below a cache root and makes what is missing of it.
    pub fn create(cache_root: &Path) -> Result<Self> {
        files::create_dir_all(cache_root)?;
        let layout = Layout::new(cache_root);
        let root =
            files::stat(cache_root)?.ok_or_else(|| Error::invalid("the cache root disappeared"))?;
        let modes = Modes::like(root.mode);
        files::create_dir(layout.root(), modes.directory)?;
        let store = Self { layout, modes };
        for directory in store.layout.subdirectories() {
            files::create_dir(&directory, modes.directory)?;
        }
        match store.read_format().map_err(|error| store.as_damage(error)) {
            Err(error) if error.is_damage() => {}
            other => return other.map(|()| store),
        }
        let _sharing = store.lock_shared(PATIENCE)?;
        store.publish_text(&store.layout.cachedir_tag(), CACHEDIR_TAG)?;
        let format = serde_json::to_vec(&StoreFormat {
            format: layout::VERSION,
        });
        let format = format.map_err(Error::defect)?;
        // Last: with it the store exists.
        store.publish_text(&store.layout.format(), &format)?;
        Ok(store)
    }

    fn read_format(&self) -> Result<()> {
        let path = self.layout.format();
        let bytes = files::read(&path)?;
        let StoreFormat { format } = serde_json::from_slice(&bytes)
            .map_err(|error| Error::damaged(&path, format!("it can't be read ({error})")))?;
        if format > layout::VERSION {
            return Err(Error::NewerFormat {
                path,
                found: format,
                supported: layout::VERSION,
            });
        }
        Ok(())
    }

    /// The paths of the store.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The modes of its files.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// The device and inode of the store's directory, so that a tree around it can be saved without
    /// it.
    pub fn identity(&self) -> Result<Option<(u64, u64)>> {
        Ok(files::stat(self.layout.root())?.map(|stat| (stat.device, stat.inode)))
    }

    /// Publishes a small file. `locks/store` is to be held: a collection removes what it finds in
    /// `tmp`.
    fn publish_text(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let unfinished = self.layout.tmp().join(random_name());
        files::write_new(&unfinished, self.modes.file, bytes)?;
        files::rename(&unfinished, path)
    }

    /// The ids of all entries, or of those of a group.
    pub fn entry_ids(&self, group: Option<&EntryGroup>) -> Result<Vec<EntryId>> {
        let group = group.map(EntryGroup::id);
        let names = files::list(&self.layout.entries())?;
        let ids = names
            .iter()
            .filter_map(|name| EntryId::parse(name.to_str()?.strip_suffix(".json")?));
        Ok(ids
            .filter(|id| group.as_ref().is_none_or(|group| id.group() == group))
            .collect())
    }

    /// An error met while working with the store; as damage, when it is that a file of the store
    /// can't be read.
    ///
    /// Whatever keeps a file from being read, the entry that needs it can't be used, and others may
    /// be whole.
    pub fn as_damage(&self, error: Error) -> Error {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match &error {
            Error::Io { path, source, .. } if path.starts_with(self.layout.root()) => {
                match source.kind() {
                    NotFound => Error::damaged(path, "it is missing"),
                    IsADirectory | NotADirectory => Error::damaged(path, "it is not a file"),
                    PermissionDenied => Error::damaged(path, "it may not be read"),
                    _ if source.raw_os_error() == Some(nix::libc::EIO) => {
                        Error::damaged(path, "the disk can't read it")
                    }
                    _ => error,
                }
            }
            _ => error,
        }
    }

    /// Reads an entry; none when there is none.
    pub fn read_entry(&self, id: &EntryId) -> Result<Option<Entry>> {
        let path = self.layout.entry(id);
        match files::read(&path) {
            Ok(bytes) => Entry::decode(&bytes, id, &path).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    /// Reads the manifest of an entry.
    pub fn read_manifest(&self, entry: &Entry) -> Result<Manifest> {
        let path = self.layout.manifest(&entry.manifest);
        let bytes = files::read(&path).map_err(|error| self.as_damage(error))?;
        Manifest::decode(&bytes, &entry.manifest, &path)
    }

    /// Reads a record of sources.
    pub fn read_record(&self, id: &Digest) -> Result<SourceRecord> {
        let path = self.layout.manifest(id);
        let bytes = files::read(&path).map_err(|error| self.as_damage(error))?;
        SourceRecord::decode(&bytes, id, &path)
    }

    /// Reads what a manifest needs of the store, without the rest of it.
    pub fn read_references(&self, manifest: &Digest) -> Result<References> {
        let path = self.layout.manifest(manifest);
        let file = files::open(&path).map_err(|error| self.as_damage(error))?;
        let read = |length: usize| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length];
            let whole = files::read_exact_at(&file, &mut bytes, 0).context("read", || &path);
            let whole = whole.map_err(|error| self.as_damage(error))?;
            if whole {
                Ok(bytes)
            } else {
                Err(Error::damaged(&path, "it is too short"))
            }
        };
        let length = References::required_len(&read(References::PREFIX)?, manifest, &path)?;
        if length as u64 > files::length(&file, &path)? {
            return Err(Error::damaged(&path, "it is too short"));
        }
        References::decode(&read(length)?, manifest, &path)
    }

    /// Opens a pack and reads its index.
    fn open_pack(&self, id: &Digest) -> Result<(PathBuf, File, pack::PackIndex)> {
        let path = self.layout.pack(id);
        let file = files::open(&path).map_err(|error| self.as_damage(error))?;
        let index =
            pack::PackIndex::read(&file, id, &path).map_err(|error| self.as_damage(error))?;
        Ok((path, file, index))
    }

    /// The packs that hold what a pack held that was rewritten; none when it was not.
    fn read_moved(&self, id: &Digest) -> Result<Option<Vec<Digest>>> {
        let path = self.layout.moved(id);
        match files::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::damaged(&path, format!("it can't be read ({error})"))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(self.as_damage(error)),
        }
    }

    /// Keeps a few bytes for a later phase of the same job.
    pub fn put_job_state(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let _sharing = self.lock_shared(PATIENCE)?;
        files::create_dir(&self.layout.job_states(), self.modes.directory)?;
        self.publish_text(&self.layout.job_state(name), bytes)
    }

    /// What was remembered, if anything was.
    pub fn job_state(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match files::read(&self.layout.job_state(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What was remembered, if anything was; it is forgotten then.
    pub fn take_job_state(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.layout.job_state(name);
        let bytes = files::read(&path).ok()?;
        // A memory that stays is removed when it is old.
        drop(files::remove(&path));
        Some(bytes)
    }

    /// Notes that an entry was used now.
    pub fn mark_used(&self, id: &EntryId) -> Result<()> {
        files::touch(&self.layout.used(id), self.modes.file)
    }

    /// When an entry was last used, or else saved.
    pub fn last_used(&self, id: &EntryId, entry: &Entry) -> Result<Timestamp> {
        Ok(files::mtime(&self.layout.used(id))?
            .map_or(entry.created, |used| used.max(entry.created)))
    }

    /// Sets a damaged entry aside: from now on it does not exist.
    pub fn quarantine(&self, id: &EntryId) -> Result<()> {
        files::create_dir(&self.layout.quarantine(), self.modes.directory)?;
        match files::rename(&self.layout.entry(id), &self.layout.quarantined(id)) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Marks a pack or blob in which damage was found, so that no new entry refers to it until it
    /// was checked.
    pub fn mark_suspect(&self, path: &Path) -> Result<()> {
        let stem = path.file_stem().unwrap_or_default();
        match layout::digest_in(stem, "") {
            Some(digest)
                if path.starts_with(self.layout.packs())
                    || path.starts_with(self.layout.blobs()) =>
            {
                files::create_dir(&self.layout.quarantine(), self.modes.directory)?;
                files::touch(&self.layout.suspect(&digest), self.modes.file)
            }
            _ => Ok(()),
        }
    }

    /// The packs and blobs in which damage was found.
    pub fn suspects(&self) -> Result<Vec<Digest>> {
        let names = files::list(&self.layout.quarantine())?;
        Ok(names
            .iter()
            .filter_map(|name| layout::digest_in(name, ".suspect"))
            .collect())
    }
}

fn random_name() -> String {
    String::from_utf8_lossy(crate::fs::TempName::new().as_bytes()).into_owned()
}
