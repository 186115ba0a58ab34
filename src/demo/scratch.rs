//! The one directory that everything happens in.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, IoContext, Result};
use crate::fs::{files, remove_tree};

/// A temporary directory that goes when it is dropped, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes a directory that only its owner can use.
    pub(super) fn create(parent: &Path, keep: bool) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix("local-cache-demo-")
            .permissions(Permissions::from_mode(0o700));
        let directory = builder.tempdir_in(parent);
        let directory = directory.context("create a temporary directory in", || parent)?;
        // Cargo names files by their real paths.
        let path = files::canonical(directory.path())?;
        // From here on it is removed by this type, which can do so where directories are read-only.
        drop(directory.keep());
        Ok(Self { path, keep })
    }

    /// The directory itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What checkouts are made from.
    pub(super) fn origin(&self) -> PathBuf {
        self.path.join("origin")
    }

    /// The cache root.
    pub(super) fn cache_root(&self) -> PathBuf {
        self.path.join("runner-cache")
    }

    /// The job's checkout.
    pub(super) fn checkout(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The checkout's target directory.
    pub(super) fn target(&self) -> PathBuf {
        self.checkout().join("target")
    }

    /// The home of the job's user.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Cargo's home in it.
    pub(super) fn cargo_home(&self) -> PathBuf {
        self.home().join(".cargo")
    }

    /// Temporary files of the job.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Lays the machine anew: an empty home and no checkout. Origin and store stay.
    pub(super) fn renew(&self) -> Result<()> {
        for directory in [self.home(), self.tmp(), self.checkout()] {
            remove_tree(&directory)?;
        }
        files::create_dir_all(&self.cargo_home())?;
        files::create_dir_all(&self.tmp())
    }

    /// Removes the directory, unless it is to be kept.
    pub(super) fn end(self) -> Result<()> {
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
            // It can only be tried here; `end` tells.
            drop(remove(&self.path));
        }
    }
}

/// Removes a tree into which a process that is just being killed may still have written.
fn remove(path: &Path) -> Result<()> {
    const TRIES: u32 = 5;
    let mut result = Ok(());
    for tried in 0..TRIES {
        thread::sleep(Duration::from_millis(100) * tried);
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
    fn the_directory_goes_with_everything_in_it_or_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let scratch = Scratch::create(parent.path(), keep).unwrap();
            let path = scratch.path().to_owned();
            scratch.renew().unwrap();
            fs::write(scratch.home().join("file"), "x").unwrap();
            drop(scratch);
            assert_eq!(path.exists(), keep);
        }
    }

    #[test]
    fn a_renewed_machine_keeps_the_store_and_nothing_of_the_last_job() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(parent.path(), false).unwrap();
        scratch.renew().unwrap();
        for directory in [
            scratch.cache_root(),
            scratch.target(),
            scratch.cargo_home().join("registry"),
        ] {
            fs::create_dir_all(directory).unwrap();
        }
        scratch.renew().unwrap();
        assert!(scratch.cache_root().exists() && scratch.cargo_home().exists());
        assert!(!scratch.checkout().exists() && !scratch.cargo_home().join("registry").exists());
    }
}
