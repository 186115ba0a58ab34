//! The states of a directory that a power cut may leave.
//!
//! Nothing was flushed, so each name that an operation made, replaced or removed is as before or as
//! after it, in any combination, and a file that it wrote has all of its data, a part, zeros or
//! nothing. That is more than filesystems lose: most keep the order in which names changed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::rng::Rng;
use crate::support::trees;

/// The size of what a disk writes at once, and thus loses.
const SECTOR: usize = 512;

/// How much one power cut loses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// The share of the changed names that are as after the operation.
    names_kept: usize,
    /// The share of the written files that have all of their data, in percent.
    data_kept: usize,
}

/// From nothing to everything. A journal of names alone gives the second and the third.
pub(super) const LOSSES: [Loss; 6] = [
    Loss::of(100, 100),
    Loss::of(100, 0),
    Loss::of(100, 50),
    Loss::of(50, 100),
    Loss::of(50, 50),
    Loss::of(85, 85),
];

impl Loss {
    const fn of(names_kept: usize, data_kept: usize) -> Self {
        Self {
            names_kept,
            data_kept,
        }
    }
}

/// Writes one of the states between two directories to `into`.
pub(super) struct PowerCut<'r> {
    pub(super) loss: Loss,
    pub(super) rng: &'r mut Rng,
}

impl PowerCut<'_> {
    pub(super) fn between(&mut self, before: &Path, after: &Path, into: &Path) {
        make_like(after, into);
        for name in names(before).into_iter().chain(names(after)) {
            let (before, after, into) = (before.join(&name), after.join(&name), into.join(&name));
            if into.symlink_metadata().is_ok() {
                // In both lists.
                continue;
            }
            let (old, new) = (before.symlink_metadata(), after.symlink_metadata());
            let are = |test: fn(&fs::Metadata) -> bool| {
                old.as_ref().is_ok_and(test) && new.as_ref().is_ok_and(test)
            };
            if are(fs::Metadata::is_dir) {
                self.between(&before, &after, &into);
            } else if are(fs::Metadata::is_file) && is_same_file(&before, &after) {
                self.copy(&before, &into, false);
            } else if self.keeps_change() {
                if new.is_ok() {
                    self.copy(&after, &into, true);
                }
            } else if old.is_ok() {
                self.copy(&before, &into, false);
            }
        }
    }

    fn keeps_change(&mut self) -> bool {
        self.rng.percent(self.loss.names_kept)
    }

    /// Copies a name, without some of its data if it `is_new`.
    fn copy(&mut self, from: &Path, into: &Path, is_new: bool) {
        let metadata = from.symlink_metadata().unwrap();
        if metadata.is_symlink() {
            symlink(fs::read_link(from).unwrap(), into).unwrap();
        } else if metadata.is_dir() {
            make_like(from, into);
            for name in names(from) {
                if !is_new || self.keeps_change() {
                    self.copy(&from.join(&name), &into.join(&name), is_new);
                }
            }
        } else {
            let mut bytes = fs::read(from).unwrap();
            if is_new && !self.rng.percent(self.loss.data_kept) {
                self.lose_data(&mut bytes);
            }
            fs::write(into, bytes).unwrap();
            trees::set_mode(into, metadata.permissions().mode() & 0o7777);
        }
        trees::set_modified(into, metadata.mtime(), metadata.mtime_nsec());
    }

    fn lose_data(&mut self, bytes: &mut Vec<u8>) {
        match self.rng.below(4) {
            0 => bytes.clear(),
            1 => bytes.fill(0),
            2 => {
                let end = self.rng.below(bytes.len() / SECTOR + 1) * SECTOR;
                bytes[end..].fill(0);
            }
            _ => {
                for sector in bytes.chunks_mut(SECTOR) {
                    if self.rng.percent(30) {
                        sector.fill(0);
                    }
                }
            }
        }
    }
}

fn make_like(dir: &Path, into: &Path) {
    fs::create_dir(into).unwrap();
    trees::set_mode(
        into,
        fs::metadata(dir).unwrap().permissions().mode() & 0o7777,
    );
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort_unstable();
    names
}

/// Whether two names are of the same version of a file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let [a, b] = [one, other].map(|path| path.symlink_metadata().unwrap());
    let times = |found: &fs::Metadata| (found.mtime(), found.mtime_nsec(), found.len());
    times(&a) == times(&b) && fs::read(one).ok() == fs::read(other).ok()
}
