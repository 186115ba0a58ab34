//! The journal with many writers and readers; any damage costs only the damaged lines.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use local_cache::Result;
use local_cache::fs::BaseDir;
use local_cache::stats::event::{CacheEvent, Event, LookupResult};
use local_cache::stats::journal::{self, JournalContents, JournalLimits, parse};

use super::{NOON, ended, restored};

fn append(dir: &Path, event: &Event, limits: JournalLimits) -> Result<()> {
    fs::create_dir_all(dir).unwrap();
    journal::append(&BaseDir::open(dir)?.unwrap(), event, 0o644, limits)
}

fn read(dir: &Path) -> Result<JournalContents> {
    journal::read(&BaseDir::open(dir)?.unwrap())
}

fn write(dir: &Path, event: &Event) {
    append(dir, event, JournalLimits::default()).unwrap();
}

fn raw(dir: &Path, bytes: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("events.jsonl"));
    file.unwrap().write_all(bytes).unwrap();
}

#[test]
fn appended_events_are_read_back_and_a_new_journal_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(read(dir).unwrap().events, []);
    let events = [
        restored("acme/widget", "path", LookupResult::Exact, 100),
        ended("acme/widget", 1, 60_000, Some(5)),
    ];
    events.iter().for_each(|event| write(dir, event));
    let found = read(dir).unwrap();
    assert_eq!(
        (found.events.as_slice(), found.skipped_lines),
        (&events[..], 0)
    );
    let text = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["repository"], "acme/widget");
    assert!(first.get("error").is_none() && first.get("removed-entries").is_none());
}

#[test]
fn lines_of_several_writers_never_mix_and_can_be_read_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    // Small files, so that the journal is rotated many times meanwhile.
    let bounds = JournalLimits {
        file_bytes: 20_000,
        total_bytes: 1 << 30,
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let dir = dir.path();
                scope.spawn(move || {
                    for number in 0..300 {
                        let mut event = ended("acme/widget", writer * 1000 + number, 1000, None);
                        event.caches[0].key = "k".repeat(usize::try_from(number).unwrap());
                        append(dir, &event, bounds).unwrap();
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let found = read(dir.path()).unwrap();
                assert_eq!(found.skipped_lines, 0, "a line was seen that was not whole");
                most = most.max(found.events.len());
            }
            most
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let found = read(dir.path()).unwrap();
    assert_eq!((found.events.len(), found.skipped_lines), (1200, 0));
    let mut runs: Vec<u64> = found.events.iter().map(|event| event.run.run_id).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!(runs.len(), 1200);
    assert!(fs::read_dir(dir.path()).unwrap().count() > 10);
}

#[test]
fn a_torn_line_loses_no_other_line() {
    let dir = tempfile::tempdir().unwrap();
    let event = ended("acme/widget", 1, 1000, None);
    write(dir.path(), &event);
    raw(dir.path(), b"{\"time\":1795435200000,\"phase\":\"po");
    let found = read(dir.path()).unwrap();
    assert_eq!(
        (found.events.len(), found.skipped_lines),
        (1, 0),
        "somebody may be writing it"
    );
    write(dir.path(), &event);
    let found = read(dir.path()).unwrap();
    assert_eq!((found.events.len(), found.skipped_lines), (2, 1));
}

#[test]
fn garbage_is_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let event = ended("acme/widget", 1, 1000, None);
    raw(
        dir.path(),
        b"\n\n  \nnot json\n{}\n[1]\n{\"time\":\"soon\",\"phase\":\"pre\"}\n\xff\xfe\n\0\0\0\n",
    );
    write(dir.path(), &event);
    raw(
        dir.path(),
        b"{\"time\":1,\"phase\":\"during\"}\n{\"time\":5,\"phase\":\"pre\",\"of-the-future\":[1]}\n",
    );
    let found = read(dir.path()).unwrap();
    assert_eq!(
        (found.events.len(), found.skipped_lines),
        (2, 7),
        "{found:?}"
    );
    // A directory in place of the file is not an error either.
    fs::create_dir(dir.path().join("000-x.jsonl")).unwrap();
    assert_eq!(read(dir.path()).unwrap().skipped_lines, 8);
}

#[test]
fn a_journal_never_takes_more_than_its_bound_and_loses_its_oldest_lines_first() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = JournalLimits {
        file_bytes: 4000,
        total_bytes: 20_000,
    };
    for number in 0..500 {
        append(
            dir.path(),
            &ended("acme/widget", number, 1000, None),
            bounds,
        )
        .unwrap();
        let taken: u64 = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(taken <= bounds.total_bytes, "{taken}");
    }
    let found = read(dir.path()).unwrap();
    assert!(found.events.iter().any(|event| event.run.run_id == 499) && found.skipped_lines == 0);
    assert!(found.events.len() > 20 && found.events.iter().all(|event| event.run.run_id > 300));
}

#[test]
fn an_event_with_very_long_keys_is_cut_and_stays_valid() {
    let dir = tempfile::tempdir().unwrap();
    let mut event = ended("acme/widget", 1, 1000, Some(7));
    let cache = CacheEvent {
        key: "é".repeat(100_000),
        ..event.caches[0].clone()
    };
    event.caches = vec![cache; 300];
    event.error = Some("x".repeat(100_000));
    write(dir.path(), &event);
    let found = read(dir.path()).unwrap();
    assert_eq!((found.events.len(), found.skipped_lines), (1, 0));
    assert_eq!(found.events[0].caches[0].key, "é".repeat(40));
    assert!(fs::metadata(dir.path().join("events.jsonl")).unwrap().len() < 64 << 10);
}

#[test]
fn times_that_jump_back_are_sorted() {
    let lines: Vec<String> = [5, 1, 9, -3, 1]
        .iter()
        .map(|time| format!("{{\"time\":{},\"phase\":\"pre\"}}\n", NOON + time))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    raw(dir.path(), lines.concat().as_bytes());
    let times: Vec<i64> = read(dir.path())
        .unwrap()
        .events
        .iter()
        .map(|event| event.time - NOON)
        .collect();
    assert_eq!(times, [-3, 1, 1, 5, 9]);
    // Read in parts, no line is lost at a border.
    let many = lines.concat().repeat(20_000);
    let found = parse(many.as_bytes());
    assert_eq!((found.events.len(), found.skipped_lines), (100_000, 0));
}

#[test]
fn a_special_file_as_the_journal_is_not_written_and_does_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("precious");
    fs::write(&target, "x").unwrap();
    let journal = dir.path().join("linked");
    fs::create_dir(&journal).unwrap();
    std::os::unix::fs::symlink(&target, journal.join("events.jsonl")).unwrap();
    let event = ended("acme/widget", 1, 1000, None);
    append(&journal, &event, JournalLimits::default()).unwrap_err();
    assert_eq!(fs::read(&target).unwrap(), b"x");
    let journal = dir.path().join("fifo");
    fs::create_dir(&journal).unwrap();
    nix::unistd::mkfifo(&journal.join("events.jsonl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    append(&journal, &event, JournalLimits::default()).unwrap_err();
    assert_eq!(read(&journal).unwrap().skipped_lines, 1);
}
