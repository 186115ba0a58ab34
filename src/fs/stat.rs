//! What a filesystem says of a file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::stat::FileStat;
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

/// A point in time as filesystems keep it: seconds since the epoch, negative before it, and
/// nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds in the second, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// No time is later.
    pub const MAX: Self = Self {
        seconds: i64::MAX,
        nanoseconds: 999_999_999,
    };

    /// The time now.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The time now by the clock that gives files their times. It stands still between ticks, 1 to
    /// 10 ms apart, so what is changed later has this time or a later one, and what was changed
    /// before has this one or an earlier one.
    pub fn file_clock_now() -> Self {
        match nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE) {
            Ok(time) => Self {
                seconds: time.tv_sec(),
                nanoseconds: u32::try_from(time.tv_nsec()).unwrap_or_default(),
            },
            // A kernel without that clock: what is not long ago is not believed then.
            Err(_) => Self::now().minus_milliseconds(20),
        }
    }

    /// Waits for the next tick of [`Timestamp::file_clock_now`]: all that was changed so far was
    /// changed before it, and all that is changed from now on is not. None when there is none for
    /// long, because somebody set the clock.
    pub fn next_file_clock_tick() -> Option<Self> {
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

    /// This time less some milliseconds, below 1,000.
    fn minus_milliseconds(self, milliseconds: u32) -> Self {
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

    /// This time and some milliseconds, below 1,000.
    #[must_use]
    pub fn plus_milliseconds(self, milliseconds: u32) -> Self {
        let nanoseconds = self.nanoseconds + milliseconds * 1_000_000;
        match nanoseconds.checked_sub(1_000_000_000) {
            Some(nanoseconds) => Self {
                seconds: self.seconds.saturating_add(1),
                nanoseconds,
            },
            None => Self {
                nanoseconds,
                ..self
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

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, fifo or device.
    Special,
}

/// What a filesystem says of a file, without following symlinks.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// File, directory, symlink or something else.
    pub kind: FileKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the contents.
    pub mtime: Timestamp,
    /// Last change of contents, mode, links or attributes; can't be set by users.
    pub ctime: Timestamp,
    /// The filesystem's number.
    pub device: u64,
    /// The file's number in its filesystem.
    pub inode: u64,
    /// How many names the file has.
    pub links: u64,
    /// Bytes on disk, less than `size` where there are holes.
    pub allocated: u64,
    /// The owner.
    pub uid: u32,
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
        }
    }
}

impl Stat {
    /// Whether two looks at a file saw the same state of it: nobody wrote to it or changed it in
    /// between.
    pub fn same_state(&self, other: &Self) -> bool {
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
    fn a_time_and_the_clock_agree_before_and_after_the_epoch() {
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
    fn taking_milliseconds_borrows_from_the_seconds() {
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
        assert_eq!(time.minus_milliseconds(20).plus_milliseconds(20), time);
    }
}
