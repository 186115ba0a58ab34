//! The commands: each makes a request, runs it and shows the outcome.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, args, show};
use crate::error::Error;
use crate::fs::Local;
use crate::glob::hash_files;
use crate::glob::{Base, Patterns};
use crate::monitor::Monitor;
use crate::ops::path_list::{PathList, printable};
use crate::ops::prune as maintain;
use crate::ops::{restore, save};
use crate::store::Store;
use crate::store::key_match as matching;
use crate::store::retention::RetentionPolicy;
use crate::store::{CacheKind, EntryGroup};
use crate::tree::plan::Extraneous;

/// What all commands need.
pub(super) struct CommandContext<'a> {
    pub(super) common: &'a args::GlobalArgs,
    pub(super) base: &'a Base,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) out: &'a mut (dyn Write + Send),
}

impl CommandContext<'_> {
    pub(super) fn print(&mut self, text: &str, json: &serde_json::Value) -> Result<(), Failure> {
        if self.common.json {
            writeln!(self.out, "{json:#}")?;
        } else {
            write!(self.out, "{text}")?;
        }
        Ok(())
    }

    fn paths(&self, lines: &[String]) -> Result<PathList, Failure> {
        let lines = lines.iter().map(|line| from_here(line, self.base));
        let list =
            PathList::parse(lines, self.base).map_err(|error| Failure::Usage(error.to_string()))?;
        if list.is_empty() {
            return Err(Failure::Usage(
                "no path is given; name at least one file or directory".to_owned(),
            ));
        }
        Ok(list)
    }
}

/// A path that leads out of the current directory, as an absolute one: GitHub's rules refuse `..`,
/// but who types a path means what the shell would.
fn from_here(line: &str, base: &Base) -> String {
    let (mark, path) = line.split_at(line.len() - line.trim_start_matches('!').len());
    let Some(mut rest) = path
        .strip_prefix("..")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return line.to_owned();
    };
    let mut from = base.working_directory.parent();
    while let Some(further) = rest
        .strip_prefix("/..")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        (rest, from) = (further, from.and_then(Path::parent));
    }
    let from = from.unwrap_or(Path::new("/")).display().to_string();
    format!("{mark}{}{rest}", from.trim_end_matches('/'))
}

/// The command line shares its entries with everybody who uses the store with it.
fn group(paths: &PathList) -> EntryGroup {
    EntryGroup {
        scope: String::new(),
        git_ref: String::new(),
        kind: CacheKind::Path,
        paths: paths.identity(),
    }
}

fn key(text: &str) -> Result<String, Failure> {
    let key = text.trim();
    if key.is_empty() {
        Err(Failure::Usage(
            "the key is empty; give one with --key".to_owned(),
        ))
    } else {
        Ok(key.to_owned())
    }
}

pub(super) fn restore(
    context: &mut CommandContext<'_>,
    args: &args::RestoreArgs,
) -> Result<Exit, Failure> {
    let key = key(&args.key)?;
    let paths = context.paths(&args.paths)?;
    let store = match Store::open(&context.common.cache_root) {
        Err(error) if error.is_damage() => {
            context.monitor.warn(&error.with_advice());
            None
        }
        other => other?,
    };
    let found = match store {
        None => None,
        Some(store) => {
            let request = restore::RestoreRequest {
                groups: &[group(&paths)],
                key: &key,
                restore_keys: &args.restore_keys,
                destination: &|root| paths.destination(root),
                options: restore::RestoreOptions {
                    extraneous: Extraneous::for_mirror(args.mirror),
                    verify: !args.finding.no_verify,
                    lookup_only: args.finding.lookup_only,
                },
            };
            restore::restore(&store, &request, context.monitor)?
        }
    };
    let (text, json) = show::restored(found.as_ref(), &key, &context.common.cache_root);
    context.print(&text, &json)?;
    Ok(if found.is_none() && args.finding.fail_on_cache_miss {
        Exit::Miss
    } else {
        Exit::Done
    })
}

pub(super) fn save(
    context: &mut CommandContext<'_>,
    args: &args::SaveArgs,
) -> Result<Exit, Failure> {
    let key = key(&args.key)?;
    let paths = context.paths(&args.paths)?;
    if args.keep_ready && paths.has_exclusions() {
        let why = "--move would take away what the `!` lines leave out; use one of them";
        return Err(Failure::Usage(why.to_owned()));
    }
    let store = Store::create(&context.common.cache_root)?;
    let roots = paths.resolve(&Local::default())?;
    let filter = roots.filter();
    let request = save::SaveRequest {
        group: &group(&paths),
        key: &key,
        roots: &roots.roots,
        filter: filter.as_ref().map(|filter| filter as &_),
        options: save::SaveOptions {
            if_exists: if args.refresh {
                save::IfExists::Replace
            } else {
                save::IfExists::Keep
            },
            keep_ready: args.keep_ready,
            allow_empty: false,
        },
        record_sources: None,
        parent: None,
    };
    let outcome = save::save(&store, &request, context.monitor)?;
    let (text, json) = show::saved(&outcome, &key);
    context.print(&text, &json)?;
    if matches!(outcome, save::SaveOutcome::NothingToSave) {
        return Err(Failure::Other(
            "none of the paths exists, so nothing was saved; check their spelling".to_owned(),
        ));
    }
    Ok(Exit::Done)
}

fn existing(context: &CommandContext<'_>) -> Result<Option<Store>, Failure> {
    Ok(Store::open(&context.common.cache_root)?)
}

pub(super) fn list(context: &mut CommandContext<'_>) -> Result<Exit, Failure> {
    let entries = match existing(context)? {
        Some(store) => maintain::list(&store, context.monitor)?,
        None => Vec::new(),
    };
    let (text, json) = show::listed(&entries, &context.common.cache_root);
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

pub(super) fn show(
    context: &mut CommandContext<'_>,
    args: &args::ShowArgs,
) -> Result<Exit, Failure> {
    let unknown = || {
        Failure::Other(format!(
            "there is no entry {}; `local-cache list` shows all",
            args.entry
        ))
    };
    let store = existing(context)?.ok_or_else(unknown)?;
    let entries = maintain::list(&store, context.monitor)?;
    let by_id = |listed: &&maintain::ListedEntry| listed.id.to_string().starts_with(&args.entry);
    let mut found: Vec<_> = entries.iter().filter(by_id).collect();
    if found.is_empty() {
        found = entries
            .iter()
            .filter(|listed| matching::is_same(&listed.entry.key, &args.entry))
            .collect();
    }
    match found.as_slice() {
        [] => Err(unknown()),
        [listed] => {
            let manifest = store.read_manifest(&listed.entry)?;
            let (text, json) = show::entry(listed, &manifest);
            context.print(&text, &json)?;
            Ok(Exit::Done)
        }
        several => Err(Failure::Other(format!(
            "{} entries are called {}; give more of the id of one of them: {}",
            several.len(),
            args.entry,
            several
                .iter()
                .map(|listed| listed.id.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

pub(super) fn verify(
    context: &mut CommandContext<'_>,
    args: &args::VerifyArgs,
) -> Result<Exit, Failure> {
    if args.repair && Store::open(&context.common.cache_root).is_err_and(|error| error.is_damage())
    {
        Store::create(&context.common.cache_root)?;
    }
    let Some(store) = existing(context)? else {
        let text = format!(
            "✅ there is no store in {}\n",
            context.common.cache_root.display()
        );
        context.print(&text, &serde_json::json!({ "entries": 0, "damaged": [] }))?;
        return Ok(Exit::Done);
    };
    let (verified, collected) = maintain::verify(&store, args.repair, context.monitor)?;
    let (text, json) = show::verified(&verified, collected.as_ref());
    context.print(&text, &json)?;
    let is_right =
        collected.is_some() || (verified.damaged.is_empty() && verified.damaged_files.is_empty());
    Ok(if is_right { Exit::Done } else { Exit::Failed })
}

pub(super) fn prune(
    context: &mut CommandContext<'_>,
    args: &args::PruneArgs,
) -> Result<Exit, Failure> {
    let mut keep = HashMap::new();
    // A number for one kind counts wherever it stands among those for all.
    for all in args.keep.iter().filter(|keep| keep.kind.is_none()) {
        keep.extend(CacheKind::ALL.map(|kind| (kind, all.count)));
    }
    keep.extend(
        args.keep
            .iter()
            .filter_map(|keep| Some((keep.kind?, keep.count))),
    );
    if args.keep.is_empty() && args.max_age.is_none() && args.max_size.is_none() {
        keep.extend(RetentionPolicy::DEFAULT_KEEP);
    }
    let policy = RetentionPolicy {
        keep,
        as_one_family: args.any_key,
        max_age: args.max_age,
        max_bytes: args.max_size,
        ..RetentionPolicy::default()
    };
    let pruned = match existing(context)? {
        None => maintain::Pruned {
            decisions: Vec::new(),
            collected: None,
        },
        Some(store) => match maintain::prune(&store, &policy, args.dry_run, context.monitor) {
            Err(error @ Error::Busy { .. }) => {
                return Err(Failure::Other(format!(
                    "{error}, so nothing was removed; try again when it is done"
                )));
            }
            other => other?,
        },
    };
    let (text, json) = show::pruned(&pruned, args.dry_run);
    context.print(&text, &json)?;
    Ok(Exit::Done)
}

pub(super) fn paths(
    context: &mut CommandContext<'_>,
    args: &args::PathsArgs,
) -> Result<Exit, Failure> {
    let patterns = Patterns::parse(&args.patterns, context.base)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let found = patterns
        .resolve(true)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let names: Vec<PathBuf> = found
        .iter()
        .map(|found| context.base.relative(&found.path))
        .collect();
    if context.common.json {
        let names: Vec<String> = names
            .iter()
            .map(|name| printable(name.as_os_str().as_bytes()))
            .collect();
        return context
            .print("", &serde_json::json!(names))
            .map(|()| Exit::Done);
    }
    for name in names {
        context.out.write_all(name.as_os_str().as_bytes())?;
        context.out.write_all(b"\n")?;
    }
    Ok(Exit::Done)
}

pub(super) fn hash_files(
    context: &mut CommandContext<'_>,
    args: &args::HashFilesArgs,
) -> Result<Exit, Failure> {
    let Base {
        workspace, home, ..
    } = context.base;
    let found = hash_files::hash_files(workspace, &args.patterns, args.follow_symbolic_links, home)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let (digest, files) =
        found.map_or_else(Default::default, |found| (found.to_string(), found.files()));
    context.print(
        &format!("{digest}\n"),
        &serde_json::json!({ "digest": digest, "files": files }),
    )?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_out_of_the_current_directory_is_meant_from_there() {
        let base = Base::new("/data/repo/sub", "/home/me");
        let cases = [
            ("../other", "/data/repo/other"),
            ("!../other/x", "!/data/repo/other/x"),
            ("../../../../../a", "/a"),
            ("../..", "/data"),
            ("..name", "..name"),
            ("a/b", "a/b"),
        ];
        for (typed, meant) in cases {
            assert_eq!(from_here(typed, &base), meant);
        }
    }
}
