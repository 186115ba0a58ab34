//! What a phase tells people: the texts of its log lines and warnings.
//!
//! Texts that actions/cache has for the same case are its texts, so that a search finds them.

use crate::action::console::Mark;
use crate::action::inputs::{Inputs, RemovedInput};
use crate::fmt::human::{bytes, elapsed_ms, plural};
use crate::job::{CacheReply, FoundEntry, FreshnessReply, SaveReply};
use crate::ops::free_space::{DiskNotice, DiskUsage, GuardReport};
use crate::store::disk_limits::MAX_INODES_PERCENT;

pub(super) const NO_WORKSPACE: &str =
    "GITHUB_WORKSPACE is not set, so relative paths cannot be resolved; nothing is cached";
pub(super) const MAY_NOT_RESTORE: &str =
    "this run may not restore caches (ACTIONS_CACHE_MODE); nothing is restored";
pub(super) const MAY_NOT_SAVE: &str =
    "this run may not save caches (ACTIONS_CACHE_MODE); nothing is saved";
pub(super) const NO_KEY: &str = "Key is not specified, so nothing is saved";
pub(super) const NO_PATHS: &str = "Path Validation Error: Path(s) specified in the action for caching do(es) not exist, \
     hence no cache is being saved.";
pub(super) const SAVE_FAILED: &str = "Cache save failed.";
pub(super) const JOB_FAILED: &str =
    "the job did not succeed, not saving cache; `save: always` saves anyway";
pub(super) const JOB_CANCELLED: &str =
    "the job was cancelled, not saving cache; `save: always` saves anyway";
pub(super) const CONTROL_IN_SUMMARY: &str =
    "This run restored nothing, to measure what the cache saves.";

pub(super) fn control_run(percent: u8) -> String {
    format!(
        "this run is one of the {percent} % that restore nothing, to measure what the cache saves (`experiment`)"
    )
}

pub(super) fn removed_input(input: &RemovedInput) -> String {
    format!("input {} has no effect: {}", input.name, input.advice)
}

/// What `fail-on-stale` fails with; the warnings before it name the crates.
pub(super) fn stale(crates: usize) -> String {
    format!(
        "{} may be stale in this job, and fail-on-stale is set",
        plural(crates as u64, "crate", "crates")
    )
}

/// A size in the form in which actions/cache logs it (actions/toolkit, packages/cache, cache.ts),
/// for those who search logs for it. Its megabytes are powers of two; these are powers of ten, as in
/// all other lines.
fn cache_size(bytes: u64) -> String {
    format!("~{} MB ({bytes} B)", (bytes + 500_000) / 1_000_000)
}

/// The line after "Cache restored from key".
pub(super) fn restored_size(found: &FoundEntry) -> String {
    let written = plural(found.written_files, "file", "files");
    let up_to_date = match found.files.saturating_sub(found.written_files) {
        0 => String::new(),
        files => format!(", {} up to date", plural(files, "file", "files")),
    };
    format!(
        "   Cache Size: {}, {written} written ({}){up_to_date}, in {} ms{}{}",
        cache_size(found.bytes),
        bytes(found.written_bytes),
        found.milliseconds,
        in_pre(found),
        from_remote(found)
    )
}

/// The line after "Cache saved with key".
pub(super) fn saved_size(files: u64, size: u64, added_bytes: u64, milliseconds: u64) -> String {
    format!(
        "   Cache Size: {}, {}, {} added to the store, in {milliseconds} ms",
        cache_size(size),
        plural(files, "file", "files"),
        bytes(added_bytes)
    )
}

/// What `fail-on-cache-miss` fails with in a step with `path`.
pub(super) fn required_key(inputs: &Inputs) -> String {
    format!(
        "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: {} \
         (looked for in {} on this runner)",
        inputs.key, inputs.cache_root
    )
}

/// What `fail-on-cache-miss` fails with in a Cargo project.
pub(super) fn required_keys(keys: &[&str], inputs: &Inputs) -> String {
    format!(
        "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. There is no entry for {} \
         (looked for in {} on this runner)",
        keys.join(", "),
        inputs.cache_root
    )
}

pub(super) fn no_project(inputs: &Inputs) -> String {
    let workspaces = inputs.cargo.workspaces.iter();
    let roots: Vec<&str> = workspaces.map(|line| line.root.as_str()).collect();
    format!(
        "`path` is not set and {} has no Cargo.toml or Cargo.lock, so nothing is cached; check \
         out the repository before this step, name the project in `workspaces`, or give `path` and `key`",
        roots.join(" or ")
    )
}

pub(super) fn not_found(cache: &CacheReply) -> String {
    let CacheReply { name, key, .. } = cache;
    match &cache.near_miss {
        Some(near) => format!("{name}: no entry for {key}; {near}"),
        None => format!("{name}: no entry for {key}"),
    }
}

/// What the pre phase saw, before the job.
pub(super) fn disk_before(disk: &DiskUsage, root: &str) -> String {
    format!("the disk of {root} is {}", usage(disk))
}

/// What restoring one cache of a Cargo project did.
pub(super) fn restored(cache: &str, found: &FoundEntry) -> String {
    let contents = contents(found);
    let from = matched_key(found);
    let took = elapsed_ms(found.milliseconds);
    if found.written_files == 0 && found.ready > 0 {
        return format!(
            "{cache}: {contents} restored by a rename and checked in {took} from {from}"
        );
    }
    if found.written_files == 0 {
        return format!("{cache}: {contents} already up to date with {from}, checked in {took}");
    }
    let written = if found.written_files == found.files {
        String::new()
    } else {
        format!(
            ", {} ({}) written, the others up to date",
            plural(found.written_files, "file", "files"),
            bytes(found.written_bytes)
        )
    };
    let details = written + &in_pre(found) + from_remote(found);
    format!("{cache}: {contents} restored in {took} from {from}{details}")
}

pub(super) fn restorable(cache: &str, found: &FoundEntry) -> String {
    let (contents, from) = (contents(found), matched_key(found));
    format!("{cache}: {contents} can be restored from {from}")
}

/// What the pre phase had done of it.
fn in_pre(found: &FoundEntry) -> String {
    match found.early_files {
        0 => String::new(),
        files if files == found.written_files => ", in the pre phase".to_owned(),
        files => format!(", {files} of them in the pre phase"),
    }
}

fn from_remote(found: &FoundEntry) -> &'static str {
    if found.from_remote {
        ", from the remote"
    } else {
        ""
    }
}

/// Why downloads are in a directory that the step does not use.
pub(super) const CHANGED_CARGO_HOME: &str = "the pre phase restored into another CARGO_HOME, which \
    a step changed since; set CARGO_HOME in the job's `env:`, or set `restore-in-pre: false`";

/// Why an entry was restored that the step does not ask for.
pub(super) fn changed_key(before: &str, now: &str) -> String {
    format!(
        "the pre phase restored {before}, but the key is {now} now; set `restore-in-pre: false`, \
         because the key depends on an earlier step"
    )
}

fn contents(found: &FoundEntry) -> String {
    let files = plural(found.files, "file", "files");
    format!("{files}, {}", bytes(found.bytes))
}

fn matched_key(found: &FoundEntry) -> String {
    let how = if found.exact { "exact" } else { "prefix" };
    format!("{} ({how})", found.key)
}

/// Which workspace crates cargo will not compile again.
pub(super) fn freshness(reply: &FreshnessReply) -> String {
    format!("workspace: {reply}")
}

/// What saving one cache of a Cargo project did.
pub(super) fn saved(cache: &CacheReply, reply: &SaveReply) -> (Mark, String) {
    let CacheReply { name, key, .. } = cache;
    let text = match reply {
        SaveReply::Done {
            files,
            bytes: size,
            added_bytes,
            milliseconds: took,
        } => {
            let text = format!(
                "{name}: {}, {} saved in {} as {key}, {} added to the store",
                plural(*files, "file", "files"),
                bytes(*size),
                elapsed_ms(*took),
                bytes(*added_bytes)
            );
            return (Mark::Saved, text);
        }
        SaveReply::Unchanged => format!("{name}: unchanged since it was saved as {key}"),
        SaveReply::Exists { .. } => {
            format!("{name}: another job has saved {key} in the meantime, its entry is kept")
        }
        SaveReply::InProgress => format!("{name}: another job is saving {key} right now"),
        SaveReply::Skipped { reason } => format!("{name} is not saved: {reason}"),
        SaveReply::NothingToSave => {
            format!("{name}: the directories do not exist, nothing is saved")
        }
    };
    (Mark::Done, text)
}

pub(super) fn not_saved(key: &str) -> String {
    format!("Cache hit occurred on the primary key {key}, not saving cache.")
}

pub(super) fn key_exists(key: &str) -> String {
    format!("an entry with key {key} exists already and is kept")
}

pub(super) fn key_in_progress(key: &str) -> String {
    format!("another job is saving an entry with key {key} right now")
}

pub(super) fn cleaned(entries: u64, freed_bytes: u64) -> String {
    format!(
        "removed {}, {} freed",
        plural(entries, "old entry", "old entries"),
        bytes(freed_bytes)
    )
}

pub(super) fn guard_removed(guarded: &GuardReport) -> String {
    format!(
        "the disk was {} % used, {} free: removed {}, {} freed",
        guarded.before.used_percent,
        bytes(guarded.before.free_bytes),
        plural(guarded.removed.len() as u64, "entry", "entries"),
        bytes(guarded.freed_bytes)
    )
}

/// Why nothing may be saved to the disk of the store at `root`: too few bytes or too few inodes are
/// free after the removal.
pub(super) fn disk_full(guarded: &GuardReport, root: &str, required: u64) -> String {
    let free = guarded.after.free_bytes;
    if free < required {
        return format!(
            "nothing is saved: the disk of {root} has {} free, less than the required {}; free some \
             space, or lower `min-free-space`",
            bytes(free),
            bytes(required)
        );
    }
    format!(
        "nothing is saved: more than {MAX_INODES_PERCENT} % of the inodes of the disk of {root} are \
         used; remove directories with many small files, or set `min-free-space: none`"
    )
}

/// What people should know about the disk of the store at `root`.
pub(super) fn disk_notice(notice: &DiskNotice, root: &str) -> String {
    match notice {
        DiskNotice::LittleFree(disk) => format!(
            "the disk of {root} is {}; 50 GB are recommended for caches and builds",
            usage(disk)
        ),
        DiskNotice::FilledByOthers {
            usage: disk,
            store_bytes,
        } => format!(
            "other data fills the disk of {root}: it is {}, and would be too full even without the cache ({}); \
             free space elsewhere, or set `disk-threshold` and `min-free-space`",
            usage(disk),
            bytes(*store_bytes)
        ),
        DiskNotice::WorkspaceFull(disk) => format!(
            "the disk of the workspace is {}; the cache is on another disk, so removing entries would not help",
            usage(disk)
        ),
        DiskNotice::InUse(disk) => format!(
            "the disk of {root} is {}, but other jobs are using the cache; a later phase cleans up",
            usage(disk)
        ),
    }
}

fn usage(disk: &DiskUsage) -> String {
    let inodes = match disk.inodes_percent {
        Some(percent @ 81..) => format!(", {percent} % of its inodes used"),
        _ => String::new(),
    };
    let free = bytes(disk.free_bytes);
    format!("{} % used, {free} free{inodes}", disk.used_percent)
}

pub(super) fn not_reserved(reason: &str) -> String {
    format!("Failed to save: Unable to reserve cache: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_described_by_the_usage_that_forbids_saving() {
        const GB: u64 = 1_000_000_000;
        let usage = |free_bytes, inodes_percent| DiskUsage {
            free_bytes,
            inodes_percent: Some(inodes_percent),
            ..DiskUsage::default()
        };
        let report = |after| GuardReport {
            before: usage(3 * GB, 100),
            after,
            ..GuardReport::default()
        };
        assert_eq!(
            disk_full(&report(usage(19 * GB, 100)), "/cache", 20 * GB),
            "nothing is saved: the disk of /cache has 19 GB free, less than the required 20 GB; \
             free some space, or lower `min-free-space`"
        );
        assert_eq!(
            disk_full(&report(usage(60 * GB, 100)), "/cache", 20 * GB),
            "nothing is saved: more than 99 % of the inodes of the disk of /cache are used; remove \
             directories with many small files, or set `min-free-space: none`"
        );
    }
}
