//! Capacity and type of filesystems.

use std::path::Path;

use nix::sys::statfs;
use nix::sys::statvfs::{Statvfs, statvfs};

use crate::error::{IoContext, Result};

/// The capacity of a filesystem for ordinary users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub device: u64,
    /// Total bytes, without those reserved for root.
    pub usable_bytes: u64,
    /// Free bytes, without those reserved for root.
    pub free_bytes: u64,
    /// None for a filesystem that creates inodes on demand and reports no number (btrfs, and most
    /// network filesystems).
    pub inodes: Option<Inodes>,
}

/// How many files a filesystem can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inodes {
    pub total: u64,
    pub free: u64,
}

impl Volume {
    /// Rounded up like in `df`.
    pub fn used_percent(&self) -> u8 {
        percent(
            self.usable_bytes.saturating_sub(self.free_bytes),
            self.usable_bytes,
        )
    }
}

impl Inodes {
    /// Rounded up like in `df`.
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

/// The capacity of the filesystem of a path. If the path does not exist yet, its nearest existing
/// ancestor is used.
pub fn volume(path: &Path) -> Result<Volume> {
    let (device, room) = nearest_filesystem(path)?;
    let used = room.blocks().saturating_sub(room.blocks_free());
    let size = room.fragment_size();
    // Not all filesystems report the inodes reserved for root, so all free ones count.
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

/// The device and capacity of the filesystem of the nearest existing ancestor.
fn nearest_filesystem(path: &Path) -> Result<(u64, Statvfs)> {
    let mut existing = path;
    loop {
        match nix::sys::stat::stat(existing).and_then(|stat| Ok((stat.st_dev, statvfs(existing)?)))
        {
            Ok(found) => return Ok(found),
            Err(errno @ (nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR)) => {
                let above = existing.parent().ok_or(errno);
                existing = above.context("inspect the filesystem of", || path)?;
            }
            Err(errno) => return Err(errno).context("inspect the filesystem of", || existing),
        }
    }
}

/// Names of filesystems by their magic numbers (linux/magic.h).
const TYPES: [(i64, &str); 14] = [
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

/// The type of the filesystem of a path, as `mount` calls it. The magic number (`0x...`) for an
/// unknown type.
pub(crate) fn filesystem_type(path: &Path) -> Result<String> {
    let magic = magic(path)?;
    Ok(name_of(magic).map_or_else(|| format!("{magic:#x}"), str::to_owned))
}

/// Whether the filesystem of a path takes its times from this machine's clock. False for network
/// filesystems and unknown types.
pub(crate) fn has_local_clock(path: &Path) -> Result<bool> {
    let local = [
        "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", "bcachefs",
    ];
    Ok(name_of(magic(path)?).is_some_and(|name| local.contains(&name)))
}

/// Whether the inode number and the ctime of a file on the filesystem of a path identify a state of
/// the file. False where another machine assigns them (network filesystems), where they come from
/// the layers below, which an image may give any (overlayfs), and for unknown types.
pub(crate) fn proves_unchanged(path: &Path) -> Result<bool> {
    Ok(has_local_clock(path)? && name_of(magic(path)?) != Some("overlay"))
}

fn magic(path: &Path) -> Result<i64> {
    let stat = statfs::statfs(path).context("inspect the filesystem of", || path)?;
    Ok(stat.filesystem_type().0 as i64)
}

fn name_of(magic: i64) -> Option<&'static str> {
    TYPES
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
    fn a_missing_path_has_the_volume_of_its_nearest_ancestor() {
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
