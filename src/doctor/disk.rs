//! Checks of the filesystem of the cache root.

use std::path::Path;

use super::finding::{DoctorOptions, Finding};
use crate::fmt::human::bytes;
use crate::fs::{Timestamp, Volume, filesystem_type, probe, volume};
use crate::store::disk_limits::{DiskLimits, RECOMMENDED_FREE};

/// The defaults of the action.
const DEFAULT_LIMITS: DiskLimits = DiskLimits {
    used_percent: Some(80),
    free_bytes: 20_000_000_000,
    store_bytes: None,
};

/// One target directory fills a memory filesystem that is smaller than this.
const SMALL_TMPFS: u64 = 50_000_000_000;

/// How many seconds the clocks of the machine and of a filesystem may differ.
const MAX_CLOCK_SKEW: i64 = 5;

/// 2024-01-01: a clock that shows an earlier time was never set.
const EARLIEST_TIME: i64 = 1_704_067_200;

pub(super) fn findings(root: &Path) -> Vec<Finding> {
    match volume(root) {
        Ok(volume) => vec![kind(root, &volume), space(root, &volume), inodes(&volume)],
        Err(error) => vec![Finding::unknown("filesystem", &error)],
    }
}

/// What is found out by writing files.
pub(super) fn tests(options: &DoctorOptions, root: &Path) -> Vec<Finding> {
    vec![
        reflink(root),
        rename(options, root),
        locks(root),
        clock(root),
    ]
}

fn kind(root: &Path, volume: &Volume) -> Finding {
    const CHECK: &str = "filesystem";
    let name = match filesystem_type(root) {
        Ok(name) => name,
        Err(error) => return Finding::unknown(CHECK, &error),
    };
    let found = format!(
        "{} is on {name}, {}",
        root.display(),
        bytes(volume.usable_bytes)
    );
    match name.as_str() {
        "tmpfs" | "ramfs" => {
            let size = if volume.usable_bytes < SMALL_TMPFS {
                ", is small"
            } else {
                ""
            };
            Finding::warning(
                CHECK,
                format!("{found}: it is in memory{size}, and is empty after a restart"),
                "choose a directory on a disk with `cache-root`, such as /var/cache/local-cache; \
                 many newer systems have /tmp in memory",
            )
        }
        "overlay" => Finding::warning(
            CHECK,
            format!("{found}: the layer of a container, which is removed with it"),
            "mount a directory of the host there, or let the action choose the host (`site: auto`)",
        ),
        "nfs" | "cifs" | "smb2" | "fuse" => Finding::warning(
            CHECK,
            format!("{found}: it is a network or FUSE filesystem"),
            "a local disk is faster and has reliable locks",
        ),
        "vfat" => Finding::problem(
            CHECK,
            format!("{found}: it stores neither modes nor links"),
            "choose a directory on ext4, xfs or btrfs with `cache-root`",
        ),
        _ => Finding::ok(CHECK, found),
    }
}

fn space(root: &Path, volume: &Volume) -> Finding {
    const CHECK: &str = "free space";
    let found = format!(
        "{} free of {} ({} % used)",
        bytes(volume.free_bytes),
        bytes(volume.usable_bytes),
        volume.used_percent()
    );
    let shortfall = DEFAULT_LIMITS.shortfall(volume, 0);
    if shortfall.free_bytes > 0 {
        Finding::problem(
            CHECK,
            format!("{found}: below the 20 GB that are kept free, so nothing is saved"),
            format!(
                "free space on the disk of {}, choose another one with `cache-root`, or set `min-free-space`",
                root.display()
            ),
        )
    } else if shortfall.percent_bytes > 0 {
        Finding::warning(
            CHECK,
            format!("{found}: above 80 %, so each job removes old entries"),
            "free space, or set `disk-threshold` to the usual level of this disk",
        )
    } else if volume.free_bytes < RECOMMENDED_FREE {
        Finding::warning(
            CHECK,
            format!("{found}: 50 GB are recommended for caches and builds"),
            "watch it, or choose a larger disk with `cache-root`",
        )
    } else {
        Finding::ok(CHECK, found)
    }
}

fn inodes(volume: &Volume) -> Finding {
    const CHECK: &str = "inodes";
    match volume.inodes {
        None => Finding::ok(CHECK, "the filesystem creates them as needed"),
        Some(inodes) if inodes.used_percent() > 80 => Finding::warning(
            CHECK,
            format!("{} % used, {} free", inodes.used_percent(), inodes.free),
            "look for directories with very many small files; the store itself has few",
        ),
        Some(inodes) => Finding::ok(CHECK, format!("{} % used", inodes.used_percent())),
    }
}

fn reflink(root: &Path) -> Finding {
    const CHECK: &str = "reflink";
    match probe::can_reflink(root) {
        Ok(true) => Finding::ok(
            CHECK,
            "files can share blocks, so large ones are saved without copying",
        ),
        Ok(false) => Finding::ok(
            CHECK,
            "files cannot share blocks here; they are copied (xfs and btrfs can)",
        ),
        Err(error) => Finding::unknown(CHECK, &error),
    }
}

fn rename(options: &DoctorOptions, root: &Path) -> Finding {
    const CHECK: &str = "rename";
    match probe::can_rename(root, &options.workspace) {
        Ok(true) => Finding::ok(CHECK, "store and workspace are on one filesystem"),
        Ok(false) => Finding::warning(
            CHECK,
            format!(
                "{} and {} are on different filesystems",
                root.display(),
                options.workspace.display()
            ),
            "with both on one filesystem, a target directory is restored by a rename instead of a copy",
        ),
        Err(error) => Finding::unknown(CHECK, &error),
    }
}

fn locks(root: &Path) -> Finding {
    const CHECK: &str = "locks";
    match probe::can_lock(root) {
        Ok(true) => Finding::ok(CHECK, "file locks work"),
        Ok(false) => Finding::problem(
            CHECK,
            "two locks were granted on the same file",
            "choose a directory on a local filesystem with `cache-root`; two jobs could spoil each other's entries",
        ),
        Err(error) => Finding::unknown(CHECK, &error),
    }
}

fn clock(root: &Path) -> Finding {
    const CHECK: &str = "clock";
    let now = Timestamp::now();
    match probe::file_clock(root) {
        _ if now.seconds < EARLIEST_TIME => Finding::problem(
            CHECK,
            format!(
                "the clock of this machine shows {}",
                humantime::format_rfc3339_seconds(now.into())
            ),
            "set the clock: cargo and the cache compare file times",
        ),
        Ok(time) if (time.seconds - now.seconds).abs() > MAX_CLOCK_SKEW => Finding::warning(
            CHECK,
            format!(
                "the filesystem's clock differs from the clock of this machine by {} s",
                time.seconds - now.seconds
            ),
            "set both clocks by NTP: cargo detects changed files by their times",
        ),
        Ok(_) => Finding::ok(CHECK, "the filesystem's clock is correct"),
        Err(error) => Finding::unknown(CHECK, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn free_space_is_judged_by_the_usual_limits() {
        const GB: u64 = 1_000_000_000;
        let of = |usable: u64, free: u64| {
            let volume = Volume {
                usable_bytes: usable * GB,
                free_bytes: free * GB,
                ..Volume::default()
            };
            space(Path::new("/cache"), &volume).status
        };
        assert_eq!(of(500, 400), Status::Ok);
        assert_eq!(of(500, 99), Status::Warning);
        assert_eq!(of(100, 40), Status::Warning);
        assert_eq!(of(500, 19), Status::Problem);
    }
}
