//! Outcomes as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fmt::human::{age, bytes, elapsed, plural};
use crate::fmt::table::Table;
use crate::fs::Timestamp;
use crate::ops::path_list::printable;
use crate::ops::prune::{ListedEntry, Pruned};
use crate::ops::restore::RestoredEntry;
use crate::ops::save::{SaveOutcome, SavedEntry};
use crate::store::Entry;
use crate::store::gc::GcStats;
use crate::store::key_match::KeyMatch;
use crate::store::retention::family;
use crate::store::verify::VerifyReport;
use crate::tree::manifest::Manifest;
use crate::tree::{LeafKind, Tree};

/// Text for people, and the same for programs.
type Rendered = (String, Value);

pub(super) fn restored(found: Option<&RestoredEntry>, key: &str, root: &Path) -> Rendered {
    let Some(found) = found else {
        let text = format!(
            "💿 nothing found for the key {} in {}\n",
            one_line(key),
            root.display()
        );
        return (
            text,
            json!({ "cache-hit": "miss", "cache-primary-key": key }),
        );
    };
    let how = match found.matched {
        KeyMatch::Exact => "exact",
        KeyMatch::Prefix => "prefix",
    };
    let entry = &found.entry;
    let size = format!(
        "{}, {}",
        plural(entry.files, "file", "files"),
        bytes(entry.bytes)
    );
    let mut text = match found.stats.applied {
        None => format!("🔍 found {} ({how} match): {size}\n", one_line(&entry.key)),
        Some(_) => {
            format!(
                "🚀 restored {} ({how} match) in {}: {size}\n",
                one_line(&entry.key),
                elapsed(found.elapsed)
            )
        }
    };
    let mut json = json!({
        "cache-hit": how,
        "cache-primary-key": key,
        "cache-matched-key": entry.key,
        "entry": found.id,
        "files": entry.files,
        "bytes": entry.bytes,
    });
    if let Some(applied) = found.stats.applied {
        if found.stats.up_to_date_files > 0 {
            let written = plural(applied.files, "was", "were");
            let _ = writeln!(
                text,
                "   {} right already, {written} written ({})",
                plural(found.stats.up_to_date_files, "file was", "files were"),
                bytes(applied.bytes)
            );
        }
        if applied.removed > 0 {
            let _ = writeln!(
                text,
                "   {} removed",
                plural(applied.removed, "extra name was", "extra names were")
            );
        }
        json["restore-milliseconds"] = milliseconds(found.elapsed);
        json["right-files"] = found.stats.up_to_date_files.into();
        json["right-bytes"] = found.stats.up_to_date_bytes.into();
        // Of the right ones, those that had to be read for that.
        json["compared-files"] = applied.confirmed.into();
        json["written-files"] = applied.files.into();
        json["written-bytes"] = applied.bytes.into();
        json["ready-directories"] = found.stats.ready.into();
        json["removed-files"] = applied.removed.into();
    }
    (text, json)
}

fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .into()
}

pub(super) fn saved(outcome: &SaveOutcome, key: &str) -> Rendered {
    let shown = one_line(key);
    match outcome {
        SaveOutcome::Saved(saved) => {
            let SavedEntry {
                id,
                entry,
                reused_files,
                reused_bytes,
                skipped_files,
                elapsed: duration,
            } = &**saved;
            let mut text = format!(
                "💾 saved {shown} in {}: {}, {}; {} added to the store\n",
                elapsed(*duration),
                plural(entry.files, "file", "files"),
                bytes(entry.bytes),
                bytes(entry.added_bytes)
            );
            if *skipped_files > 0 {
                let _ = writeln!(
                    text,
                    "⚠️ {} left out",
                    plural(*skipped_files, "file was", "files were")
                );
            }
            let json = json!({
                "saved": true,
                "key": key,
                "entry": id,
                "files": entry.files,
                "bytes": entry.bytes,
                "added-bytes": entry.added_bytes,
                "reused-files": reused_files,
                "reused-bytes": reused_bytes,
                "left-out-files": skipped_files,
                "save-milliseconds": milliseconds(*duration),
            });
            (text, json)
        }
        SaveOutcome::Exists => not_saved(
            key,
            "exists",
            &format!("✅ {shown} is saved already; --refresh replaces it\n"),
        ),
        SaveOutcome::Unchanged => not_saved(
            key,
            "unchanged",
            &format!("✅ {shown} is saved as it is already\n"),
        ),
        SaveOutcome::InProgress => not_saved(
            key,
            "in-progress",
            &format!("✅ {shown} is being saved by another process right now\n"),
        ),
        SaveOutcome::NothingToSave => not_saved(key, "nothing-there", ""),
    }
}

fn not_saved(key: &str, reason: &str, text: &str) -> Rendered {
    (
        text.to_owned(),
        json!({ "saved": false, "key": key, "reason": reason }),
    )
}

fn ago(time: Timestamp) -> String {
    let seconds = Timestamp::now().seconds.saturating_sub(time.seconds);
    age(Duration::from_secs(
        u64::try_from(seconds).unwrap_or_default(),
    ))
}

pub(super) fn listed(entries: &[ListedEntry], root: &Path) -> Rendered {
    let mut table = Table::new([
        "entry", "kind", "files", "size", "added", "saved", "used", "key",
    ])
    .align_right([2, 3, 4]);
    for ListedEntry {
        id,
        entry,
        last_used,
    } in entries
    {
        table.add_row([
            id.to_string()[..24].to_owned(),
            entry.group.kind.to_string(),
            crate::fmt::human::count(entry.files),
            bytes(entry.bytes),
            bytes(entry.added_bytes),
            ago(entry.created),
            ago(*last_used),
            one_line(&entry.key),
        ]);
    }
    let text = if entries.is_empty() {
        format!("💿 no entries in {}\n", root.display())
    } else {
        table.to_string()
    };
    let list = entries.iter().map(entry_json).collect();
    (text, Value::Array(list))
}

/// A key on one line, with nothing that a terminal would act on.
pub(super) fn one_line(key: &str) -> String {
    key.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

fn entry_json(listed: &ListedEntry) -> Value {
    let Entry {
        group,
        key,
        created,
        files,
        directories,
        bytes,
        added_bytes,
        ..
    } = &listed.entry;
    json!({
        "entry": listed.id,
        "kind": group.kind,
        "scope": group.scope,
        "ref": group.git_ref,
        "paths": group.paths,
        "key": key,
        "created": seconds(*created),
        "last-used": seconds(listed.last_used),
        "files": files,
        "directories": directories,
        "bytes": bytes,
        "added-bytes": added_bytes,
    })
}

fn seconds(time: Timestamp) -> Value {
    json!(time.seconds)
}

pub(super) fn entry(listed: &ListedEntry, manifest: &Manifest) -> Rendered {
    let Entry {
        group,
        key,
        created,
        files,
        bytes: size,
        added_bytes,
        ..
    } = &listed.entry;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:10} {value}");
    };
    line("entry", &listed.id.to_string());
    line("key", &one_line(key));
    line("kind", &group.kind.to_string());
    if !group.scope.is_empty() {
        line("scope", &group.scope);
        line("ref", &group.git_ref);
    }
    line("paths", &group.paths.join(", "));
    line("saved", &format!("{} ago", ago(*created)));
    line("used", &format!("{} ago", ago(listed.last_used)));
    line(
        "size",
        &format!(
            "{}, {}, {} added",
            plural(*files, "file", "files"),
            bytes(*size),
            bytes(*added_bytes)
        ),
    );
    text.push('\n');
    let tree = &manifest.tree;
    for dir in std::iter::once(Tree::TOP).chain(tree.dir_ids()) {
        if dir != Tree::TOP {
            let _ = writeln!(text, "{:>12}  {}/", "", shown(&tree.dir_path(dir)));
        }
        for (id, leaf) in tree.leaves_in(dir) {
            let path = shown(&tree.leaf_path(id));
            let _ = match &leaf.kind {
                LeafKind::File(file) => writeln!(text, "{:>12}  {path}", file.size),
                LeafKind::Symlink(target) => {
                    writeln!(text, "{:>12}  {path} -> {}", "", printable(target))
                }
                LeafKind::HardLink(first) => {
                    writeln!(
                        text,
                        "{:>12}  {path} = {}",
                        "",
                        shown(&tree.leaf_path(*first))
                    )
                }
            };
        }
    }
    let mut json = entry_json(listed);
    json["tree"] = tree_json(tree);
    (text, json)
}

fn shown(path: &Path) -> String {
    let text = printable(path.as_os_str().as_encoded_bytes());
    one_line(text.strip_prefix("./").unwrap_or(&text))
}

fn tree_json(tree: &Tree) -> Value {
    let mut list = Vec::new();
    for id in tree.dir_ids() {
        let dir = &tree[id];
        list.push(json!({
            "path": shown(&tree.dir_path(id)), "kind": "directory", "mode": format!("{:04o}", dir.mode),
            "modified": [dir.mtime.seconds, i64::from(dir.mtime.nanoseconds)],
        }));
    }
    for id in tree.leaf_ids() {
        let leaf = &tree[id];
        let path = shown(&tree.leaf_path(id));
        list.push(match &leaf.kind {
            LeafKind::File(file) => json!({
                "path": path, "kind": "file", "mode": format!("{:04o}", leaf.mode), "size": file.size,
                "modified": [leaf.mtime.seconds, i64::from(leaf.mtime.nanoseconds)],
                "digest": file.content.map(|content| content.digest),
            }),
            LeafKind::Symlink(target) => {
                json!({ "path": path, "kind": "symlink", "target": printable(target) })
            }
            LeafKind::HardLink(first) => {
                json!({ "path": path, "kind": "hard-link", "target": shown(&tree.leaf_path(*first)) })
            }
        });
    }
    Value::Array(list)
}

pub(super) fn verified(verified: &VerifyReport, collected: Option<&GcStats>) -> Rendered {
    let VerifyReport {
        intact: whole,
        damaged,
        damaged_files,
        bytes: read,
    } = verified;
    let mut text = String::new();
    for (id, error) in damaged {
        let _ = writeln!(text, "⚠️ entry {id}: {error}");
    }
    for error in damaged_files {
        let _ = writeln!(text, "⚠️ {error}");
    }
    let whole_ones = plural(*whole, "entry is", "entries are");
    let _ = match (damaged.len() + damaged_files.len(), collected) {
        (0, _) => writeln!(text, "✅ {whole_ones} whole, {} read", bytes(*read)),
        (_, Some(_)) => writeln!(
            text,
            "🧹 {whole_ones} whole; what is damaged was set aside and removed"
        ),
        (_, None) => {
            writeln!(
                text,
                "⚠️ {whole_ones} whole; `local-cache verify --repair` sets the damaged ones aside"
            )
        }
    };
    let damaged: Vec<Value> = damaged
        .iter()
        .map(|(id, error)| json!({ "entry": id, "reason": error.to_string() }))
        .collect();
    let files: Vec<String> = damaged_files.iter().map(ToString::to_string).collect();
    let json = json!({
        "whole": whole, "damaged": damaged, "damaged-files": files, "read-bytes": read,
        "repaired": collected.is_some(),
    });
    (text, json)
}

pub(super) fn pruned(pruned: &Pruned, dry_run: bool) -> Rendered {
    let mut table = Table::new(["entry", "kind", "size", "used", "rank", "decision", "key"])
        .align_right([2, 3]);
    let mut list = Vec::new();
    let mut dropped = 0;
    for (decision, entry) in &pruned.decisions {
        let reason = decision.evict.map(|reason| reason.to_string());
        dropped += u64::from(reason.is_some());
        list.push(json!({
            "entry": decision.id, "key": entry.key, "keep": reason.is_none(), "reason": reason,
            "rank": decision.rank, "family": family(&entry.key),
        }));
        table.add_row([
            decision.id.to_string()[..24].to_owned(),
            entry.group.kind.to_string(),
            bytes(entry.bytes),
            ago(decision.last_used),
            format!("{}.", decision.rank),
            reason.map_or_else(|| "stays".to_owned(), |reason| format!("goes: {reason}")),
            one_line(&entry.key),
        ]);
    }
    let mut text = if table.is_empty() {
        String::new()
    } else {
        format!("{table}\n")
    };
    let kept = plural(
        pruned.decisions.len() as u64 - dropped,
        "entry stays",
        "entries stay",
    );
    let gone = plural(dropped, "entry", "entries");
    let _ = match pruned.collected {
        Some(collected) => writeln!(
            text,
            "🧹 {gone} removed, {} given back; {kept}",
            bytes(collected.bytes)
        ),
        None if dry_run => writeln!(text, "🔍 {gone} would be removed; {kept}"),
        None => writeln!(text, "🧹 nothing to remove"),
    };
    let json = json!({
        "dry-run": dry_run,
        "decisions": list,
        "removed-entries": if dry_run { 0 } else { dropped },
        "freed-bytes": pruned.collected.map_or(0, |collected| collected.bytes),
        "rewritten-packs": pruned.collected.map_or(0, |collected| collected.rewritten),
    });
    (text, json)
}
