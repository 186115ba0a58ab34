//! Checks of the store: whether it is usable and undamaged.

use std::path::Path;

use super::finding::{DoctorOptions, Finding};
use crate::error::Error;
use crate::fmt::human::plural;
use crate::fs::{FileKind, Timestamp, effective_uid, files, probe, user_name};
use crate::ops::import;
use crate::stats::journal::{self, JournalContents};
use crate::store::{CacheRoot, EntryId, Sharing, Store};

/// Whether the cache root exists, is writable, and is closed to others.
pub(super) fn root(options: &DoctorOptions) -> Finding {
    const CHECK: &str = "cache root";
    let root = &options.cache_root;
    let stat = match files::stat(root) {
        Ok(Some(stat)) => stat,
        Ok(None) => return absent(CHECK, root),
        Err(error) => return Finding::unknown(CHECK, &error),
    };
    if stat.kind != FileKind::Directory {
        return Finding::problem(
            CHECK,
            format!("{} is not a directory", root.display()),
            "move it away, or choose another directory with `cache-root`",
        );
    }
    let sharing = match CacheRoot::open(root) {
        Ok(Some(opened)) => opened.sharing,
        Ok(None) => return absent(CHECK, root),
        Err(error) => return unusable(CHECK, &error),
    };
    if let Err(error) = probe::check_writable(root) {
        return unwritable(CHECK, root, stat.uid, &error);
    }
    match sharing {
        Sharing::Group => Finding::ok(
            CHECK,
            format!(
                "{} may be written to, and is shared with the group {}",
                root.display(),
                stat.gid
            ),
        ),
        Sharing::Private => Finding::ok(CHECK, format!("{} may be written to", root.display())),
    }
}

fn unwritable(check: &'static str, root: &Path, owner: u32, error: &Error) -> Finding {
    Finding::problem(
        check,
        format!(
            "{error}; it belongs to the user {}, and this is the user {}",
            user_name(owner),
            user_name(effective_uid())
        ),
        format!(
            "let the user who runs jobs own it: sudo chown -R USER {}",
            root.display()
        ),
    )
}

fn absent(check: &'static str, root: &Path) -> Finding {
    match probe::check_writable(&files::nearest_existing(root)) {
        Ok(()) => Finding::ok(
            check,
            format!(
                "{} does not exist yet; the first save creates it",
                root.display()
            ),
        ),
        Err(error) => Finding::problem(
            check,
            format!(
                "{} does not exist and cannot be created: {error}",
                root.display()
            ),
            "create it and let the user who runs jobs own it, or choose another one with `cache-root`",
        ),
    }
}

pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    let mut findings = vec![];
    match Store::open(&options.cache_root) {
        Ok(None) => findings.push(Finding::ok("entries", "nothing was saved yet")),
        Ok(Some(store)) => {
            findings
                .push(entries(&store).unwrap_or_else(|error| Finding::unknown("entries", &error)));
            findings.push(
                stale_temps(&store).unwrap_or_else(|error| Finding::unknown("leftovers", &error)),
            );
            findings.push(
                journal_lines(options).unwrap_or_else(|error| Finding::unknown("journal", &error)),
            );
        }
        Err(error) => findings.push(unusable("entries", &error)),
    }
    findings.push(legacy_caches(options));
    findings
}

fn unusable(check: &'static str, error: &Error) -> Finding {
    let advice = error
        .advice()
        .map_or_else(|| "look at that file".into(), Into::into);
    Finding {
        advice: Some(advice),
        ..Finding::problem(check, error.to_string(), "")
    }
}

/// What was found in the store's entries and in the indexes of their manifests.
#[derive(Default)]
struct EntryCounts {
    intact: u64,
    /// How many of the intact ones claim to be saved in the future.
    in_future: u64,
    damaged: Vec<String>,
    unreadable: Vec<String>,
    quarantined: u64,
}

/// Whether the entries and the indexes of their manifests are readable. Does not read contents.
fn entries(store: &Store) -> Result<Finding, Error> {
    Ok(entries_finding(&count_entries(store)?))
}

fn count_entries(store: &Store) -> Result<EntryCounts, Error> {
    let mut counts = EntryCounts::default();
    let soon = Timestamp::now().seconds + 3600;
    for id in store.entry_ids(None)? {
        match read_creation_time(store, &id) {
            Ok(Some(created)) => {
                counts.intact += 1;
                counts.in_future += u64::from(created.seconds > soon);
            }
            // It was removed meanwhile.
            Ok(None) => {}
            Err(error) if store.is_unreadable(&error) => counts.unreadable.push(error.to_string()),
            Err(error) => counts.damaged.push(error.to_string()),
        }
    }
    counts.quarantined = store.quarantined_files()? as u64;
    Ok(counts)
}

/// Reads an entry and the index of its manifest; none if it no longer exists.
fn read_creation_time(store: &Store, id: &EntryId) -> Result<Option<Timestamp>, Error> {
    let Some(entry) = store.read_entry(id)? else {
        return Ok(None);
    };
    store.read_references(&entry.manifest)?;
    Ok(Some(entry.created))
}

fn entries_finding(counts: &EntryCounts) -> Finding {
    const CHECK: &str = "entries";
    const ADVICE: &str =
        "run `local-cache verify --repair`: damaged entries are quarantined and count as misses";
    let entries = plural(counts.intact, "entry", "entries");
    if let ([], [first, ..]) = (counts.damaged.as_slice(), counts.unreadable.as_slice()) {
        return Finding::problem(
            CHECK,
            format!(
                "{entries}; {} unreadable, such as: {first}",
                counts.unreadable.len()
            ),
            "look at that file as the user who runs jobs; until it can be read, its entry is a miss",
        );
    }
    match counts.damaged.as_slice() {
        [] if counts.in_future > 0 => Finding::warning(
            CHECK,
            format!("{entries}, {} of them from the future", counts.in_future),
            "the clock was ahead when they were saved; until that time they count as the newest",
        ),
        [] if counts.quarantined > 0 => Finding::warning(
            CHECK,
            format!(
                "{entries}; {} quarantined as damaged",
                plural(counts.quarantined, "file was", "files were")
            ),
            ADVICE,
        ),
        [] => Finding::ok(CHECK, entries),
        [first, ..] => {
            let count = plural(counts.damaged.len() as u64, "is", "are");
            Finding::problem(
                CHECK,
                format!("{entries}; {count} damaged, such as: {first}"),
                ADVICE,
            )
        }
    }
}

/// Unfinished files of killed processes. While the store is in use, they look like those of running
/// processes.
fn stale_temps(store: &Store) -> Result<Finding, Error> {
    const CHECK: &str = "leftovers";
    let Some(_lock) = store.try_lock_for_gc()? else {
        return Ok(Finding::ok(CHECK, "the store is in use just now"));
    };
    let count = store.unfinished_files()? as u64;
    Ok(match count {
        0 => Finding::ok(CHECK, "none"),
        _ => Finding::warning(
            CHECK,
            format!(
                "{} of jobs that were killed",
                plural(count, "directory", "directories")
            ),
            "the next cleanup removes them; or run `local-cache prune` now",
        ),
    })
}

fn journal_lines(options: &DoctorOptions) -> Result<Finding, Error> {
    const CHECK: &str = "journal";
    let read = match Store::open_journal(&options.cache_root)? {
        Some(journal) => journal::read(&journal)?,
        None => JournalContents::default(),
    };
    Ok(if read.skipped_lines > 0 {
        Finding::warning(
            CHECK,
            format!(
                "{} cannot be read",
                plural(read.skipped_lines, "line", "lines")
            ),
            "nothing needs to be done: they are skipped, and are removed with the oldest journal file",
        )
    } else {
        Finding::ok(
            CHECK,
            format!(
                "{} recorded",
                plural(read.events.len() as u64, "phase is", "phases are")
            ),
        )
    })
}

/// Directories of rsync workflows in the cache root.
fn legacy_caches(options: &DoctorOptions) -> Finding {
    const CHECK: &str = "other caches";
    match import::find(&options.cache_root) {
        Ok(found) if found.is_empty() => Finding::ok(CHECK, "none in the cache root"),
        Ok(found) => Finding::warning(
            CHECK,
            format!(
                "{} of rsync workflows in the cache root",
                plural(found.len() as u64, "directory", "directories")
            ),
            "`local-cache import --dry-run` shows them with their sizes; the command imports or removes them",
        ),
        Err(error) => Finding::unknown(CHECK, &error),
    }
}
