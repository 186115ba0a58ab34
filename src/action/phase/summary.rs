//! The job summary of a step: main leaves its rows to the post phase, which writes them with its
//! own. A step without a post phase writes its summary at once.

use super::context::StepContext;
use super::{messages, outputs, state, verdict};
use crate::action::kind::ActionKind;
use crate::action::summary::{JobSummary, SummaryRow, markdown};
use crate::fmt::human::{bytes, elapsed_ms};
use crate::job::{CacheReply, JobReply, SaveReply};
use crate::ops::second_tier::TierReport;
use crate::stats::event::Arm;

/// Leaves what was found to the post phase, or writes the summary if there is no such phase.
pub(super) fn after_restore(step: &StepContext<'_, '_>, reply: Option<&JobReply>) {
    let caches = reply.map_or(&[][..], |reply| &reply.caches);
    let rows: Vec<SummaryRow> = caches
        .iter()
        .filter(|cache| !cache.is_empty())
        .map(restored_row)
        .collect();
    if step.inputs.kind != ActionKind::Cache {
        if let Some(reply) = reply {
            write(step, &rows, reply);
        }
        return;
    }
    let looked_up = step.arm() != Some(Arm::Control) && step.workflow.cache_mode.may_restore();
    if let Some(result) = outputs::lookup_result(caches).filter(|_| looked_up) {
        step.save_state(&state::LOOKUP, &result);
    }
    step.save_state(&state::ROWS, &rows);
    if let Some(report) = reply.and_then(|reply| reply.second_tier.as_ref()) {
        step.save_state(&state::REMOTE, report);
    }
}

/// Writes the summary of a step at its end.
pub(super) fn write_at_end(step: &StepContext<'_, '_>, reply: &JobReply) {
    let mut rows = step.state.rows.clone();
    for cache in reply.caches.iter().filter(|cache| !cache.is_empty()) {
        merge_row(&mut rows, saved_row(cache));
    }
    write(step, &rows, reply);
}

/// Adds the result of saving a cache to the row of its restore.
fn merge_row(rows: &mut Vec<SummaryRow>, saved: SummaryRow) {
    match rows.iter_mut().find(|row| row.name == saved.name) {
        Some(row) => {
            (row.saved, row.key) = (saved.saved, saved.key);
            if row.files == 0 {
                (row.files, row.bytes) = (saved.files, saved.bytes);
            }
        }
        None => rows.push(saved),
    }
}

fn write(step: &StepContext<'_, '_>, rows: &[SummaryRow], reply: &JobReply) {
    if !step.inputs.summary || step.workflow.files.summary.is_none() {
        return;
    }
    let guarded = reply.guard.as_ref();
    let before = step.state.disk_before;
    let verdict = step.state.verdict.clone().or_else(|| {
        // A step without a post phase has left none.
        verdict::of_step(step, reply).map(|(mark, text)| mark.with(text))
    });
    let remote = remote_of_step(step, reply);
    let summary = JobSummary {
        verdict: verdict.as_deref(),
        rows,
        before: before.or(guarded.map(|guarded| guarded.before)),
        after: reply.disk,
        remote: remote.as_ref(),
        notices: &notices(step, reply),
        trend: &reply.past_runs,
    };
    if let Some(markdown) = markdown(&summary) {
        // A missing summary is not worth a warning.
        if let Err(error) = step.workflow.files.append_summary(&markdown) {
            step.console.debug(error);
        }
    }
}

/// What the remote did in main and in post.
fn remote_of_step(step: &StepContext<'_, '_>, reply: &JobReply) -> Option<TierReport> {
    let (earlier, now) = (step.state.remote.clone(), reply.second_tier.clone());
    match (earlier, now) {
        (Some(earlier), Some(now)) => Some(earlier.with(now)),
        (earlier, now) => earlier.or(now),
    }
}

fn notices(step: &StepContext<'_, '_>, reply: &JobReply) -> Vec<String> {
    let of_disk = reply.guard.iter().flat_map(|guarded| &guarded.notices);
    let of_disk = of_disk.map(|notice| messages::disk_notice(notice, &step.inputs.cache_root));
    let control = (step.arm() == Some(Arm::Control)).then(|| messages::CONTROL_IN_SUMMARY.into());
    let stale = reply.stale.iter().map(|unit| format!("⚠️ {unit}"));
    let failed = reply.caches.iter().filter_map(|cache| cache.error.as_ref());
    let failed = reply.error.iter().chain(failed);
    let failed = failed.map(|error| format!("❌ {error}"));
    of_disk.chain(control).chain(stale).chain(failed).collect()
}

fn restored_row(cache: &CacheReply) -> SummaryRow {
    SummaryRow {
        hit: Some(outputs::lookup_of(cache)),
        ..saved_row(cache)
    }
}

fn saved_row(cache: &CacheReply) -> SummaryRow {
    let mut row = SummaryRow {
        name: cache.name.clone(),
        key: cache.key.clone(),
        hit: None,
        saved: saved_cell(cache),
        ..SummaryRow::default()
    };
    if let Some(found) = &cache.found {
        (row.files, row.bytes, row.written_bytes) = (found.files, found.bytes, found.written_bytes);
        row.restore_milliseconds = Some(found.milliseconds);
        row.from_remote = found.from_remote;
    }
    if let Some(SaveReply::Done { files, bytes, .. }) = cache.saved {
        (row.files, row.bytes) = (files, bytes);
    }
    row
}

/// The result of saving, in a few words.
fn saved_cell(cache: &CacheReply) -> Option<String> {
    if cache.error.is_some() {
        return Some("failed".to_owned());
    }
    Some(match cache.saved.as_ref()? {
        SaveReply::Done {
            bytes: size,
            added_bytes,
            milliseconds,
            ..
        } => {
            let took = elapsed_ms(*milliseconds);
            format!("{} in {took}, {} added", bytes(*size), bytes(*added_bytes))
        }
        SaveReply::Unchanged | SaveReply::Exists { .. } => "up to date".to_owned(),
        SaveReply::InProgress => "by another job".to_owned(),
        SaveReply::NothingToSave => "nothing to save".to_owned(),
        SaveReply::Skipped { .. } => "not saved".to_owned(),
    })
}
