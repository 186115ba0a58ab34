//! What a job knows of its Cargo project, and what a save excludes.

use std::path::{Path, PathBuf};

use crate::cargo::gather::gather;
use crate::cargo::key::compute_keys;
use crate::cargo::project::facts::{CargoFacts, KeyRequest, WorkspaceFacts};
use crate::cargo::project::workspace::normalize_path;
use crate::cargo::target_gc::downloads::downloads_filter;
use crate::cargo::target_gc::inspect::inspect;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::unused::UnusedOutputs;
use crate::error::{Error, Result};
use crate::glob::{Base, Filter};
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::cargo::caches::{CacheContents, CachePlan, plans};
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
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
}

impl CargoProject {
    /// Reads the project and computes its keys. Problems with the project are warnings.
    pub(super) fn find(context: &JobContext<'_>, target: &CargoTarget) -> Result<Self> {
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
        };
        if project.is_found() || !target.only_projects {
            project.plans = project.plan_caches(context, target)?;
        }
        Ok(project)
    }

    fn is_found(&self) -> bool {
        let mut workspaces = self.facts.workspaces.iter();
        workspaces.any(|workspace| workspace.project.is_some())
    }

    fn plan_caches(
        &self,
        context: &JobContext<'_>,
        target: &CargoTarget,
    ) -> Result<Vec<CachePlan>> {
        let keys = compute_keys(&self.facts);
        for warning in &keys.warnings {
            context.monitor.warn(warning);
        }
        let directories =
            parse_path_list(&self.key_request, "cache-directories", &target.directories)?;
        let mut plans = plans(&keys, &self.key_request, directories, target.bin);
        plans.retain(|plan| target.targets || !matches!(plan.contents, CacheContents::Target(_)));
        Ok(plans)
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

    /// What a save of the cache excludes: everything that no build of the project can use.
    pub(super) fn filter(
        &self,
        context: &JobContext<'_>,
        plan: &CachePlan,
    ) -> Result<Option<FilterFn>> {
        match &plan.contents {
            CacheContents::Registry | CacheContents::Git if !self.all_crates => {
                let Some(needed) = LockedPackages::of_workspaces(&self.facts.workspaces) else {
                    return Ok(None);
                };
                Ok(Some(Box::new(downloads_filter(
                    self.cargo_home.clone(),
                    needed,
                ))))
            }
            CacheContents::Target(dirs) => self.filter_target(context, dirs).map(Some),
            _ => Ok(None),
        }
    }

    /// Excludes unused outputs, and other target directories below this one: they have caches of
    /// their own.
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
        let mut unused = UnusedOutputs::default();
        for dir in dirs.iter() {
            let path = namespace.locate_parent(dir)?;
            match inspect(&path, &self.workspaces_building_into(dir), namespace) {
                Ok(outputs) => unused.add(outputs),
                Err(error) => context.monitor.warn(&format!(
                    "{}; {} is saved with its unused build outputs",
                    error.with_advice(),
                    dir.display()
                )),
            }
        }
        let is_unused = unused.into_filter();
        Ok(Box::new(move |path, is_directory| {
            if nested.iter().any(|nested| nested == path) {
                Filter::Exclude
            } else {
                is_unused(path, is_directory)
            }
        }))
    }

    fn workspaces_building_into(&self, dir: &PathBuf) -> Vec<WorkspaceFacts> {
        let workspaces = self.facts.workspaces.iter();
        workspaces
            .filter(|it| it.target == *dir || it.build_dir.as_ref() == Some(dir))
            .cloned()
            .collect()
    }
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
