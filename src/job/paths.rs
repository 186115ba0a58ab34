//! Restoring and saving listed paths.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::glob::Base;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, FoundEntry, SaveReply};
use crate::job::request::{PathsTarget, RestoreTask, SaveTask};
use crate::job::size_limit::SizeLimit;
use crate::ops::near_miss::{Lookup, near_miss};
use crate::ops::path_list::PathList;
use crate::ops::restore::{RestoreOptions, RestoreRequest, restore as restore_entry};
use crate::ops::save::{SaveOptions, SaveRequest, save as save_entry};
use crate::store::{CacheKind, CacheScope, EntryGroup, EntryId, Store};
use crate::tree::plan::Extraneous;

fn parse(context: &JobContext<'_>, target: &PathsTarget) -> Result<PathList> {
    let home = context.namespace.home().unwrap_or(Path::new(""));
    let base = Base::new(&context.job.workspace, home);
    PathList::parse(&target.paths, &base).map_err(|error| Error::invalid(error.to_string()))
}

fn group(scope: &CacheScope, paths: &PathList) -> EntryGroup {
    EntryGroup {
        scope: scope.scope.clone(),
        git_ref: scope.git_ref.clone(),
        kind: CacheKind::Path,
        paths: paths.identity(),
    }
}

pub(crate) fn restore(
    context: &JobContext<'_>,
    target: &PathsTarget,
    task: &RestoreTask,
    store: Option<&Store>,
) -> Result<CacheReply> {
    let paths = parse(context, target)?;
    let mut cache = CacheReply::new(PathsTarget::NAME, CacheKind::Path, &target.key);
    let Some(store) = store else { return Ok(cache) };
    cache.found = find(context, target, task, store, &paths)?;
    if cache.found.is_none() {
        cache.near_miss = near_miss(
            store,
            &Lookup {
                groups: &groups(task, &paths),
                key: &target.key,
                restore_keys: &target.restore_keys,
                parts: &BTreeMap::new(),
                all_scopes: task.hints_at_all_scopes,
            },
        );
    }
    Ok(cache)
}

/// Restores paths that are apart from the workspace; `None` if they are not.
pub(crate) fn restore_early(
    context: &JobContext<'_>,
    target: &PathsTarget,
    task: &RestoreTask,
    store: &Store,
) -> Result<Option<CacheReply>> {
    let paths = parse(context, target)?;
    if !paths.is_apart_from(&context.job.workspace, context.namespace)? {
        return Ok(None);
    }
    let mut cache = CacheReply::new(PathsTarget::NAME, CacheKind::Path, &target.key);
    cache.found = find(context, target, task, store, &paths)?;
    Ok(Some(cache))
}

fn groups(task: &RestoreTask, paths: &PathList) -> Vec<EntryGroup> {
    task.read.iter().map(|scope| group(scope, paths)).collect()
}

/// Finds the best entry and restores it.
fn find(
    context: &JobContext<'_>,
    target: &PathsTarget,
    task: &RestoreTask,
    store: &Store,
    paths: &PathList,
) -> Result<Option<FoundEntry>> {
    let request = RestoreRequest {
        groups: &groups(task, paths),
        key: &target.key,
        restore_keys: &target.restore_keys,
        destination: &|root| paths.destination(root, context.namespace),
        options: RestoreOptions {
            extraneous: safe_extraneous(context, task.options.extraneous, paths),
            ..task.options
        },
        steps: None,
        second_tier: context.second_tier,
    };
    let restored = restore_entry(store, &request, context.monitor)?;
    Ok(restored.map(Into::into))
}

/// Refuses to remove extraneous names where that would remove more than the cached directories: the
/// runner and its keys lie below the home directory, and entries do not contain what a `!` line
/// excludes.
fn safe_extraneous(
    context: &JobContext<'_>,
    extraneous: Extraneous,
    paths: &PathList,
) -> Extraneous {
    if extraneous == Extraneous::Keep {
        return Extraneous::Keep;
    }
    let protected = [
        (context.namespace.home(), "the home directory"),
        (
            context.job.workspace.parent(),
            "the directory of the workspace",
        ),
    ];
    let root_around = protected
        .into_iter()
        .find_map(|(path, what)| Some((paths.root_around(path?)?, what)));
    let reason = match root_around {
        Some((root, what)) => format!("{} contains {what}", root.display()),
        None if paths.has_exclusions() => {
            "entries do not contain the files that `!` lines exclude".to_owned()
        }
        None => return Extraneous::Remove,
    };
    context.monitor.warn(&format!(
        "{reason}, so nothing is removed; name the directories to mirror one by one"
    ));
    Extraneous::Keep
}

/// Saves under the key that the restore recorded, unless the restore found an entry with it.
pub(crate) fn save(
    context: &JobContext<'_>,
    target: &PathsTarget,
    task: &SaveTask,
    store: &Store,
) -> Result<(CacheReply, EntryGroup)> {
    let paths = parse(context, target)?;
    let mut records = task.records.iter();
    let record = records.find(|record| record.cache == PathsTarget::NAME);
    let key = record.map_or(&target.key, |record| &record.key);
    let mut cache = CacheReply::new(PathsTarget::NAME, CacheKind::Path, key);
    let group = group(&task.write, &paths);
    if record.is_some_and(|record| record.exact) {
        cache.saved = Some(SaveReply::Exists { was_restored: true });
        return Ok((cache, group));
    }
    let mut limit = SizeLimit::new(context, task, store);
    let resolved = paths.resolve(context.namespace)?;
    let filter = resolved.filter();
    let restored = record.and_then(|record| record.entry.as_ref());
    let request = SaveRequest {
        group: &group,
        key,
        roots: &resolved.roots,
        filter: filter.as_ref().map(|filter| filter as &_),
        options: SaveOptions {
            keep_ready: false,
            allow_empty: false,
            ..task.options
        },
        steps: None,
        parts: BTreeMap::new(),
        parent: restored.and_then(|id| EntryId::parse(id)),
        max_bytes: limit.for_entry_of(&group)?,
    };
    let outcome = save_entry(store, &request, context.monitor)?;
    limit.note(key, group.entry_id(key), &outcome);
    cache.saved = Some(outcome.into());
    Ok((cache, group))
}
