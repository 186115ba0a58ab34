//! `local-cache restore`: restores paths from the best matching entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use super::record::{RecordedWork, record};
use super::save::path_group;
use super::scope::ScopeArgs;
use super::second_tier::{CommandTier, SecondTierArgs};
use super::selection::SelectionArgs;
use super::text::{Rendered, files_and_bytes, one_line};
use super::values::parse_key;
use crate::fmt::human::{bytes, elapsed, plural};
use crate::fmt::whole_milliseconds;
use crate::fs::Local;
use crate::job::{CacheReply, FoundEntry, PathsTarget};
use crate::ops::entries;
use crate::ops::near_miss::{Difference, Lookup, NearMiss, near_miss};
use crate::ops::restore::{self, RestoreOptions, RestoredEntry};
use crate::ops::unpack::unpack;
use crate::stats::event::Phase;
use crate::store::key_match::KeyMatch;
use crate::store::{CacheKind, EntryGroup, Store};
use crate::tree::apply::Applied;
use crate::tree::plan::Extraneous;

/// Restore the files saved under a key
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache restore --key linux-$(sha256sum Cargo.lock | cut -c1-16) \\\n    --restore-key linux- ~/.cargo/registry target\n  local-cache restore --repository acme/app --ref main --key deps-1 vendor\n  local-cache restore --entry 3f2a-91bc07 --to /tmp/look"
)]
pub(super) struct RestoreArgs {
    /// Key of the entry, as given to `save`
    #[arg(long, required_unless_present = "entry")]
    key: Option<String>,
    /// Key prefix to try if there is no entry with the key; can be given several times
    #[arg(long = "restore-key", value_name = "PREFIX")]
    restore_keys: Vec<String>,
    /// Delete files that the entry does not contain
    #[arg(long)]
    mirror: bool,
    #[command(flatten)]
    lookup: LookupArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Write an entry below this directory, to look into it; `HOME` and `ROOT` in it stand for
    /// the home directory and `/`
    #[arg(long, value_name = "DIR", requires = "entry", conflicts_with = "key")]
    to: Option<PathBuf>,
    /// ID of the entry to write with --to, or its key
    #[arg(long, value_name = "ENTRY|KEY", requires = "to", conflicts_with_all = ["key", "restore_keys", "mirror", "paths"])]
    entry: Option<String>,
    #[command(flatten)]
    remote: SecondTierArgs,
    /// Files, directories or patterns, the same as given to `save`
    #[arg(required_unless_present = "entry", value_name = "PATH")]
    paths: Vec<String>,
}

/// The flags that `restore` and `cargo restore` have in common.
#[derive(Debug, Args)]
pub(super) struct LookupArgs {
    /// Only check whether an entry exists, restore nothing
    #[arg(long)]
    pub(super) lookup_only: bool,
    /// Exit with code 3 if no entry is found
    #[arg(long)]
    fail_on_cache_miss: bool,
    /// Skip the check of file contents against their digests
    #[arg(long)]
    no_verify: bool,
}

impl LookupArgs {
    pub(super) fn restore_options(&self, mirror: bool) -> RestoreOptions {
        RestoreOptions {
            extraneous: Extraneous::for_mirror(mirror),
            verify: !self.no_verify,
            lookup_only: self.lookup_only,
            exact_only: false,
            inspect: false,
        }
    }

    pub(super) fn exit(&self, is_miss: bool) -> Exit {
        if is_miss && self.fail_on_cache_miss {
            Exit::Miss
        } else {
            Exit::Done
        }
    }
}

pub(super) fn restore(context: &mut CommandContext<'_>, args: &RestoreArgs) -> Result<Exit> {
    if let (Some(directory), Some(name)) = (&args.to, &args.entry) {
        return restore_to(context, args, directory, name);
    }
    let start = Instant::now();
    let key = parse_key(args.key.as_deref().unwrap_or_default())?;
    let paths = context.path_list(&args.paths)?;
    if args.mirror && paths.has_exclusions() {
        return Err(usage_error(
            "--mirror would also delete what the `!` patterns exclude; use only one of the two",
        ));
    }
    let tier = CommandTier::of(context, &args.remote)?;
    let mut store = match Store::open(context.cache_root) {
        Err(error) if error.is_damage() => {
            context.monitor.warn(&error.with_advice());
            None
        }
        other => other?,
    };
    if store.is_none() && tier.is_some() {
        store = Some(Store::create(context.cache_root)?);
    }
    let scopes = args.scope.resolve(context)?;
    let read = scopes.read.iter();
    let groups: Vec<EntryGroup> = read.map(|scope| path_group(scope, &paths)).collect();
    let restored = match &store {
        Some(store) => {
            let request = restore::RestoreRequest {
                groups: &groups,
                key,
                restore_keys: &args.restore_keys,
                destination: &|root| paths.destination(root, &Local::default()),
                options: args.lookup.restore_options(args.mirror),
                steps: None,
                second_tier: tier.as_ref().map(CommandTier::second_tier),
            };
            restore::restore(store, &request, context.monitor)?
        }
        None => None,
    };
    let mut rendered = match &restored {
        Some(restored) => render(restored, key),
        None => render_miss(key, context.cache_root),
    };
    if let (Some(store), None) = (&store, &restored) {
        let hint = near_miss(store, &lookup(args, key, &groups));
        add_hint(&mut rendered.0, &mut rendered.1, hint.as_ref());
    }
    if let Some(tier) = &tier {
        tier.report(&mut rendered);
    }
    context.print(&rendered.0, &rendered.1)?;
    let is_miss = restored.is_none();
    if !args.lookup.lookup_only {
        let cache = CacheReply {
            found: restored.map(FoundEntry::from),
            ..CacheReply::new(PathsTarget::NAME, CacheKind::Path, key)
        };
        let work = RecordedWork {
            caches: vec![cache.restore_event()],
            remote: tier.as_ref().and_then(CommandTier::traffic),
        };
        record(context, Phase::Main, &scopes.workflow, work, start);
    }
    Ok(args.lookup.exit(is_miss))
}

fn lookup<'a>(args: &'a RestoreArgs, key: &'a str, groups: &'a [EntryGroup]) -> Lookup<'a> {
    static NO_PARTS: BTreeMap<String, String> = BTreeMap::new();
    Lookup {
        groups,
        key,
        restore_keys: &args.restore_keys,
        parts: &NO_PARTS,
        all_scopes: true,
    }
}

fn add_hint(text: &mut String, json: &mut Value, near: Option<&NearMiss>) {
    let Some(near) = near else { return };
    // Writing to a string does not fail.
    let _ = writeln!(text, "   {near}");
    if let Difference::Place(scope, git_ref) = &near.difference
        && !scope.is_empty()
    {
        let scope = one_line(scope);
        let git_ref = one_line(crate::fmt::human::git_ref(git_ref));
        let _ = writeln!(
            text,
            "   add --repository {scope} --ref {git_ref} to use it"
        );
    }
    json["near-miss"] = json!(near);
}

/// Writes the entry with an id or a key below a directory.
fn restore_to(
    context: &mut CommandContext<'_>,
    args: &RestoreArgs,
    directory: &Path,
    name: &str,
) -> Result<Exit> {
    let store = context.open_store()?;
    let entries = match &store {
        Some(store) => entries::list(store, context.monitor)?,
        None => Vec::new(),
    };
    let listed = SelectionArgs::default().only(&entries, name)?;
    let directory = context.base.working_directory.join(directory);
    let restored = match &store {
        Some(store) => {
            let options = args.lookup.restore_options(false);
            unpack(store, &listed.entry, &directory, options, context.monitor)?
        }
        None => None,
    };
    let restored = restored.ok_or_else(|| anyhow!("the entry was removed in the meantime"))?;
    let (mut text, mut json) = render(&restored, &listed.entry.key);
    // Writing to a string does not fail.
    let _ = writeln!(text, "   in {}", one_line(&directory.display().to_string()));
    json["directory"] = directory.display().to_string().into();
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

fn render_miss(key: &str, cache_root: &Path) -> Rendered {
    let text = format!(
        "💿 no entry for key {} in {}\n",
        one_line(key),
        cache_root.display()
    );
    (
        text,
        json!({ "cache-hit": "miss", "cache-primary-key": key }),
    )
}

fn render(restored: &RestoredEntry, key: &str) -> Rendered {
    let how = match restored.matched {
        KeyMatch::Exact => "exact",
        KeyMatch::Prefix => "prefix",
    };
    let entry = &restored.entry;
    let shown_key = one_line(&entry.key);
    let size = files_and_bytes(entry.files, entry.bytes);
    let mut json = json!({
        "cache-hit": how,
        "cache-primary-key": key,
        "cache-matched-key": entry.key,
        "entry": restored.id,
        "files": entry.files,
        "bytes": entry.bytes,
    });
    let Some(applied) = restored.stats.applied else {
        return (format!("🔍 found {shown_key} ({how}): {size}\n"), json);
    };
    let text = format!(
        "🚀 restored {shown_key} ({how}) in {}: {size}\n{}",
        elapsed(restored.elapsed),
        change_lines(restored, &applied)
    );
    add_changes(&mut json, restored, &applied);
    (text, json)
}

fn add_changes(json: &mut Value, restored: &RestoredEntry, applied: &Applied) {
    json["restore-milliseconds"] = whole_milliseconds(restored.elapsed).into();
    json["right-files"] = restored.stats.up_to_date_files.into();
    json["right-bytes"] = restored.stats.up_to_date_bytes.into();
    // Of the files that were up to date, those whose contents had to be read to know it.
    json["compared-files"] = applied.confirmed.into();
    json["written-files"] = applied.files.into();
    json["written-bytes"] = applied.bytes.into();
    json["ready-directories"] = restored.stats.ready.into();
    json["removed-files"] = applied.removed.into();
}

/// Lines about files that did not have to be written, and about deleted paths.
fn change_lines(restored: &RestoredEntry, applied: &Applied) -> String {
    let mut text = String::new();
    if restored.stats.up_to_date_files > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "   {} up to date, {} written ({})",
            plural(restored.stats.up_to_date_files, "file was", "files were"),
            applied.files,
            bytes(applied.bytes)
        );
    }
    if applied.removed > 0 {
        let _ = writeln!(
            text,
            "   {} removed that the entry does not contain",
            plural(applied.removed, "path was", "paths were")
        );
    }
    text
}
