//! What a job knows of its Cargo project, and what a save excludes.

use std::path::{Path, PathBuf};

use crate::cargo::gather::gather;
use crate::cargo::key::compute_keys;
use crate::cargo::project::directory_sources::{directories, local_registries};
use crate::cargo::project::facts::{CargoFacts, KeyRequest, WorkspaceFacts};
use crate::cargo::project::workspace::normalize_path;
use crate::cargo::target_gc::downloads::downloads_filter;
use crate::cargo::target_gc::inspect::{find_left_over, inspect};
use crate::cargo::target_gc::kept_outputs::KeptOutputs;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::submodules::submodule_repositories;
use crate::cargo::target_gc::unused::KeepFn;
use crate::error::{Error, Result};
use crate::fs::{files, remove_tree};
use crate::glob::{Base, Filter};
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::cargo::caches::{CacheContents, CachePlan, plans};
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::request::{RestoreRecord, SaveNotes};
use crate::ops::path_list::PathList;

/// Decides what a save excludes, like [`PathFilter`](crate::tree::scan::PathFilter).
pub(super) type FilterFn = Box<dyn Fn(&Path, bool) -> Filter + Sync>;

pub(super) struct CargoProject {
    pub(super) key_request: KeyRequest,
    pub(super) facts: CargoFacts,
    pub(super) plans: Vec<CachePlan>,
    pub(super) cargo_home: PathBuf,
    /// Save also the crates that no lock file names.
    all_crates: bool,
    kept_outputs: KeptOutputs,
}

impl CargoProject {
    /// Reads the project and computes its keys. Problems with the project are warnings. If there is
    /// none any more, the caches of which `records` remain that need no project.
    pub(super) fn find(
        context: &JobContext<'_>,
        target: &CargoTarget,
        records: &[RestoreRecord],
    ) -> Result<Self> {
        let namespace = context.namespace;
        let key_request = target.key_request(&context.job.workspace, namespace);
        if !key_request.cargo_home.is_absolute() {
            return Err(Error::invalid(
                "the home directory and CARGO_HOME are unknown; set HOME or CARGO_HOME",
            ));
        }
        let cargo_home = namespace.locate(&key_request.cargo_home)?;
        let facts = gather(&key_request, namespace);
        let mut project = Self {
            key_request,
            facts,
            plans: Vec::new(),
            cargo_home,
            all_crates: target.all_crates,
            kept_outputs: KeptOutputs::parse(&target.keep_outputs)?,
        };
        if project.is_found() || !target.only_projects || !records.is_empty() {
            let is_gone = !project.is_found() && !records.is_empty();
            project.plans = project.plan_caches(context, target, is_gone)?;
        }
        Ok(project)
    }

    /// The downloads of any project, whose keys end before the contents of lock files.
    pub(super) fn before_checkout(context: &JobContext<'_>, target: &CargoTarget) -> Result<Self> {
        let downloads = CargoTarget {
            workspaces: Vec::new(),
            directories: Vec::new(),
            targets: false,
            bin: false,
            only_projects: false,
            ..target.clone()
        };
        let mut project = Self::find(context, &downloads, &[])?;
        for plan in &mut project.plans {
            if let Some(prefix) = plan.key.restore_keys.pop() {
                plan.key.text = prefix;
            }
        }
        Ok(project)
    }

    pub(super) fn is_found(&self) -> bool {
        let mut workspaces = self.facts.workspaces.iter();
        workspaces.any(|workspace| workspace.project.is_some())
    }

    /// Why target directories of the restore can't be saved.
    pub(super) fn what_is_gone(&self) -> String {
        let workspaces = self.facts.workspaces.iter();
        let roots: Vec<String> = workspaces
            .filter(|workspace| workspace.project.is_none())
            .map(|workspace| workspace.request.root.display().to_string())
            .collect();
        if roots.is_empty() {
            "the project builds into other directories now".to_owned()
        } else {
            format!(
                "the checkout is gone (no Cargo.toml in {})",
                roots.join(" and ")
            )
        }
    }

    fn plan_caches(
        &self,
        context: &JobContext<'_>,
        target: &CargoTarget,
        is_gone: bool,
    ) -> Result<Vec<CachePlan>> {
        let keys = compute_keys(&self.facts);
        // The reply for each cache says what is missing.
        for warning in keys.warnings.iter().filter(|_| !is_gone) {
            context.monitor.warn(warning);
        }
        let directories =
            parse_path_list(&self.key_request, "cache-directories", &target.directories)?;
        Ok(plans(&keys, &self.key_request, directories, target))
    }

    /// Refuses build directories that hold sources, a home directory or the store.
    pub(super) fn check_build_dirs(
        &self,
        context: &JobContext<'_>,
        dirs: &BuildDirs,
    ) -> Result<()> {
        let request = &self.key_request;
        let mut protected: Vec<&Path> = vec![
            &request.checkout,
            &request.home,
            &request.cargo_home,
            &request.rustup_home,
            &context.job.cache_root,
        ];
        protected.extend(request.workspaces.iter().map(|it| it.root.as_path()));
        dirs.check(context, &protected)
    }

    /// What the save of the same step needs to know of the project as it is now.
    pub(super) fn notes(&self, plan: &CachePlan) -> SaveNotes {
        let needed = || LockedPackages::of_workspaces(&self.facts.workspaces);
        SaveNotes {
            key_template: plan.key.template.clone(),
            packages: match plan.contents {
                CacheContents::Registry => needed().map(|packages| packages.of_registries()),
                CacheContents::Git => needed().map(|packages| packages.of_git()),
                _ => None,
            }
            .filter(|_| !self.all_crates),
            places: plan.places().to_vec(),
            parts: plan.key.parts(),
        }
    }

    /// Whether a save can tell which downloads the cache needs, or keeps all of them.
    pub(super) fn knows_downloads(&self, notes: &SaveNotes) -> bool {
        self.all_crates || self.needed_packages(notes).is_some()
    }

    /// The packages that the lock files need now, or needed at the restore. A step may have changed
    /// a lock file, or checked out another branch.
    pub(super) fn needed_packages(&self, notes: &SaveNotes) -> Option<LockedPackages> {
        match (
            LockedPackages::of_workspaces(&self.facts.workspaces),
            notes.packages.clone(),
        ) {
            (Some(now), Some(then)) => Some(now.union(then)),
            (now, then) => now.or(then),
        }
    }

    /// Whether the packages of a workspace come from the disk, so that cargo downloads none.
    pub(super) fn has_local_sources(&self) -> bool {
        let workspaces = self.facts.workspaces.iter();
        let mut projects = workspaces.filter_map(|workspace| workspace.project.as_ref());
        projects.any(|project| {
            !directories(&project.configs).is_empty()
                || !local_registries(&project.configs).is_empty()
        })
    }

    /// Whether cargo built something, in this job or in an earlier one.
    pub(super) fn was_built(&self, context: &JobContext<'_>) -> Result<bool> {
        for plan in &self.plans {
            if let CacheContents::Target(dirs) = &plan.contents
                && files::stat(&context.namespace.locate_parent(dirs.target()?)?)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a save of the cache excludes: everything that no build of the project can use.
    pub(super) fn filter(
        &self,
        context: &JobContext<'_>,
        plan: &CachePlan,
        notes: &SaveNotes,
    ) -> Result<Option<FilterFn>> {
        match &plan.contents {
            CacheContents::Registry | CacheContents::Git if !self.all_crates => {
                let Some(needed) = self.needed_packages(notes) else {
                    return Ok(None);
                };
                let cargo_home = self.cargo_home.clone();
                let submodules = submodule_repositories(&cargo_home, &needed);
                let filter = downloads_filter(cargo_home, needed, submodules);
                Ok(Some(Box::new(filter)))
            }
            CacheContents::Target(dirs) => self.filter_target(context, dirs).map(Some),
            _ => Ok(None),
        }
    }

    /// Excludes what is not cargo's or not used and the user does not keep, and other target
    /// directories below this one: they have caches of their own.
    fn filter_target(&self, context: &JobContext<'_>, dirs: &BuildDirs) -> Result<FilterFn> {
        let namespace = context.namespace;
        let mut nested = Vec::new();
        for plan in &self.plans {
            let CacheContents::Target(others) = &plan.contents else {
                continue;
            };
            for other in others.iter().filter(|_| others != dirs) {
                if dirs
                    .iter()
                    .any(|dir| other != dir && other.starts_with(dir))
                {
                    nested.push(namespace.locate_parent(other)?);
                }
            }
        }
        let roots = locate_all(context, dirs)?;
        let unused = inspect(&roots, &self.workspaces_building_into(dirs), namespace)?;
        let kept = self.kept_outputs.clone();
        let is_kept: Option<KeepFn> = if kept.is_empty() {
            None
        } else {
            Some(Box::new(move |path| kept.matches(path)))
        };
        let is_saved = unused.into_filter(is_kept);
        Ok(Box::new(move |path, is_directory| {
            if nested.iter().any(|nested| nested == path) {
                Filter::Exclude
            } else {
                is_saved(path, is_directory)
            }
        }))
    }

    /// Removes what a restore brought back although the checkout no longer has it. A failure is a
    /// warning.
    pub(super) fn remove_left_over(&self, context: &JobContext<'_>, dirs: &BuildDirs) {
        let workspaces = self.workspaces_building_into(dirs);
        let removed = locate_all(context, dirs)
            .and_then(|roots| find_left_over(&roots, &workspaces, context.namespace))
            .and_then(|paths| {
                paths
                    .iter()
                    .try_for_each(|path| remove_tree(path).map(drop))
            });
        if let Err(error) = removed {
            context.monitor.warn(&format!(
                "{}; outputs of programs that the checkout no longer has may be in the target directory",
                error.with_advice()
            ));
        }
    }

    fn workspaces_building_into(&self, dirs: &BuildDirs) -> Vec<WorkspaceFacts> {
        let workspaces = self.facts.workspaces.iter();
        workspaces
            .filter(|it| {
                dirs.iter()
                    .any(|dir| it.target == *dir || it.build_dir.as_ref() == Some(dir))
            })
            .cloned()
            .collect()
    }
}

fn locate_all(context: &JobContext<'_>, dirs: &BuildDirs) -> Result<Vec<PathBuf>> {
    dirs.iter()
        .map(|dir| context.namespace.locate_parent(dir))
        .collect()
}

/// Parses the lines of an input as patterns; `None` if there are none.
///
/// A line may name a directory beside the checkout (`../other`), which patterns can't express.
pub(super) fn parse_path_list(
    request: &KeyRequest,
    input: &str,
    lines: &[String],
) -> Result<Option<PathList>> {
    let base = Base::new(&request.checkout, &request.home);
    let lines = lines.iter().map(|line| {
        if Path::new(line).starts_with("..") {
            normalize_path(&request.checkout.join(line))
                .display()
                .to_string()
        } else {
            line.clone()
        }
    });
    let list = PathList::parse(lines, &base)
        .map_err(|error| Error::invalid(format!("{input}: {error}")))?;
    Ok((!list.is_empty()).then_some(list))
}
