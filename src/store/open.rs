//! Opening and creating a store.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layout::{self, Layout};
use crate::error::{Error, Result};
use crate::fs::{TempName, files};

#[derive(Debug)]
pub struct Store {
    pub(super) layout: Layout,
    pub(super) modes: FileModes,
}

/// The permission bits of new directories and files in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileModes {
    pub directory: u32,
    pub file: u32,
}

impl FileModes {
    /// Everybody who may write to the cache root may read and write the store. Nobody else may read
    /// it, because it holds copies of files that only some users can read. The set-group-ID bit is
    /// inherited.
    fn from_cache_root(mode: u32) -> Self {
        let group = if mode & 0o020 == 0 { 0 } else { 0o070 };
        let others = if mode & 0o002 == 0 { 0 } else { 0o007 };
        let directory = 0o700 | group | others | (mode & 0o2000);
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

/// How long the creation of a store and the writing of job states wait for garbage collection.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

impl Store {
    /// Opens the store below a cache root; none if nothing has been saved there yet.
    pub fn open(cache_root: &Path) -> Result<Option<Self>> {
        let layout = Layout::new(cache_root);
        let Some(root) = files::stat(layout.root())? else {
            return Ok(None);
        };
        let store = Self {
            layout,
            modes: FileModes::from_cache_root(root.mode),
        };
        let format = match store.read_format() {
            // Another process is creating the store, or was killed while it did.
            Err(error) if error.is_not_found() && store.entry_ids(None)?.is_empty() => {
                return Ok(None);
            }
            // Entries are written after the format: if there are some by now, there is a format.
            Err(error) if error.is_not_found() => store.read_format(),
            other => other,
        };
        format.map_err(|error| store.as_damage(error))?;
        Ok(Some(store))
    }

    /// Opens the store below a cache root and creates what is missing of it.
    pub fn create(cache_root: &Path) -> Result<Self> {
        files::create_dir_all(cache_root)?;
        let layout = Layout::new(cache_root);
        let root =
            files::stat(cache_root)?.ok_or_else(|| Error::invalid("the cache root disappeared"))?;
        let modes = FileModes::from_cache_root(root.mode);
        files::create_dir(layout.root(), modes.directory)?;
        let store = Self { layout, modes };
        for directory in store.layout.subdirectories() {
            files::create_dir(&directory, modes.directory)?;
        }
        match store.read_format().map_err(|error| store.as_damage(error)) {
            Err(error) if error.is_damage() => store.write_format()?,
            other => other?,
        }
        Ok(store)
    }

    fn read_format(&self) -> Result<()> {
        let path = self.layout.format();
        let bytes = files::read(&path)?;
        let StoreFormat { format } = serde_json::from_slice(&bytes)
            .map_err(|error| Error::damaged(&path, format!("it cannot be read ({error})")))?;
        if format > layout::VERSION {
            return Err(Error::NewerFormat {
                path,
                found: format,
                supported: layout::VERSION,
            });
        }
        Ok(())
    }

    fn write_format(&self) -> Result<()> {
        let _lock = self.lock_shared(WRITE_TIMEOUT)?;
        self.write_atomically(&self.layout.cachedir_tag(), CACHEDIR_TAG)?;
        let format = serde_json::to_vec(&StoreFormat {
            format: layout::VERSION,
        });
        // Last: the store exists from now on.
        self.write_atomically(&self.layout.format(), &format.map_err(Error::defect)?)
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn modes(&self) -> FileModes {
        self.modes
    }

    /// The device and inode of the store's directory. A scan of a tree around the store skips it.
    pub fn identity(&self) -> Result<Option<(u64, u64)>> {
        Ok(files::stat(self.layout.root())?.map(|stat| (stat.device, stat.inode)))
    }

    /// Writes a small file under a temporary name and renames it. The caller holds `locks/store`,
    /// because garbage collection empties `tmp`.
    pub(super) fn write_atomically(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let unfinished = self.layout.tmp().join(random_name());
        files::write_new(&unfinished, self.modes.file, bytes)?;
        files::rename(&unfinished, path)
    }
}

pub(super) fn random_name() -> String {
    String::from_utf8_lossy(TempName::new().as_bytes()).into_owned()
}
