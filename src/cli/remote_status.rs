//! What `local-cache remote status` prints.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::{Rendered, age_of, one_line};
use crate::fmt::human::{bytes, plural};
use crate::fmt::table::Table;
use crate::remote::{Remote, RemoteEntry, RemoteStatus};
use crate::stats::event;
use crate::store::Entry;
use crate::store::background_push::BackgroundPush;

pub(super) fn render_status(remote: &Remote, status: &RemoteStatus) -> Rendered {
    let json = json!({
        "place": remote.place(),
        "objects": status.objects,
        "bytes": status.bytes,
        "unreferenced-bytes": status.unreferenced_bytes,
        "damaged": status.damaged,
        "newer": status.newer,
        "refused": status.refused,
        "entries": status.entries.iter().map(entry_json).collect::<Vec<_>>(),
    });
    let mut table = Table::new([
        "trust", "scope", "ref", "kind", "size", "stored", "pushed", "key",
    ])
    .align_right([4, 5]);
    for RemoteEntry {
        trust,
        entry,
        pushed,
        stored_bytes,
    } in &status.entries
    {
        table.add_row([
            trust.to_string(),
            one_line(&entry.group.scope),
            one_line(&entry.group.git_ref),
            entry.group.kind.to_string(),
            bytes(entry.bytes),
            bytes(*stored_bytes),
            age_of(*pushed),
            one_line(&entry.key),
        ]);
    }
    let mut text = String::new();
    if !status.entries.is_empty() {
        text = format!("{table}\n");
    }
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "☁️ {}: {}, {} in {}, {} not needed",
        remote.place(),
        plural(status.entries.len() as u64, "entry", "entries"),
        bytes(status.bytes),
        plural(status.objects, "object", "objects"),
        bytes(status.unreferenced_bytes)
    );
    if status.damaged > 0 {
        let _ = writeln!(
            text,
            "⚠️ {} cannot be read; `local-cache remote verify --repair` removes them",
            plural(status.damaged, "entry", "entries")
        );
    }
    if status.newer > 0 {
        let _ = writeln!(
            text,
            "   {} of a newer local-cache not listed",
            plural(status.newer, "entry", "entries")
        );
    }
    if status.refused > 0 {
        let _ = writeln!(
            text,
            "⚠️ {} not listed and not used here, because no key of the option trust signed them; `local-cache remote verify` names them",
            plural(status.refused, "entry", "entries")
        );
    }
    (text, json)
}

pub(super) fn add_background((text, json): &mut Rendered, last: &BackgroundPush) {
    if let Some(failed) = last.what_failed(event::now()) {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "⚠️ the last copy in the background to {} {failed}; `local-cache remote push` copies what is missing",
            last.place
        );
    }
    let seconds = |milliseconds: i64| milliseconds / 1000;
    json["background-push"] = json!({
        "place": last.place,
        "started": seconds(last.started),
        "ended": last.ended.map(seconds),
        "pushed-entries": last.pushed_entries,
        "present-entries": last.present_entries,
        "sent-bytes": last.sent_bytes,
        "failure": last.failure,
    });
}

fn entry_json(found: &RemoteEntry) -> Value {
    let Entry {
        group,
        key,
        created,
        bytes,
        files,
        ..
    } = &found.entry;
    json!({
        "trust": found.trust,
        "entry": found.entry.id(),
        "scope": group.scope,
        "ref": group.git_ref,
        "kind": group.kind,
        "paths": group.paths,
        "key": key,
        "created": created.seconds,
        "pushed": found.pushed.seconds,
        "files": files,
        "bytes": bytes,
        "stored-bytes": found.stored_bytes,
    })
}
