//! Opening and creating a store.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layout::{self, Layout};
use super::trust::{self, Distrust, Sharing};
use crate::error::{Error, IoContext, Result};
use crate::fs::{BaseDir, Dir, FileKind, Owner, Stat, TempName, effective_uid, files};

#[derive(Debug)]
pub struct Store {
    pub(super) layout: Layout,
    pub(super) modes: FileModes,
    /// [`Layout::root`]. All files of the store are opened relative to it.
    pub(super) dir: BaseDir,
}

/// The permission bits of new directories and files in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileModes {
    pub directory: u32,
    pub file: u32,
}

impl From<Sharing> for FileModes {
    /// Nobody but those who share it may read a store, because it holds copies of files that only
    /// some users can read.
    fn from(sharing: Sharing) -> Self {
        let (directory, file) = match sharing {
            Sharing::Private => (0o700, 0o600),
            // The set-group-ID bit gives new files the group of the cache root.
            Sharing::Group => (0o2770, 0o660),
        };
        Self { directory, file }
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

/// Bytes that `format.json` and other files of a few fields have at most.
pub(super) const SMALL_FILE: u64 = 64 << 10;

/// The mode of a cache root that this program creates.
const ROOT_MODE: u32 = 0o700;

/// An existing cache root that may be used.
pub(crate) struct CacheRoot {
    dir: BaseDir,
    stat: Stat,
    pub(crate) sharing: Sharing,
}

impl CacheRoot {
    /// None if it does not exist.
    ///
    /// Errors: [`Error::Untrusted`] if others may write to it.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let Some(link) = files::stat_link(path)? else {
            return Ok(None);
        };
        let dir = match Dir::enter_path(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.context("open", || path)?,
        };
        let stat = dir.stat().context("inspect", || path)?;
        let link = (link.kind == FileKind::Symlink).then_some(&link);
        let sharing = trust::judge_root(effective_uid(), link, &stat)
            .map_err(|distrust| untrusted(path, distrust))?;
        let mut dir = BaseDir::new(dir, path.to_owned());
        give_to_owner(&mut dir, &stat);
        Ok(Some(Self { dir, stat, sharing }))
    }

    /// Opens the directory of the store. None if it does not exist.
    fn open_store(&self, layout: &Layout) -> Result<Option<BaseDir>> {
        let Some(mut dir) = self.dir.open_dir(layout.root())? else {
            return Ok(None);
        };
        let stat = dir.own_stat()?;
        trust::judge_store(effective_uid(), &self.stat, &stat)
            .map_err(|distrust| untrusted(layout.root(), distrust))?;
        give_to_owner(&mut dir, &stat);
        for name in Layout::CROWDED {
            dir.keep_open(name);
        }
        Ok(Some(dir))
    }
}

fn untrusted(path: &Path, distrust: Distrust) -> Error {
    Error::Untrusted {
        path: path.to_owned(),
        reason: distrust.to_string(),
        advice: distrust.advice(),
    }
}

/// What root creates in the store of another user shall belong to that user, who could not read or
/// remove it otherwise.
fn give_to_owner(dir: &mut BaseDir, stat: &Stat) {
    if effective_uid() == 0 && stat.uid != 0 {
        dir.give_new_files_to(Owner {
            uid: stat.uid,
            gid: stat.gid,
        });
    }
}

impl Store {
    /// Opens the store below a cache root; none if nothing has been saved there yet.
    ///
    /// Errors: [`Error::Untrusted`] if others may write to it.
    pub fn open(cache_root: &Path) -> Result<Option<Self>> {
        let Some(root) = CacheRoot::open(cache_root)? else {
            return Ok(None);
        };
        let layout = Layout::new(cache_root);
        let Some(dir) = root.open_store(&layout)? else {
            return Ok(None);
        };
        let modes = root.sharing.into();
        let store = Self { layout, modes, dir };
        store.check_directories()?;
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
    ///
    /// Errors: [`Error::Untrusted`] if others may write to it.
    pub fn create(cache_root: &Path) -> Result<Self> {
        create_root(cache_root)?;
        let disappeared = || Error::invalid("the cache root disappeared");
        let root = CacheRoot::open(cache_root)?.ok_or_else(disappeared)?;
        let layout = Layout::new(cache_root);
        let modes = FileModes::from(root.sharing);
        root.dir.create_dir(layout.root(), modes.directory)?;
        let dir = root.open_store(&layout)?.ok_or_else(disappeared)?;
        let store = Self { layout, modes, dir };
        store.check_directories()?;
        for directory in store.layout.subdirectories() {
            store.dir.create_dir(&directory, modes.directory)?;
        }
        match store.read_format().map_err(|error| store.as_damage(error)) {
            Err(error) if error.is_damage() => store.write_format()?,
            other => other?,
        }
        Ok(store)
    }

    /// Fails if something else is in the place of a directory of the store. If that were found
    /// later, it would look like damage of every entry.
    fn check_directories(&self) -> Result<()> {
        for directory in self.layout.subdirectories() {
            let found = self.dir.stat(&directory)?;
            if found.is_some_and(|stat| stat.kind != FileKind::Directory) {
                let not_a_directory: Result<(), _> = Err(nix::errno::Errno::ENOTDIR);
                return not_a_directory.context("open", || directory);
            }
        }
        Ok(())
    }

    fn read_format(&self) -> Result<()> {
        let path = self.layout.format();
        let bytes = self.dir.read(&path, SMALL_FILE)?;
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
    pub fn identity(&self) -> Result<(u64, u64)> {
        let stat = self.dir.own_stat()?;
        Ok((stat.device, stat.inode))
    }

    /// The directory of the journal below a cache root; none if there is no journal yet. It can be
    /// read whatever the format of the store is.
    pub(crate) fn open_journal(cache_root: &Path) -> Result<Option<BaseDir>> {
        let layout = Layout::new(cache_root);
        let Some(root) = CacheRoot::open(cache_root)? else {
            return Ok(None);
        };
        match root.open_store(&layout)? {
            Some(store) => store.open_dir(&layout.events()),
            None => Ok(None),
        }
    }

    /// Opens the directory of the journal, and creates it if needed.
    pub(crate) fn create_journal(&self) -> Result<BaseDir> {
        let path = self.layout.events();
        self.dir.create_dir(&path, self.modes.directory)?;
        let opened = self.dir.open_dir(&path)?;
        opened.ok_or_else(|| Error::invalid("the directory of the journal disappeared"))
    }

    /// Writes a small file under a temporary name and renames it. The caller holds `locks/store`,
    /// because garbage collection empties `tmp`.
    pub(super) fn write_atomically(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let unfinished = self.layout.tmp().join(random_name());
        self.dir.write_new(&unfinished, self.modes.file, bytes)?;
        self.dir.rename(&unfinished, path)
    }
}

/// Creates a missing cache root for its owner alone. Its administrator can create it before with
/// another mode.
fn create_root(cache_root: &Path) -> Result<()> {
    if let Some(parent) = cache_root.parent() {
        files::create_dir_all(parent)?;
    }
    files::create_dir(cache_root, ROOT_MODE)
}

pub(super) fn random_name() -> String {
    String::from_utf8_lossy(TempName::new().as_bytes()).into_owned()
}
