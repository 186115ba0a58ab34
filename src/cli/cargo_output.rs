//! What `local-cache cargo` prints: one line per cache.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::{Rendered, files_and_bytes};
use crate::fmt::human::{bytes, elapsed_ms, plural};
use crate::job::{CacheReply, FoundEntry, JobReply, SaveReply};

pub(super) fn render(reply: &JobReply) -> Rendered {
    let mut text = String::new();
    let shown = |cache: &&CacheReply| cache.error.is_none() && !cache.is_empty();
    for cache in reply.caches.iter().filter(shown) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", cache_line(cache));
    }
    if let Some(freshness) = reply.freshness.as_ref().filter(|it| it.crates > 0) {
        let _ = writeln!(text, "🚀 workspace: {freshness}");
    }
    let caches: Vec<Value> = reply.caches.iter().map(cache_json).collect();
    let json = json!({
        "caches": caches,
        "freshness": reply.freshness,
        "stale": reply.stale,
        "warnings": reply.warnings,
    });
    (text, json)
}

fn cache_line(cache: &CacheReply) -> String {
    let CacheReply { name, key, .. } = cache;
    match (&cache.found, &cache.saved) {
        (Some(found), _) => format!("🚀 {name}: {}", restored_text(found)),
        (None, Some(saved)) => saved_line(name, key, saved),
        (None, None) => match &cache.near_miss {
            Some(near) => format!("💿 {name}: no entry for {key}\n   {near}"),
            None => format!("💿 {name}: no entry for {key}"),
        },
    }
}

fn restored_text(found: &FoundEntry) -> String {
    format!(
        "{} from {} ({}) in {}, {} written",
        files_and_bytes(found.files, found.bytes),
        found.key,
        match_name(found),
        elapsed_ms(found.milliseconds),
        plural(found.written_files, "file", "files")
    )
}

fn saved_line(name: &str, key: &str, saved: &SaveReply) -> String {
    match saved {
        SaveReply::Done {
            files,
            bytes: size,
            added_bytes,
            milliseconds,
        } => format!(
            "💾 {name}: {} saved in {} as {key}, {} added to the store",
            files_and_bytes(*files, *size),
            elapsed_ms(*milliseconds),
            bytes(*added_bytes)
        ),
        SaveReply::Unchanged => format!("✅ {name}: unchanged since it was saved as {key}"),
        SaveReply::Exists { .. } => {
            format!("✅ {name}: an entry with key {key} exists already and is kept")
        }
        SaveReply::InProgress => format!("✅ {name}: another process is saving {key} right now"),
        SaveReply::Skipped { reason } => format!("✅ {name} is not saved: {reason}"),
        SaveReply::NothingToSave => {
            format!("✅ {name}: the directories do not exist, nothing is saved")
        }
    }
}

fn match_name(found: &FoundEntry) -> &'static str {
    if found.exact { "exact" } else { "prefix" }
}

/// The fields have the same names as those of `restore` and `save`.
fn cache_json(cache: &CacheReply) -> Value {
    let mut value = json!({
        "name": cache.name, "kind": cache.kind.to_string(), "key": cache.key, "error": cache.error,
    });
    match (&cache.found, &cache.saved) {
        (Some(found), _) => add_restored(&mut value, found),
        (None, Some(saved)) => add_saved(&mut value, saved),
        (None, None) => {
            value["cache-hit"] = json!("miss");
            if let Some(near) = &cache.near_miss {
                value["near-miss"] = json!(near);
            }
        }
    }
    value
}

fn add_restored(value: &mut Value, found: &FoundEntry) {
    value["cache-hit"] = json!(match_name(found));
    value["cache-matched-key"] = json!(found.key);
    value["entry"] = json!(found.entry);
    value["files"] = json!(found.files);
    value["bytes"] = json!(found.bytes);
    value["written-files"] = json!(found.written_files);
    value["written-bytes"] = json!(found.written_bytes);
    value["restore-milliseconds"] = json!(found.milliseconds);
}

fn add_saved(value: &mut Value, saved: &SaveReply) {
    let reason = match saved {
        SaveReply::Done {
            files,
            bytes,
            added_bytes,
            milliseconds,
        } => {
            value["saved"] = json!(true);
            value["files"] = json!(files);
            value["bytes"] = json!(bytes);
            value["added-bytes"] = json!(added_bytes);
            value["save-milliseconds"] = json!(milliseconds);
            return;
        }
        SaveReply::InProgress => "in-progress",
        SaveReply::NothingToSave => "nothing-there",
        SaveReply::Skipped { .. } => "skipped",
        SaveReply::Exists { .. } => "exists",
        SaveReply::Unchanged => "unchanged",
    };
    value["saved"] = json!(false);
    value["reason"] = json!(reason);
}
