//! Whether a file is as the index has it, without reading the file.
//!
//! Git recorded the metadata right after it read or wrote the contents. A later change of the
//! contents gives the file a new ctime, which users cannot set, unless the change comes within the
//! same tick of the clock. Such a file has the time of the index or a later one, because the index
//! is written last. So a file is clean if its metadata is as recorded and its times are strictly
//! earlier than that of the index.

use super::model::{Index, IndexEntry, IndexTime};
use crate::fs::{FileKind, Stat, Timestamp};

impl Index {
    /// Whether the contents of a file are known to be those of its entry's blob, up to the
    /// conversions of git.
    pub fn is_clean(&self, entry: &IndexEntry, stat: &Stat) -> bool {
        entry.is_comparable
            // Git sets the size to 0 if it does not trust the rest.
            && entry.size != 0
            && entry.size == lower_bits(stat.size)
            && entry.inode == lower_bits(stat.inode)
            && has_mode(entry.mode, stat)
            && is_unchanged(entry.mtime, stat.mtime, self.written)
            && is_unchanged(entry.ctime, stat.ctime, self.written)
    }
}

impl IndexEntry {
    /// Whether a file was changed since git wrote or read it. Unlike [`Index::is_clean`], a change
    /// in the tick of the clock in which the index was written is not seen.
    pub fn is_modified(&self, stat: &Stat) -> bool {
        let has_recorded_times =
            is_recorded(self.mtime, stat.mtime) && is_recorded(self.ctime, stat.ctime);
        // Git sets the size to 0 of files that changed in the tick of the index.
        let has_recorded_size = self.size == 0 || self.size == lower_bits(stat.size);
        !(self.is_comparable
            && has_recorded_times
            && has_recorded_size
            && self.inode == lower_bits(stat.inode)
            && has_mode(self.mode, stat))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "git keeps the lower 32 bits"
)]
fn lower_bits(number: u64) -> u32 {
    number as u32
}

fn has_mode(mode: u32, stat: &Stat) -> bool {
    match mode {
        0o100_644 => stat.kind == FileKind::File && stat.mode & 0o100 == 0,
        0o100_755 => stat.kind == FileKind::File && stat.mode & 0o100 != 0,
        0o120_000 => stat.kind == FileKind::Symlink,
        _ => false,
    }
}

/// Whether a time is the recorded one and before the index was written.
fn is_unchanged(recorded: IndexTime, time: Timestamp, index_written: Timestamp) -> bool {
    let is_before_index =
        if recorded.nanoseconds == 0 || time.nanoseconds == 0 || index_written.nanoseconds == 0 {
            time.seconds < index_written.seconds
        } else {
            time < index_written
        };
    is_recorded(recorded, time) && is_before_index
}

/// Whether a time is the recorded one, as far as both have nanoseconds: some filesystems and
/// programs keep whole seconds.
fn is_recorded(recorded: IndexTime, time: Timestamp) -> bool {
    recorded.seconds != 0
        && recorded.seconds == lower_bits(time.seconds.cast_unsigned())
        && (recorded.nanoseconds == 0
            || time.nanoseconds == 0
            || recorded.nanoseconds == time.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds,
        }
    }

    fn recorded(seconds: u32, nanoseconds: u32) -> IndexTime {
        IndexTime {
            seconds,
            nanoseconds,
        }
    }

    #[test]
    fn a_time_must_be_strictly_before_the_index() {
        let of = |written| is_unchanged(recorded(100, 5), time(100, 5), written);
        assert!(of(time(100, 6)) && of(time(101, 1)));
        assert!(!of(time(100, 5)) && !of(time(100, 4)) && !of(time(99, 9)));
    }

    #[test]
    fn without_nanoseconds_the_index_must_be_a_second_later() {
        for (entry, file) in [(0, 5), (5, 0), (0, 0)] {
            let of = |written| is_unchanged(recorded(100, entry), time(100, file), written);
            assert!(of(time(101, 7)) && of(time(101, 0)), "{entry} {file}");
            assert!(!of(time(100, 7)) && !of(time(100, 0)), "{entry} {file}");
        }
        let of = |written| is_unchanged(recorded(100, 5), time(100, 5), written);
        assert!(of(time(101, 0)) && !of(time(100, 0)));
        assert!(!is_unchanged(recorded(100, 4), time(100, 5), time(101, 0)));
    }

    #[test]
    fn times_after_2106_and_before_1970_compare_by_their_lower_bits() {
        let late = (1 << 32) + 7;
        assert!(is_unchanged(recorded(7, 1), time(late, 1), time(late, 2)));
        assert!(!is_unchanged(recorded(7, 1), time(late, 1), time(7, 2)));
        assert!(is_unchanged(recorded(u32::MAX, 1), time(-1, 1), time(0, 1)));
    }

    #[test]
    fn a_time_of_zero_means_that_git_does_not_know_it() {
        assert!(!is_unchanged(recorded(0, 0), time(0, 0), time(9, 9)));
    }

    #[test]
    fn a_file_is_modified_if_anything_but_the_tick_of_the_index_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let stat = crate::fs::files::stat(&path).unwrap().unwrap();
        let index_time =
            |time: Timestamp| recorded(lower_bits(time.seconds.cast_unsigned()), time.nanoseconds);
        let entry = || IndexEntry {
            path: 0..4,
            mode: 0o100_644,
            size: 4,
            inode: lower_bits(stat.inode),
            mtime: index_time(stat.mtime),
            ctime: index_time(stat.ctime),
            blob: crate::git::BlobId::from_bytes(&[1; 20]).unwrap(),
            is_comparable: true,
        };
        assert!(!entry().is_modified(&stat));
        // So git marks a file of which it does not trust the rest.
        assert!(!IndexEntry { size: 0, ..entry() }.is_modified(&stat));
        let changes: [fn(&mut IndexEntry); 6] = [
            |entry| entry.size = 5,
            |entry| entry.inode ^= 1,
            |entry| entry.mode = 0o100_755,
            |entry| entry.mtime.seconds ^= 1,
            |entry| entry.ctime.seconds ^= 1,
            |entry| entry.is_comparable = false,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = entry();
            change(&mut changed);
            assert!(changed.is_modified(&stat), "{number}");
        }
    }
}
