//! The state of the directory `entries`: while it stays the same, the same entries exist.
//!
//! Looking at ten thousand files takes several times as long as everything else that a lookup does.
//! What was known of all entries in one state of the directory is known in that state again.
//!
//! # Why no entry was added, removed or replaced in the same state
//!
//! - All three change a name in `entries`: a new entry is renamed into it, a removed one is unlinked
//!   or renamed to `quarantine`, and another entry is renamed over the one that it replaces. Each
//!   gives the directory the current time as its ctime (POSIX demands it of the last one too), and
//!   no program can give it another one.
//! - A state is kept only if its ctime is before the time at which the observation began, by the
//!   clock that gives files their times. A change after that has this time or a later one, so it has
//!   another ctime, even in the same tick of the clock and while the names are being listed. The
//!   ctime must be earlier by [`QUIET`]: a directory that changed a moment ago often changes again,
//!   and what is kept would be written for nothing.
//! - The clock being set does not matter: times are compared for equality, to the nanosecond. If it
//!   was set back, no state is kept until it is later than the ctime again.
//! - A ctime in whole seconds is not kept, because the filesystem may round it. Nor is one on
//!   network filesystems, overlayfs, FUSE and filesystems of unknown type
//!   ([`crate::fs::proves_unchanged`]).
//! - Another directory in the place of `entries` has another device or inode. A disk that is rolled
//!   back to a snapshot has the record and the directory of that time.
//! - A state ends with the boot of the machine: after a power cut, a disk may have the new time of
//!   the directory and its old blocks.
//!
//! What this does not notice: what only root can do (setting the clock so that a time repeats to the
//! nanosecond, writing to the disk below the filesystem), and writing into the file of an entry, which
//! this program never does. So a lookup reads the entry that it chooses.

use serde::{Deserialize, Serialize};

use super::open::Store;
use crate::error::Result;
use crate::fs::{Stat, Timestamp, boot_id, proves_unchanged};
use crate::tree::stamp::InodeState;

/// Milliseconds without a change until a state is kept.
const QUIET: u32 = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntriesState {
    /// The boot in which it counts.
    boot: String,
    dir: InodeState,
}

/// What was seen of `entries` before its names were listed.
pub(super) struct SeenEntries {
    /// When the observation began.
    started: Timestamp,
    /// None if the directory does not exist.
    dir: Option<Stat>,
}

impl SeenEntries {
    /// Whether the directory has a state that was kept.
    pub(super) fn is_in(&self, state: &EntriesState) -> bool {
        let is_same = self.dir.is_some_and(|dir| state.dir.is_state_of(&dir));
        is_same && boot_id().as_ref() == Some(&state.boot)
    }

    /// None if a later change could leave the state the same, or comes soon.
    fn state(&self) -> Option<EntriesState> {
        let limit = self.started.minus_milliseconds(QUIET);
        Some(EntriesState {
            dir: InodeState::before(limit, self.dir.as_ref()?)?,
            boot: boot_id()?,
        })
    }
}

impl Store {
    pub(super) fn see_entries(&self) -> Result<SeenEntries> {
        Ok(SeenEntries {
            // First: see the documentation of this module.
            started: Timestamp::file_clock_now(),
            dir: self.dir.stat(&self.layout.entries())?,
        })
    }

    /// None if the state proves nothing.
    pub(super) fn entries_state(&self, seen: &SeenEntries) -> Option<EntriesState> {
        let state = seen.state()?;
        let proves = proves_unchanged(&self.layout.entries());
        proves.is_ok_and(|proves| proves).then_some(state)
    }
}

/// Waits until a state is kept that `entries` has now.
#[cfg(test)]
pub(super) fn wait_until_quiet() {
    std::thread::sleep(std::time::Duration::from_millis(u64::from(QUIET) + 50));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::fs::files;

    struct Case {
        _dir: tempfile::TempDir,
        store: Store,
    }

    impl Case {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::create(&dir.path().join("cache")).unwrap();
            Self { _dir: dir, store }
        }

        /// The state without a change for a while. On some filesystems [`Store::entries_state`] is
        /// none.
        fn settled(&self) -> EntriesState {
            wait_until_quiet();
            self.store.see_entries().unwrap().state().unwrap()
        }

        fn is_in(&self, state: &EntriesState) -> bool {
            self.store.see_entries().unwrap().is_in(state)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.store.layout.entries().join(name)
        }

        fn put(&self, name: &str) {
            let unfinished = self.store.layout.tmp().join("unfinished");
            files::write_new(&unfinished, 0o600, b"").unwrap();
            let path = self.path(name);
            self.store.dir.rename(&unfinished, &path).unwrap();
        }
    }

    #[test]
    fn each_change_of_a_name_gives_another_state() {
        type Change = fn(&Case);
        let changes: [(&str, Change); 6] = [
            ("added", |case| case.put("new")),
            ("replaced", |case| case.put("old")),
            ("replaced twice", |case| {
                case.put("old");
                case.put("old");
            }),
            ("removed", |case| {
                files::remove(&case.path("old")).unwrap();
            }),
            ("quarantined", |case| {
                let aside = case.store.layout.quarantine().join("old");
                case.store.dir.rename(&case.path("old"), &aside).unwrap();
            }),
            ("linked", |case| {
                symlink("old", case.path("new")).unwrap();
            }),
        ];
        for (what, change) in changes {
            let case = Case::new();
            case.put("old");
            let state = case.settled();
            assert!(case.is_in(&state), "{what}");
            change(&case);
            assert!(!case.is_in(&state), "{what}");
        }
    }

    #[test]
    fn another_directory_has_another_state_and_a_missing_one_has_none() {
        let case = Case::new();
        let state = case.settled();
        let entries = case.store.layout.entries();
        let aside = entries.with_file_name("aside");
        std::fs::rename(&entries, &aside).unwrap();
        assert!(!case.is_in(&state));
        assert!(case.store.see_entries().unwrap().state().is_none());
        std::fs::create_dir(&entries).unwrap();
        assert!(!case.is_in(&state));
    }

    #[test]
    fn a_state_that_a_later_change_could_have_too_is_none() {
        let case = Case::new();
        case.settled();
        let dir = case.store.see_entries().unwrap().dir.unwrap();
        let time = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        let has_state = |started, ctime| {
            let dir = Some(Stat { ctime, ..dir });
            SeenEntries { started, dir }.state().is_some()
        };
        let quiet = QUIET * 1_000_000;
        assert!(has_state(time(100, quiet + 6), time(100, 5)));
        assert!(!has_state(time(100, quiet + 5), time(100, 5)), "too early");
        assert!(!has_state(time(100, 5), time(100, 5)), "the same tick");
        assert!(!has_state(time(99, 9), time(100, 5)), "a clock set back");
        assert!(!has_state(time(200, 0), time(100, 0)), "whole seconds");
    }

    #[test]
    fn a_state_ends_with_the_boot() {
        let case = Case::new();
        let state = case.settled();
        assert!(case.is_in(&state));
        let boot = "another".to_owned();
        assert!(!case.is_in(&EntriesState { boot, ..state }));
    }
}
