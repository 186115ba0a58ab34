//! Which caches a project has (pure): their names, groups and roots.
//!
//! Roots have fixed names instead of paths, so that downloads are restored to wherever `CARGO_HOME`
//! is at that time.
//!
//! # Why a target directory belongs to its places
//!
//! Absolute paths are compiled into what a target directory contains. `env!("CARGO_MANIFEST_DIR")`
//! and `CARGO_BIN_EXE_<name>` put the checkout and the target directory into programs and tests,
//! `OUT_DIR` puts the target directory into dependencies, and build scripts store any path that
//! they see, including those of `CARGO_HOME`. Cargo notices some of these moves and not others. In
//! another checkout, a test would read the files of the first one and run its programs. So the
//! group of a target directory names the checkout, all build directories and `CARGO_HOME`, as the
//! steps of the job know them. Downloads have no paths in them, and all checkouts share them.
//!
//! Repositories of the same name have the same checkout on a runner, one after the other. If they
//! share a scope, the group also names the repository: otherwise the target directory of one would
//! replace that of the other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cargo::key::{CargoKeys, ComputedKey, TargetKey};
use crate::cargo::project::facts::{KeyRequest, WorkspaceRequest};
use crate::cargo::project::workspace::normalize_path;
use crate::error::{Error, Result};
use crate::glob::Base;
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::cargo_target::CargoTarget;
use crate::job::reply::CacheReply;
use crate::ops::path_list::{PathList, printable};
use crate::store::{CacheKind, CacheScope, EntryGroup};

#[derive(Debug)]
pub(crate) struct CachePlan {
    /// Unique within the job; shown to people.
    pub(crate) name: String,
    pub(crate) kind: CacheKind,
    pub(crate) key: ComputedKey,
    pub(crate) contents: CacheContents,
    /// The `paths` of the entry group.
    identity: Vec<String>,
    /// The repository whose build outputs it contains; `None` if repositories can share it.
    repository: Option<String>,
}

#[derive(Debug)]
pub(crate) enum CacheContents {
    /// The index, archives and unpacked sources.
    Registry,
    /// The clones and checkouts of git dependencies.
    Git,
    Bin,
    /// The directories that cargo builds into.
    Target(BuildDirs),
    Directories(PathList),
}

/// The directories of a cache in `CARGO_HOME`, each with its name in an entry.
const REGISTRY: [(&str, &str); 3] = [
    ("index", "registry/index"),
    ("cache", "registry/cache"),
    ("src", "registry/src"),
];
const GIT: [(&str, &str); 2] = [("db", "git/db"), ("checkouts", "git/checkouts")];

impl CachePlan {
    fn new(name: &str, kind: CacheKind, key: &ComputedKey, contents: CacheContents) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            key: key.clone(),
            contents,
            identity: vec![format!("cargo {name}")],
            repository: None,
        }
    }

    /// The places that a target directory belongs to; empty for other caches.
    pub(crate) fn places(&self) -> &[String] {
        match self.contents {
            CacheContents::Target(_) => &self.identity,
            _ => &[],
        }
    }

    pub(crate) fn group(&self, scope: &CacheScope) -> EntryGroup {
        let mut paths = self.identity.clone();
        let repository = self.repository.as_ref();
        paths.extend(
            repository
                .filter(|name| **name != scope.scope)
                .map(|name| format!("repository {name}")),
        );
        EntryGroup {
            scope: scope.scope.clone(),
            git_ref: scope.git_ref.clone(),
            kind: self.kind,
            paths,
        }
    }

    /// Whether other programs may use the directories at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.contents, CacheContents::Registry | CacheContents::Git)
    }

    /// The fixed roots of the cache, each with its path.
    pub(crate) fn roots(&self, cargo_home: &Path) -> Vec<(Box<[u8]>, PathBuf)> {
        let below = |list: &[(&str, &str)]| -> Vec<(Box<[u8]>, PathBuf)> {
            list.iter()
                .map(|(name, path)| (name.as_bytes().into(), cargo_home.join(path)))
                .collect()
        };
        match &self.contents {
            CacheContents::Registry => below(&REGISTRY),
            CacheContents::Git => below(&GIT),
            CacheContents::Target(dirs) => dirs
                .roots()
                .map(|(name, path)| (name.into_bytes().into(), path.clone()))
                .collect(),
            CacheContents::Bin | CacheContents::Directories(_) => Vec::new(),
        }
    }

    /// The path for a root of an entry.
    ///
    /// Errors: the cache has no such root.
    pub(crate) fn destination(&self, name: &[u8], cargo_home: &Path) -> Result<PathBuf> {
        let found = match &self.contents {
            CacheContents::Directories(paths) => return paths.destination_name(name),
            CacheContents::Bin => crate::cargo::installed_bins::destination(name, cargo_home),
            CacheContents::Registry | CacheContents::Git | CacheContents::Target(_) => self
                .roots(cargo_home)
                .into_iter()
                .find(|(root, _)| **root == *name)
                .map(|(_, path)| path),
        };
        found.ok_or_else(|| {
            let name = OsStr::from_bytes(name).display();
            Error::invalid(format!(
                "the entry contains {name}, which the step did not request"
            ))
        })
    }
}

/// The caches in the order in which they are restored: a target directory before the caches that
/// lie below it.
pub(crate) fn plans(
    keys: &CargoKeys,
    request: &KeyRequest,
    directories: Option<PathList>,
    target: &CargoTarget,
) -> Vec<CachePlan> {
    let mut plans = vec![
        CachePlan::new(
            "registry",
            CacheKind::Registry,
            &keys.registry,
            CacheContents::Registry,
        ),
        CachePlan::new("git", CacheKind::Git, &keys.git, CacheContents::Git),
    ];
    if target.bin {
        plans.push(CachePlan::new(
            CacheReply::BIN,
            CacheKind::Path,
            &keys.bin,
            CacheContents::Bin,
        ));
    }
    let mut targets: Vec<&TargetKey> = keys.target.iter().filter(|_| target.targets).collect();
    targets.sort_by_key(|key| key.directory.components().count());
    let repository = Some(&target.repository).filter(|name| !name.is_empty());
    plans.extend(targets.into_iter().map(|key| CachePlan {
        repository: repository.cloned(),
        ..plan_target(key, request)
    }));
    if let Some(paths) = directories {
        let identity = paths.identity();
        let mut plan = CachePlan::new(
            "directories",
            CacheKind::Path,
            &keys.directories,
            CacheContents::Directories(paths),
        );
        plan.identity.extend(identity);
        plans.push(plan);
    }
    plans
}

fn plan_target(key: &TargetKey, request: &KeyRequest) -> CachePlan {
    let base = Base::new(&request.checkout, &request.home);
    let mut names: Vec<String> = Vec::new();
    let mut identity: Vec<String> = Vec::new();
    for WorkspaceRequest { root, target } in &key.workspaces {
        let root = base.relative(root).display().to_string();
        let (name, of_it) = match target {
            Some(target) => (
                format!("{root} in {}", target.display()),
                target.display().to_string(),
            ),
            None => (root.clone(), "target".to_owned()),
        };
        let of_it = format!("{root} -> {of_it}");
        if !identity.contains(&of_it) {
            names.push(name);
            identity.push(of_it);
        }
    }
    let name = match &names[..] {
        [only] if only == "." => "target".to_owned(),
        all => format!("target of {}", all.join(" and ")),
    };
    let directories = std::iter::once(&key.directory)
        .chain(&key.build_dirs)
        .cloned();
    let dirs = BuildDirs::new(directories.collect());
    let roots: Vec<String> = dirs.roots().map(|(name, _)| name).collect();
    if roots != ["target"] {
        identity.push(format!("in {}", roots.join(" and ")));
    }
    identity.extend(places(&dirs, request));
    CachePlan {
        name,
        kind: CacheKind::Target,
        key: key.key.clone(),
        contents: CacheContents::Target(dirs),
        identity,
        repository: None,
    }
}

/// The absolute paths that may be compiled into build outputs, each with what it is.
fn places(dirs: &BuildDirs, request: &KeyRequest) -> Vec<String> {
    let first = [("checkout", &request.checkout)];
    let build_dirs = std::iter::once("target directory")
        .chain(std::iter::repeat("build directory"))
        .zip(dirs.iter());
    let last = [("CARGO_HOME", &request.cargo_home)];
    let places = first.into_iter().chain(build_dirs).chain(last);
    places
        .map(|(what, path)| {
            let path = normalize_path(path);
            format!("{what} {}", printable(path.as_os_str().as_bytes()))
        })
        .collect()
}
