//! Metadata of files, and their timestamps.

use std::fs::FileType;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::stat::FileStat;
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

/// A time as filesystems store it: seconds since the epoch, negative before it, and nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp {
    pub seconds: i64,
    /// Nanoseconds in the second, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    pub const MIN: Self = Self {
        seconds: i64::MIN,
        nanoseconds: 0,
    };
    pub const MAX: Self = Self {
        seconds: i64::MAX,
        nanoseconds: 999_999_999,
    };

    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The current time of the clock that gives files their times. It advances in ticks of 1 to 10
    /// ms, so a change before this call may have the same time as a change after it.
    pub(crate) fn file_clock_now() -> Self {
        match nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE) {
            Ok(time) => Self {
                seconds: time.tv_sec(),
                nanoseconds: u32::try_from(time.tv_nsec()).unwrap_or_default(),
            },
            // Without that clock, an earlier time: a file that changed less than 20 ms ago then
            // counts as changed after it, and is compared.
            Err(_) => Self::now().minus_milliseconds(20),
        }
    }

    /// The distance of the clock to the time since boot, in milliseconds. It changes when somebody
    /// sets the clock. Zero if the kernel has no such clock.
    pub(crate) fn offset_to_boot_clock() -> i64 {
        let milliseconds = |clock| {
            let time = nix::time::clock_gettime(clock).ok()?;
            Some(time.tv_sec() * 1_000 + time.tv_nsec() / 1_000_000)
        };
        let wall = milliseconds(nix::time::ClockId::CLOCK_REALTIME);
        let boot = milliseconds(nix::time::ClockId::CLOCK_BOOTTIME);
        wall.zip(boot).map_or(0, |(wall, boot)| wall - boot)
    }

    /// Waits for the next tick of [`Timestamp::file_clock_now`]. All changes so far have an earlier
    /// time than the tick, and all later changes do not. None if the clock was set back meanwhile.
    pub(crate) fn next_file_clock_tick() -> Option<Self> {
        let now = Self::now();
        for _ in 0..100 {
            let tick = Self::file_clock_now();
            if tick > now {
                return Some(tick);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        None
    }

    /// Subtracts fewer than 1,000 milliseconds.
    pub(crate) fn minus_milliseconds(self, milliseconds: u32) -> Self {
        let taken = milliseconds * 1_000_000;
        match self.nanoseconds.checked_sub(taken) {
            Some(nanoseconds) => Self {
                nanoseconds,
                ..self
            },
            None => Self {
                seconds: self.seconds.saturating_sub(1),
                nanoseconds: self.nanoseconds + 1_000_000_000 - taken,
            },
        }
    }

    pub(super) fn to_spec(self) -> TimeSpec {
        TimeSpec::new(self.seconds, i64::from(self.nanoseconds))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: after.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Self {
                        seconds,
                        nanoseconds: 0,
                    },
                    nanos => Self {
                        seconds: seconds - 1,
                        nanoseconds: 1_000_000_000 - nanos,
                    },
                }
            }
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = if time.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        whole
            .and_then(|whole| whole.checked_add(nanoseconds))
            .unwrap_or(UNIX_EPOCH)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    /// A socket, fifo or device.
    Special,
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_file() {
            Self::File
        } else if kind.is_symlink() {
            Self::Symlink
        } else {
            Self::Special
        }
    }
}

/// Metadata of a file, without following symlinks.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    pub kind: FileKind,
    /// The twelve permission bits (`07777`).
    pub mode: u32,
    /// The length in bytes, including holes.
    pub size: u64,
    /// The last change of the contents. Users can set it.
    pub mtime: Timestamp,
    /// The last change of contents, mode, links or attributes. Users can't set it.
    pub ctime: Timestamp,
    pub device: u64,
    /// Identifies the file within its device.
    pub inode: u64,
    /// How many names the file has.
    pub links: u64,
    /// The disk usage in bytes, less than `size` for a file with holes.
    pub allocated: u64,
    pub uid: u32,
    pub gid: u32,
}

impl From<FileStat> for Stat {
    fn from(stat: FileStat) -> Self {
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => FileKind::File,
            libc::S_IFDIR => FileKind::Directory,
            libc::S_IFLNK => FileKind::Symlink,
            _ => FileKind::Special,
        };
        let time = |seconds, nanoseconds: i64| Timestamp {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            device: stat.st_dev,
            inode: stat.st_ino,
            links: stat.st_nlink,
            allocated: u64::try_from(stat.st_blocks)
                .unwrap_or_default()
                .saturating_mul(512),
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }
}

impl Stat {
    /// Whether it is the same file without any change in between.
    pub(crate) fn same_state(&self, other: &Self) -> bool {
        self.device == other.device
            && self.inode == other.inode
            && self.size == other.size
            && self.mtime == other.mtime
            && self.ctime == other.ctime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_times_convert_both_ways_around_the_epoch() {
        for seconds in [-2, -1, 0, 1, 1_700_000_000] {
            let time = Timestamp {
                seconds,
                nanoseconds: 250_000_001,
            };
            assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }
    }

    #[test]
    fn times_before_the_epoch_keep_their_nanoseconds() {
        let time = Timestamp::from(UNIX_EPOCH - Duration::new(1, 250_000_000));
        assert_eq!(
            time,
            Timestamp {
                seconds: -2,
                nanoseconds: 750_000_000
            }
        );
    }

    #[test]
    fn subtracting_milliseconds_borrows_from_the_seconds() {
        let time = Timestamp {
            seconds: 10,
            nanoseconds: 5_000_000,
        };
        assert_eq!(
            time.minus_milliseconds(20),
            Timestamp {
                seconds: 9,
                nanoseconds: 985_000_000
            }
        );
        assert_eq!(
            time.minus_milliseconds(5),
            Timestamp {
                seconds: 10,
                nanoseconds: 0
            }
        );
    }
}
