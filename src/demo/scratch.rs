//! The temporary directory of the demo. It stands for a runner with an empty disk.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, IoContext, Result};
use crate::fs::{files, remove_tree};

/// A temporary directory that is removed when it is dropped, unless `keep` is set.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Creates a directory that only its owner can use.
    pub(super) fn create(parent: &Path, keep: bool) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("local-cache-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .context("create a temporary directory in", || parent)?;
        // Canonical, because cargo prints real paths and the output is searched for this one.
        let path = files::canonical(directory.path())?;
        // From here on this type removes it: tempfile can't remove trees with read-only
        // directories, such as those of some registries.
        drop(directory.keep());
        Ok(Self { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The repository that every job checks out.
    pub(super) fn origin(&self) -> PathBuf {
        self.path.join("origin")
    }

    pub(super) fn cache_root(&self) -> PathBuf {
        self.path.join("runner-cache")
    }

    pub(super) fn checkout(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.checkout().join("target")
    }

    /// The home directory of the user who runs the jobs.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(super) fn cargo_home(&self) -> PathBuf {
        self.home().join(".cargo")
    }

    /// The directory that TMPDIR names in the jobs.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Resets the runner: an empty home directory and no checkout. The origin and the store stay.
    pub(super) fn reset(&self) -> Result<()> {
        for directory in [self.home(), self.tmp(), self.checkout()] {
            remove_tree(&directory)?;
        }
        files::create_dir_all(&self.cargo_home())?;
        files::create_dir_all(&self.tmp())
    }

    /// Removes the directory unless `keep` is set, and reports errors, which dropping does not.
    pub(super) fn close(self) -> Result<()> {
        if self.keep {
            Ok(())
        } else {
            remove(&self.path)
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            drop(remove(&self.path));
        }
    }
}

/// Removes a tree. A process that was just killed may still write into it, so a directory that is
/// not empty is tried again.
fn remove(path: &Path) -> Result<()> {
    const ATTEMPTS: u32 = 5;
    let mut result = Ok(());
    for attempt in 0..ATTEMPTS {
        thread::sleep(Duration::from_millis(100) * attempt);
        result = remove_tree(path).map(|_| ());
        match &result {
            Err(Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            _ => break,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_directory_is_removed_or_kept() {
        let parent = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let scratch = Scratch::create(parent.path(), keep).unwrap();
            let path = scratch.path().to_owned();
            scratch.reset().unwrap();
            fs::write(scratch.home().join("file"), "x").unwrap();
            drop(scratch);
            assert_eq!(path.exists(), keep);
        }
    }

    #[test]
    fn a_reset_keeps_the_store_and_nothing_of_the_last_job() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(parent.path(), false).unwrap();
        scratch.reset().unwrap();
        for directory in [
            scratch.cache_root(),
            scratch.target(),
            scratch.cargo_home().join("registry"),
        ] {
            fs::create_dir_all(directory).unwrap();
        }
        scratch.reset().unwrap();
        assert!(scratch.cache_root().exists() && scratch.cargo_home().exists());
        assert!(!scratch.checkout().exists() && !scratch.cargo_home().join("registry").exists());
    }
}
