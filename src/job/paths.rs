//! Restoring and saving the paths that somebody listed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::glob::Base;
use crate::job::{CacheReply, JobContext, RestoreRecord, RestoreTask, SaveReply, SaveTask};
use crate::ops::path_list::PathList;
use crate::ops::{restore, save};
use crate::store::{CacheKind, EntryGroup, EntryId};
use crate::store::{CacheScope, Store};
use crate::tree::plan::Extraneous;

/// Paths under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathsTarget {
    /// One pattern each.
    pub paths: Vec<String>,
    /// The key.
    pub key: String,
    /// Prefixes to try in order when there is no such key.
    pub restore_keys: Vec<String>,
}

impl PathsTarget {
    /// The [`CacheReply::name`] of the only cache.
    pub const NAME: &str = "path";
}

fn list(at: &JobContext<'_>, subject: &PathsTarget) -> Result<PathList> {
    let base = Base::new(
        &at.job.workspace,
        at.namespace.home().unwrap_or(Path::new("")),
    );
    PathList::parse(&subject.paths, &base).map_err(|error| Error::invalid(error.to_string()))
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
    at: &JobContext<'_>,
    subject: &PathsTarget,
    task: &RestoreTask,
    store: Option<&Store>,
) -> Result<CacheReply> {
    let paths = list(at, subject)?;
    let mut cache = CacheReply::new(PathsTarget::NAME, CacheKind::Path, &subject.key);
    let Some(store) = store else { return Ok(cache) };
    let groups: Vec<EntryGroup> = task.read.iter().map(|scope| group(scope, &paths)).collect();
    let request = restore::RestoreRequest {
        groups: &groups,
        key: &subject.key,
        restore_keys: &subject.restore_keys,
        place: &|name| at.namespace.locate_parent(&paths.place(name)?),
        extras: extras(at, task, &paths),
        verify: task.verify,
        lookup_only: task.lookup_only,
    };
    cache.found = restore::restore(store, &request, at.monitor)?.map(Into::into);
    Ok(cache)
}

/// What happens to names that the entry does not have. Nothing is removed where that would take
/// more with it than the cached directories: the runner and its keys live below home, and what a
/// `!` line leaves out is in no entry.
fn extras(at: &JobContext<'_>, task: &RestoreTask, paths: &PathList) -> Extraneous {
    if !task.mirror {
        return Extraneous::Keep;
    }
    let precious = [
        (at.namespace.home(), "the home directory"),
        (at.job.workspace.parent(), "the directory of the workspace"),
    ];
    let held = precious
        .into_iter()
        .find_map(|(path, what)| Some((paths.root_around(path?)?, what)));
    let danger = match held {
        Some((root, what)) => format!("{} holds {what}", root.display()),
        None if paths.has_exclusions() => "what the `!` lines leave out is in no entry".to_owned(),
        None => return Extraneous::Remove,
    };
    at.monitor.warn(&format!(
        "{danger}, so nothing is removed there; name the directories to mirror one by one"
    ));
    Extraneous::Keep
}

/// Saves under the key that was noted down, unless that was found.
pub(crate) fn save(
    at: &JobContext<'_>,
    subject: &PathsTarget,
    task: &SaveTask,
    noted: &[RestoreRecord],
    store: &Store,
) -> Result<(CacheReply, EntryGroup)> {
    let paths = list(at, subject)?;
    let noted = noted.iter().find(|noted| noted.cache == PathsTarget::NAME);
    let key = noted.map_or(&subject.key, |noted| &noted.key);
    let mut cache = CacheReply::new(PathsTarget::NAME, CacheKind::Path, key);
    let group = group(&task.write, &paths);
    if noted.is_some_and(|noted| noted.exact) {
        cache.saved = Some(SaveReply::Exists { was_restored: true });
        return Ok((cache, group));
    }
    let roots = paths.resolve(at.namespace)?;
    let exclude = roots.exclude();
    let parent = noted.and_then(|noted| noted.entry.as_ref());
    let request = save::SaveRequest {
        group: &group,
        key,
        places: &roots.places,
        exclude: exclude.as_ref().map(|exclude| exclude as &_),
        existing: if task.refresh {
            save::IfExists::IsReplacedIfChanged
        } else {
            save::IfExists::Stays
        },
        allow_empty: false,
        sources: None,
        keep_ready: false,
        parent: parent.and_then(|id| EntryId::parse(id)),
    };
    cache.saved = Some(save::save(store, &request, at.monitor)?.into());
    Ok((cache, group))
}
