//! What there is of a project, and what may not be touched for it.

use std::path::{Path, PathBuf};

use crate::cargo::key::keys;
use crate::cargo::project::facts::{CargoFacts, KeyRequest, WorkspaceFacts};
use crate::cargo::project::gather::gather;
use crate::cargo::project::workspace::clean;
use crate::cargo::target_gc::downloads::downloads;
use crate::cargo::target_gc::inspect::leftovers;
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::unused::UnusedOutputs;
use crate::error::{Error, Result};
use crate::fs::files;
use crate::glob::Base;
use crate::job::JobContext;
use crate::job::cargo::caches::{BuildDirs, CacheContents, CachePlan, plans};
use crate::job::cargo::request::CargoTarget;
use crate::ops::path_list::PathList;
use crate::tree::scan::Filter;

/// Decides what is left out while saving.
pub(crate) type ExcludeFn = Box<dyn Fn(&Path, bool) -> Filter + Sync>;

/// A project, as it is now.
pub(crate) struct CargoProject {
    pub(crate) asked: KeyRequest,
    pub(crate) facts: CargoFacts,
    pub(crate) plans: Vec<CachePlan>,
    /// `CARGO_HOME` as this process finds it.
    pub(crate) cargo_home: PathBuf,
    /// Whether crates that no lock file needs are kept, too.
    all_crates: bool,
}

impl CargoProject {
    /// Looks at a project and computes its keys. What is wrong with it is said.
    pub(crate) fn find(at: &JobContext<'_>, subject: &CargoTarget) -> Result<Self> {
        let namespace = at.namespace;
        let asked = subject.asked(&at.job.workspace, namespace);
        if !asked.cargo_home.is_absolute() {
            return Err(Error::invalid(
                "the home directory is not known, so CARGO_HOME is not; set HOME or CARGO_HOME",
            ));
        }
        let facts = gather(&asked, namespace);
        let keys = keys(&facts);
        let cargo_home = namespace.locate(&asked.cargo_home)?;
        let is_none = facts
            .workspaces
            .iter()
            .all(|workspace| workspace.project.is_none());
        if is_none && subject.only_projects {
            return Ok(Self::new(asked, facts, Vec::new(), cargo_home, subject));
        }
        keys.warnings
            .iter()
            .for_each(|warning| at.monitor.warn(warning));
        let directories = list(&asked, "cache-directories", &subject.directories)?;
        let mut plans = plans(&keys, &asked, directories, subject.bin);
        plans.retain(|plan| subject.targets || !matches!(plan.what, CacheContents::Target(_)));
        Ok(Self::new(asked, facts, plans, cargo_home, subject))
    }

    fn new(
        asked: KeyRequest,
        facts: CargoFacts,
        plans: Vec<CachePlan>,
        cargo_home: PathBuf,
        subject: &CargoTarget,
    ) -> Self {
        Self {
            asked,
            facts,
            plans,
            cargo_home,
            all_crates: subject.all_crates,
        }
    }

    /// An error where a directory that is built into is not one to be restored or saved.
    pub(crate) fn check_outputs(&self, at: &JobContext<'_>, outputs: &BuildDirs) -> Result<()> {
        let settings = std::iter::once(("workspaces", ". -> "))
            .chain(std::iter::repeat(("build.build-dir", "")));
        let mut set = outputs.directories().zip(settings);
        set.try_for_each(|(directory, (setting, before))| {
            self.check_output(at, directory, setting, before)
        })
    }

    /// The same of one: the setting that names it, and what stands before it there.
    fn check_output(
        &self,
        at: &JobContext<'_>,
        directory: &Path,
        setting: &str,
        before: &str,
    ) -> Result<()> {
        let shown = directory.display();
        let place = at.namespace.locate_parent(directory)?;
        if files::is_symlink(&place)? {
            let target = at
                .namespace
                .locate(directory)
                .map(|target| at.namespace.original_name(&target));
            return Err(Error::invalid(format!(
                "{shown} is a symlink; name the directory that it leads to in `{setting}`, as `{before}{}`",
                target.unwrap_or_default().display()
            )));
        }
        let stat = files::stat(&place)?;
        if stat.is_some_and(|stat| stat.kind != crate::fs::FileKind::Directory) {
            return Err(Error::invalid(format!(
                "{shown} is a file; a directory is needed there"
            )));
        }
        let real = real(&place);
        let roots = self
            .asked
            .workspaces
            .iter()
            .map(|workspace| workspace.root.as_path());
        let precious = [
            &self.asked.checkout,
            &self.asked.home,
            &self.asked.cargo_home,
            &self.asked.rustup_home,
            &at.job.cache_root,
        ];
        for path in precious.into_iter().map(PathBuf::as_path).chain(roots) {
            let is_there = !path.as_os_str().is_empty();
            if is_there
                && at.namespace.locate(path).is_ok_and(|located| {
                    crate::job::cargo::project::real(&located).starts_with(&real)
                })
            {
                return Err(Error::invalid(format!(
                    "{shown} is no directory to build into, as it holds {}; name another in `{setting}`",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// What is left out of a cache; none when nothing is: what no build of the project can use.
    pub(crate) fn exclude(
        &self,
        at: &JobContext<'_>,
        plan: &CachePlan,
    ) -> Result<Option<ExcludeFn>> {
        match &plan.what {
            CacheContents::Registry | CacheContents::Git if !self.all_crates => {
                let needed = LockedPackages::of_workspaces(&self.facts.workspaces);
                Ok(needed.map(|needed| {
                    Box::new(downloads(self.cargo_home.clone(), needed)) as ExcludeFn
                }))
            }
            CacheContents::Target(outputs) => self.exclude_from_target(at, outputs).map(Some),
            _ => Ok(None),
        }
    }

    /// Of a target directory, what its builds left behind, and other target directories below it,
    /// which are caches of their own.
    fn exclude_from_target(&self, at: &JobContext<'_>, outputs: &BuildDirs) -> Result<ExcludeFn> {
        let is_below = |other: &&PathBuf| {
            outputs
                .directories()
                .any(|directory| other != &directory && other.starts_with(directory))
        };
        let others = self.plans.iter().filter_map(|plan| match &plan.what {
            CacheContents::Target(other) if other != outputs => Some(other),
            _ => None,
        });
        let below = others.flat_map(BuildDirs::directories).filter(is_below);
        let below: Vec<PathBuf> = below
            .map(|other| at.namespace.locate_parent(other))
            .collect::<Result<_>>()?;
        let mut left = UnusedOutputs::default();
        for directory in outputs.directories() {
            let builds_here = |workspace: &&WorkspaceFacts| {
                [Some(&workspace.target), workspace.build.as_ref()].contains(&Some(directory))
            };
            let builders: Vec<WorkspaceFacts> = self
                .facts
                .workspaces
                .iter()
                .filter(builds_here)
                .cloned()
                .collect();
            let here = leftovers(
                &at.namespace.locate_parent(directory)?,
                &builders,
                at.namespace,
            );
            left.add(here.unwrap_or_else(|error| {
                at.monitor.warn(&format!(
                    "{}; all of {} is saved",
                    error.with_advice(),
                    directory.display()
                ));
                UnusedOutputs::default()
            }));
        }
        let left = left.into_exclude();
        Ok(Box::new(move |path, is_directory| {
            if below.iter().any(|below| below == path) {
                Filter::Exclude
            } else {
                left(path, is_directory)
            }
        }))
    }
}

/// The first of some directories that is not cargo's: what cargo leaves there is not in it, but
/// something else.
pub(crate) fn not_made_by_cargo<'o>(
    at: &JobContext<'_>,
    outputs: &'o BuildDirs,
) -> Result<Option<&'o Path>> {
    for (_, directory) in outputs.roots() {
        let names = files::list(&at.namespace.locate_parent(directory)?)?;
        let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
        if !names.is_empty()
            && !names
                .iter()
                .any(|name| marks.iter().any(|mark| name == mark))
        {
            return Ok(Some(directory));
        }
    }
    Ok(None)
}

/// A list of patterns; none where it is empty. A directory beside the checkout may be meant, which
/// patterns can't say.
pub(crate) fn list(asked: &KeyRequest, input: &str, lines: &[String]) -> Result<Option<PathList>> {
    let base = Base::new(&asked.checkout, &asked.home);
    let line = |line: &String| {
        if Path::new(line).starts_with("..") {
            clean(&asked.checkout.join(line)).display().to_string()
        } else {
            line.clone()
        }
    };
    let list = PathList::parse(lines.iter().map(line), &base);
    let list = list.map_err(|error| Error::invalid(format!("{input}: {error}")))?;
    Ok((!list.is_empty()).then_some(list))
}

/// A path without symlinks, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let existing = path
        .ancestors()
        .find_map(|above| Some((above, files::canonical(above).ok()?)));
    match existing {
        Some((above, real)) => path
            .strip_prefix(above)
            .map_or_else(|_| path.to_owned(), |rest| real.join(rest)),
        None => path.to_owned(),
    }
}
