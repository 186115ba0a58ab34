//! Collects what is known of a single unit when it is saved.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::note::LastRestore;
use super::own_units::{OwnUnit, inputs};
use super::paths::PathFinder;
use super::project_files::{Project, ProjectFiles, below};
use super::save_facts::UnitFact;
use crate::cargo::target_dir::{LocalCheck, TargetDir, Unit, dep_info};
use crate::fs::{Timestamp, files};

/// A directory that cargo builds into. All paths are those that this process opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildDirectory {
    /// The name of the entry's root that it lies in.
    pub(crate) root_name: String,
    pub(crate) root: PathBuf,
    pub(crate) path: PathBuf,
}

/// A build directory with its units.
pub(crate) struct ReadDirectory {
    pub(crate) directory: BuildDirectory,
    pub(crate) target: TargetDir,
}

/// An own unit with what is known of it.
pub(crate) struct CollectedUnit<'t> {
    pub(crate) place: &'t BuildDirectory,
    pub(crate) unit: OwnUnit<'t>,
    pub(crate) fact: UnitFact,
}

impl CollectedUnit<'_> {
    /// Its directory of records, relative to the root.
    pub(crate) fn directory(&self) -> PathBuf {
        self.relative(self.unit.record_dir())
    }

    /// A path in the profile's directory, relative to the root.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        let profile = self.unit.profile;
        let profile = profile.strip_prefix(&self.place.root).unwrap_or(profile);
        profile.join(path)
    }
}

/// Collects what decides about one unit.
pub(super) fn unit_fact(
    collected: &CollectedUnit<'_>,
    project: &Project<'_>,
    restored: &LastRestore,
) -> UnitFact {
    let unit = &collected.unit;
    let package = unit.package.map(|number| &project.places.packages[number]);
    let sources = |of: &Unit| sources(of, package.map(|package| &*package.directory), project);
    let inputs = inputs(unit, package, &sources);
    let times = UnitTimes::read(collected.place, unit);
    let directory = collected.directory();
    let is_restored = restored.note.as_ref().is_some_and(|note| {
        times.started == Some(note.time)
            && note
                .fresh
                .iter()
                .any(|(name, fresh)| *name == collected.place.root_name && *fresh == directory)
    });
    UnitFact {
        package: unit.package,
        is_build_script_run: unit.is_build_script_run(),
        is_downloaded: unit.is_downloaded,
        started: times.started,
        is_restored,
        inputs: inputs.paths.into_iter().collect(),
        crate_root: crate_root(unit, package.map(|package| &*package.directory), project),
        written: Vec::new(),
        may_have_written: Vec::new(),
        may_have_made: Vec::new(),
        newest: inputs.newest,
        newest_dependency: None,
        defect: inputs.unknown.or(times.defect),
    }
}

/// Adds what the symlinks of a package lead to, where cargo compares the newest time in the package.
/// It follows them.
pub(super) fn add_links(fact: &mut UnitFact, files: &ProjectFiles, finder: &mut PathFinder<'_>) {
    let (Some(package), Some(_)) = (fact.package, fact.newest) else {
        return;
    };
    for link in files.links_of(package) {
        let found = match finder.find(link) {
            Ok(Some(end)) if finder.is_in_project(&end.name) => below(link, finder),
            // What is outside of the project can be large.
            Ok(Some(_)) => Ok(vec![link.clone()]),
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        match found {
            Ok(mut names) => fact.inputs.append(&mut names),
            // The other units stay fresh.
            Err(error) => fact.defect = Some(error.to_string()),
        }
    }
}

/// When the builds of all units in a directory began, by fingerprint, with their packages.
pub(super) fn starts(directory: &ReadDirectory) -> HashMap<u64, (Timestamp, &str)> {
    let mut starts = HashMap::new();
    for profile in &directory.target.profiles {
        for unit in &profile.units {
            let started = started(&directory.directory, &profile.directory, unit);
            let Some((fingerprint, started)) = unit.fingerprint.zip(started) else {
                continue;
            };
            let last = starts
                .entry(fingerprint)
                .or_insert((started, &*unit.package));
            *last = (started, &*unit.package).max(*last);
        }
    }
    starts
}

/// The direct dependency of a unit whose build began last.
pub(super) fn newest_dependency(
    unit: &OwnUnit<'_>,
    starts: &HashMap<u64, (Timestamp, &str)>,
) -> Option<(Timestamp, String)> {
    let dependencies = unit.units.iter().flat_map(|unit| &unit.dependencies);
    let started = dependencies.filter_map(|fingerprint| starts.get(fingerprint));
    let (started, package) = started.max()?;
    Some((*started, (*package).to_owned()))
}

/// The sources of a unit by the compiler's record, as absolute names.
fn sources(
    unit: &Unit,
    package: Option<&Path>,
    project: &Project<'_>,
) -> Result<BTreeSet<PathBuf>, String> {
    let file = unit
        .dep_info
        .as_deref()
        .ok_or("the compiler's list of its sources is missing")?;
    let sources = dep_info::sources(file).map_err(|error| error.to_string())?;
    let sources = sources.ok_or("the compiler's list of its sources cannot be parsed")?;
    let package = package.ok_or("no manifest of its package was found")?;
    let base = compiler_directory(package, project);
    Ok(sources
        .into_iter()
        .map(|source| base.join(source))
        .collect())
}

/// The compiler runs in the workspace's root, or in a package outside of it.
fn compiler_directory<'p>(package: &'p Path, project: &'p Project<'_>) -> &'p Path {
    let workspaces = project.places.workspaces.iter().map(PathBuf::as_path);
    let around = workspaces.filter(|root| package.starts_with(root));
    let nearest = around.max_by_key(|root| root.as_os_str().len());
    nearest.unwrap_or(package)
}

fn crate_root(
    unit: &OwnUnit<'_>,
    package: Option<&Path>,
    project: &Project<'_>,
) -> Option<PathBuf> {
    let mut dep_infos = unit
        .units
        .iter()
        .filter_map(|unit| unit.dep_info.as_deref());
    let source = dep_info::first_source(dep_infos.next()?)?;
    Some(compiler_directory(package?, project).join(source))
}

/// When a unit was built.
#[derive(Default)]
struct UnitTimes {
    started: Option<Timestamp>,
    defect: Option<String>,
}

impl UnitTimes {
    fn read(place: &BuildDirectory, unit: &OwnUnit<'_>) -> Self {
        let mut times = Self::default();
        for of in &unit.units {
            let started = started(place, unit.profile, of);
            times.started = match times.started {
                Some(known) => started.map(|started| known.min(started)),
                None => started,
            };
            if let Some(changed) = changed_artifact(unit.profile, of) {
                times.defect = Some(format!("{} was changed after the build", changed.display()));
            }
        }
        times
    }
}

/// The time that cargo compares with those of the inputs.
fn started(place: &BuildDirectory, profile: &Path, unit: &Unit) -> Option<Timestamp> {
    let recorded = unit.local.iter().find_map(|check| match check {
        LocalCheck::DepInfo(file) | LocalCheck::RerunIfChanged { output: file, .. } => {
            Some(place.path.join(file))
        }
        _ => None,
    });
    let stamp = || {
        let name = "invoked.timestamp";
        let mut artifacts = unit.artifacts.iter();
        let artifact = artifacts.find(|path| path.ends_with(name));
        let beside = artifact.map(|path| profile.join(path));
        beside.unwrap_or_else(|| profile.join(&unit.record_dir).join(name))
    };
    files::mtime(&recorded.unwrap_or_else(stamp)).ok().flatten()
}

/// An artifact that a later step changed in place.
fn changed_artifact<'u>(profile: &Path, unit: &'u Unit) -> Option<&'u PathBuf> {
    unit.artifacts.iter().find(|artifact| {
        let mtime = files::mtime(&profile.join(artifact)).ok().flatten();
        mtime.is_some_and(|mtime| mtime > unit.built)
    })
}
