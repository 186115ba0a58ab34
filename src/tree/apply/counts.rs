//! Counts what was done, from several threads.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a restore did to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files written, including empty files, hard links and symlinks.
    pub files: u64,
    pub bytes: u64,
    pub directories: u64,
    /// Files that were read and had the right contents already.
    pub confirmed: u64,
    /// The total size of the confirmed files, in bytes.
    pub confirmed_bytes: u64,
    /// Files that only got another time, mode or attributes.
    pub metadata_set: u64,
    /// Names removed, including everything below them.
    pub removed: u64,
    /// Files with an extended attribute that could not be set.
    pub without_attributes: u64,
    /// Hard links that became copies, because the filesystem refused the link.
    pub copied_links: u64,
}

/// A counter that several threads add to.
#[derive(Default)]
pub(super) struct AtomicCounter(AtomicU64);

impl AtomicCounter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The fields of [`Applied`] while the work goes on.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) files: AtomicCounter,
    pub(super) bytes: AtomicCounter,
    pub(super) directories: AtomicCounter,
    pub(super) confirmed: AtomicCounter,
    pub(super) confirmed_bytes: AtomicCounter,
    pub(super) metadata_set: AtomicCounter,
    pub(super) removed: AtomicCounter,
    pub(super) without_attributes: AtomicCounter,
    pub(super) copied_links: AtomicCounter,
}

impl Counts {
    pub(super) fn total(&self) -> Applied {
        Applied {
            files: self.files.get(),
            bytes: self.bytes.get(),
            directories: self.directories.get(),
            confirmed: self.confirmed.get(),
            confirmed_bytes: self.confirmed_bytes.get(),
            metadata_set: self.metadata_set.get(),
            removed: self.removed.get(),
            without_attributes: self.without_attributes.get(),
            copied_links: self.copied_links.get(),
        }
    }
}
