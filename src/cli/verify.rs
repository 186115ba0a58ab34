//! `local-cache verify`: checks the whole store and repairs it.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::text::Rendered;
use crate::error::Error;
use crate::fmt::human::{bytes, plural};
use crate::ops::verify;
use crate::store::Store;
use crate::store::verify::VerifyReport;

/// Read the whole store and check contents against their digests
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache verify --repair")]
pub(super) struct VerifyArgs {
    /// Quarantine damaged entries and delete damaged contents
    #[arg(long)]
    repair: bool,
}

pub(super) fn verify(context: &mut CommandContext<'_>, args: &VerifyArgs) -> Result<Exit> {
    if args.repair && Store::open(context.cache_root).is_err_and(|error| error.is_damage()) {
        // Repairs the store's own files; entries follow below.
        Store::create(context.cache_root)?;
    }
    let Some(store) = context.open_store()? else {
        let text = format!("✅ no store in {}\n", context.cache_root.display());
        context.print(&text, &document(&VerifyReport::default(), false))?;
        return Ok(Exit::Done);
    };
    let (verified, collected) = verify::verify(&store, args.repair, context.monitor)?;
    let is_repaired = collected.is_some();
    let (text, json) = render(&verified, is_repaired);
    context.print(&text, &json)?;
    Ok(
        if (is_repaired || is_undamaged(&verified)) && is_known(&verified) {
            Exit::Done
        } else {
            Exit::Failed
        },
    )
}

fn is_undamaged(verified: &VerifyReport) -> bool {
    verified.damaged.is_empty() && verified.damaged_files.is_empty()
}

/// Whether something can't be read, which no repair changes.
fn is_known(verified: &VerifyReport) -> bool {
    verified.unknown == 0 && verified.unreadable_files.is_empty()
}

fn render(verified: &VerifyReport, is_repaired: bool) -> Rendered {
    let mut text = String::new();
    for (id, error) in &verified.damaged {
        // Writing to a string does not fail.
        let _ = writeln!(text, "⚠️ entry {id}: {error}");
    }
    for error in verified
        .damaged_files
        .iter()
        .chain(&verified.unreadable_files)
    {
        let _ = writeln!(text, "⚠️ {error}");
    }
    let intact = plural(verified.intact, "entry", "entries");
    if !is_known(verified) {
        let unknown = plural(verified.unknown, "entry is", "entries are");
        let _ = writeln!(text, "⚠️ {unknown} misses until these files can be read");
    }
    let _ = if is_undamaged(verified) {
        let mark = if is_known(verified) { "✅" } else { "⚠️" };
        writeln!(
            text,
            "{mark} {intact} intact, {} read",
            bytes(verified.bytes)
        )
    } else if is_repaired {
        writeln!(
            text,
            "🧹 {intact} intact; damaged entries were quarantined and damaged contents deleted"
        )
    } else {
        writeln!(
            text,
            "⚠️ {intact} intact; `local-cache verify --repair` quarantines the damaged ones"
        )
    };
    (text, document(verified, is_repaired))
}

fn document(verified: &VerifyReport, is_repaired: bool) -> Value {
    let damaged: Vec<Value> = verified
        .damaged
        .iter()
        .map(|(id, error)| json!({ "entry": id, "reason": error.to_string() }))
        .collect();
    let lines =
        |errors: &[Error]| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
    json!({
        "intact": verified.intact,
        "damaged": damaged,
        "damaged-files": lines(&verified.damaged_files),
        "unknown": verified.unknown,
        "unreadable-files": lines(&verified.unreadable_files),
        "read-bytes": verified.bytes,
        "repaired": is_repaired,
    })
}
