//! Events, the journal, and statistics.

mod figures;
mod journal;
pub(crate) mod page;
mod speed;

use local_cache::stats::event::{CacheEvent, DiskState, Event, LookupResult, Phase, Run};

/// 2026-11-23 12:00:00 UTC.
pub(super) const NOON: i64 = 1_795_435_200_000;

pub(super) fn run(repository: &str, run_id: u64) -> Run {
    Run {
        repository: repository.to_owned(),
        workflow: "CI".to_owned(),
        job: "build".to_owned(),
        step: "cache".to_owned(),
        git_ref: "refs/heads/main".to_owned(),
        run_id,
        attempt: 1,
    }
}

/// A restore of some bytes in a second; a tenth of them was written.
pub(crate) fn restored(repository: &str, kind: &str, hit: LookupResult, bytes: u64) -> Event {
    let found = hit != LookupResult::Miss;
    Event {
        time: NOON,
        phase: Phase::Main,
        run: run(repository, 1),
        caches: vec![CacheEvent {
            kind: kind.to_owned(),
            key: "cargo-0123456789abcdef".to_owned(),
            hit: Some(hit),
            restored_bytes: if found { bytes } else { 0 },
            written_bytes: if found { bytes / 10 } else { 0 },
            restore_milliseconds: if found { 1000 } else { 0 },
            ..CacheEvent::default()
        }],
        disk: Some(DiskState {
            used_percent: 40,
            free_bytes: 60_000_000_000,
            store_bytes: 5_000_000_000,
        }),
        milliseconds: 1010,
        ..Event::default()
    }
}

/// The end of a job that took some milliseconds and saved some bytes.
pub(crate) fn ended(
    repository: &str,
    run_id: u64,
    job_milliseconds: u64,
    saved: Option<u64>,
) -> Event {
    Event {
        time: NOON.saturating_add(i64::try_from(job_milliseconds).unwrap_or(0)),
        phase: Phase::Post,
        run: run(repository, run_id),
        caches: vec![CacheEvent {
            kind: "target".to_owned(),
            saved_bytes: saved,
            added_bytes: saved.unwrap_or(0) / 2,
            save_milliseconds: 500,
            ..CacheEvent::default()
        }],
        job_milliseconds: Some(job_milliseconds),
        job_status: Some("success".to_owned()),
        ..Event::default()
    }
}
