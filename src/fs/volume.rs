//! How full a filesystem is.

use std::path::Path;

use nix::sys::statfs;
use nix::sys::statvfs::statvfs;

use crate::error::{IoContext, Result};

/// The room of a filesystem, as ordinary users see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// The filesystem; two paths with the same one share their room.
    pub device: u64,
    /// Bytes that ordinary users may use in all: what root has in reserve is not among them.
    pub usable_bytes: u64,
    /// Bytes of them that are free.
    pub free_bytes: u64,
    /// Its inodes; none on a filesystem that makes them as it needs them and reports no number
    /// (btrfs, and most that come over a network).
    pub inodes: Option<Inodes>,
}

/// How many files a filesystem can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inodes {
    /// In all.
    pub total: u64,
    /// Of them free.
    pub free: u64,
}

impl Volume {
    /// Percent used, rounded up as df does.
    pub fn used_percent(&self) -> u8 {
        percent(
            self.usable_bytes.saturating_sub(self.free_bytes),
            self.usable_bytes,
        )
    }
}

impl Inodes {
    /// Percent used, rounded up as df does.
    pub fn used_percent(&self) -> u8 {
        percent(self.total.saturating_sub(self.free), self.total)
    }
}

fn percent(used: u64, total: u64) -> u8 {
    let percent = if total == 0 {
        0
    } else {
        (u128::from(used) * 100).div_ceil(u128::from(total))
    };
    u8::try_from(percent).unwrap_or(100)
}

/// The room of the filesystem that a path lies on; for a path that does not exist yet, that of the
/// nearest directory above it.
pub fn volume(path: &Path) -> Result<Volume> {
    let mut existing = path;
    let (device, room) = loop {
        match nix::sys::stat::stat(existing).and_then(|stat| Ok((stat.st_dev, statvfs(existing)?)))
        {
            Ok(found) => break found,
            Err(errno @ (nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR)) => {
                let above = existing.parent().ok_or(errno);
                existing = above.context("inspect the filesystem of", || path)?;
            }
            Err(errno) => return Err(errno).context("inspect the filesystem of", || existing),
        }
    };
    let used = room.blocks().saturating_sub(room.blocks_free());
    let size = room.fragment_size();
    // Root's reserve of inodes is not told apart everywhere, so what is free to all counts.
    let inodes = (room.files() > 0).then(|| Inodes {
        total: room.files(),
        free: room.files_free(),
    });
    Ok(Volume {
        device,
        usable_bytes: used
            .saturating_add(room.blocks_available())
            .saturating_mul(size),
        free_bytes: room.blocks_available().saturating_mul(size),
        inodes,
    })
}

/// Names of filesystems by their magic numbers (linux/magic.h).
const KNOWN: [(i64, &str); 14] = [
    (0xEF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58F6, "ramfs"),
    (0x794C_7630, "overlay"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x4D44, "vfat"),
];

/// The kind of filesystem that a path lies on, by the name that `mount` has for it; `0x...` for one
/// that is not known.
pub fn filesystem_type(path: &Path) -> Result<String> {
    let magic = magic(path)?;
    Ok(known(magic).map_or_else(|| format!("{magic:#x}"), str::to_owned))
}

/// Whether the filesystem that a path lies on takes its times from this machine's clock. No for
/// those of a network, and for all that are not known here.
pub fn has_local_clock(path: &Path) -> Result<bool> {
    let local = [
        "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", "bcachefs",
    ];
    Ok(known(magic(path)?).is_some_and(|name| local.contains(&name)))
}

fn magic(path: &Path) -> Result<i64> {
    let stat = statfs::statfs(path).context("inspect the filesystem of", || path)?;
    Ok(stat.filesystem_type().0 as i64)
}

fn known(magic: i64) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(number, _)| *number == magic)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_up_and_need_no_size() {
        let full = |used: u64, usable: u64| {
            Volume {
                usable_bytes: usable,
                free_bytes: usable - used,
                ..Volume::default()
            }
            .used_percent()
        };
        assert_eq!(
            (
                full(0, 0),
                full(0, 100),
                full(1, 1000),
                full(800, 1000),
                full(801, 1000)
            ),
            (0, 0, 1, 80, 81)
        );
        assert_eq!(full(u64::MAX, u64::MAX), 100);
        assert_eq!(Inodes { total: 0, free: 0 }.used_percent(), 0);
    }

    #[test]
    fn a_path_that_does_not_exist_lies_where_its_directory_does() {
        let dir = tempfile::tempdir().unwrap();
        let below = volume(&dir.path().join("a/b/c")).unwrap();
        let own = volume(dir.path()).unwrap();
        assert_eq!(
            (below.device, below.usable_bytes),
            (own.device, own.usable_bytes)
        );
        assert!(own.usable_bytes >= own.free_bytes && own.usable_bytes > 0);
        assert!(!filesystem_type(dir.path()).unwrap().is_empty());
    }
}
