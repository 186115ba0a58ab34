//! Collects what is known about the own units of a target directory when it is saved.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::contents::FileState;
use super::may_write::possible_outputs;
use super::note::{LastRestore, RestoreNote};
use super::own_units::own_units;
use super::paths::{FoundInput, PathFinder};
use super::project_files::{Project, ProjectFiles, below};
use super::record::FileNumber;
use super::save_facts::{GeneratedFile, PathFact, PathPlace, SaveFacts, UnitFact};
use super::since_restore::{Given, KnownStates};
use super::unit_fact::{
    CollectedUnit, ReadDirectory, add_links, newest_dependency, starts, unit_fact,
};
use super::written::{TimeSpan, written_between};
use crate::cargo::target_dir::{Unit, dep_info};
use crate::error::Result;
use crate::fs::{FileKind, Namespace, Timestamp, files};
use crate::git::{Head, Repository};

/// The own units, and everything that [`super::vouch`] needs to know of them.
pub(crate) struct Collected<'t> {
    pub(crate) units: Vec<CollectedUnit<'t>>,
    pub(crate) facts: SaveFacts,
    pub(crate) files: ProjectFiles,
    /// The names that the input `sources` leads to.
    pub(crate) named: Vec<PathBuf>,
    /// Untracked files that the job wrote after its first build began. They are no sources.
    pub(crate) products: BTreeSet<PathBuf>,
    pub(crate) commit: Option<String>,
}

/// Collects the facts about all own units in `directories`.
pub(crate) fn collect<'t>(
    directories: &'t [ReadDirectory],
    project: &Project<'_>,
    restored: &LastRestore,
) -> Result<Collected<'t>> {
    let mut finder = PathFinder::new(project.namespace, project.places.roots(project.namespace)?);
    let mut units = Vec::new();
    for read in directories {
        let ReadDirectory { directory, target } = read;
        let starts = starts(read);
        let first_source = |unit: &Unit| {
            let source = dep_info::first_source(unit.dep_info.as_deref()?)?;
            let bases = project.places.workspaces.iter();
            bases
                .map(|base| base.join(&source))
                .find(|source| finder_exists(project.namespace, source))
        };
        for unit in own_units(target, &project.places.packages, &first_source) {
            let mut unit = CollectedUnit {
                place: directory,
                unit,
                fact: UnitFact::default(),
            };
            unit.fact = unit_fact(&unit, project, restored);
            unit.fact.newest_dependency = newest_dependency(&unit.unit, &starts);
            units.push(unit);
        }
    }
    let first_build = first_build(&units, restored);
    add_written(&mut units, project, restored)?;
    let mut files = ProjectFiles::list(project, &mut finder)?;
    let given = Given::new(restored);
    for (name, file) in &mut files.files {
        file.changed = given.changed(name, &file.stat, file.changed);
    }
    let mut named = Vec::new();
    for name in project.named {
        named.append(&mut below(name, &mut finder)?);
    }
    expand_directories(&mut units, &mut finder);
    for unit in &mut units {
        add_links(&mut unit.fact, &files, &mut finder);
    }
    let (commit, commit_changed) = commit(project);
    let mut collected = Collected {
        facts: SaveFacts {
            first_build,
            clock_changed: restored
                .note
                .as_ref()
                .is_some_and(RestoreNote::clock_changed),
            commit_changed,
            ..SaveFacts::default()
        },
        products: products(&files, first_build),
        units,
        files,
        named,
        commit,
    };
    collected.add_newest();
    collected.look_at_paths(project, restored, &mut finder);
    collected.add_possible_outputs();
    Ok(collected)
}

fn finder_exists(namespace: &dyn Namespace, name: &Path) -> bool {
    let path = namespace.locate(name);
    path.is_ok_and(|path| files::stat(&path).is_ok_and(|stat| stat.is_some()))
}

/// When the first unit was built that was not restored.
fn first_build(units: &[CollectedUnit<'_>], restored: &LastRestore) -> Option<Timestamp> {
    let since = restored.note.as_ref().map(|note| note.time);
    let started = units.iter().filter_map(|unit| unit.fact.started);
    started
        .filter(|started| since.is_none_or(|since| *started > since))
        .min()
}

/// Adds what build scripts wrote outside of the target directory.
fn add_written(
    units: &mut [CollectedUnit<'_>],
    project: &Project<'_>,
    restored: &LastRestore,
) -> Result<()> {
    let mut spans = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        if !unit.fact.is_build_script_run || unit.fact.is_downloaded || unit.fact.is_restored {
            continue;
        }
        let ended = unit.unit.units.iter().map(|unit| unit.built).max();
        if let Some((started, ended)) = unit.fact.started.zip(ended) {
            spans.push((number, TimeSpan { started, ended }));
        }
    }
    let mut writers: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (number, name) in written_between(&spans, project.places, project.namespace)? {
        writers.entry(name).or_default().push(number);
    }
    for (name, mut numbers) in writers {
        // Runs overlap in time. A build script nearly always writes into its own package.
        if let Some(package) = project.places.package_of(&name) {
            let in_own = |number: &usize| units[*number].unit.package == Some(package);
            if numbers.iter().any(in_own) {
                numbers.retain(in_own);
            }
        }
        for number in numbers {
            units[number].fact.written.push(name.clone());
        }
    }
    let Some(record) = &restored.record else {
        return Ok(());
    };
    for unit in units.iter_mut().filter(|unit| unit.fact.is_restored) {
        let recorded = record.unit(&unit.place.root_name, &unit.directory());
        if let Some(recorded) = recorded {
            let paths = |numbers: &[FileNumber]| {
                let files = numbers.iter().map(|number| record.file(*number));
                files.map(|file| file.path.clone()).collect()
            };
            unit.fact.written = paths(&recorded.written);
            unit.fact.may_have_written = paths(&recorded.may_have_written);
            unit.fact.may_have_made = paths(&recorded.may_have_made);
        }
    }
    Ok(())
}

/// Replaces directories among the inputs by everything below them.
fn expand_directories(units: &mut [CollectedUnit<'_>], finder: &mut PathFinder<'_>) {
    for unit in units
        .iter_mut()
        .filter(|unit| unit.fact.is_build_script_run)
    {
        let mut expanded = Vec::new();
        for input in &unit.fact.inputs {
            match below(input, finder) {
                Ok(mut names) => expanded.append(&mut names),
                // The other units stay fresh.
                Err(error) => unit.fact.defect = Some(error.to_string()),
            }
        }
        unit.fact.inputs = expanded;
    }
}

/// The commit that is checked out, and when that last changed. If it cannot be read, it counts as
/// changed after every build.
fn commit(project: &Project<'_>) -> (Option<String>, Option<Timestamp>) {
    let head = || -> Result<Option<Head>> {
        let checkout = project.namespace.locate(&project.places.checkout)?;
        let repository = Repository::find(project.namespace, &checkout)?;
        repository.map(|repository| repository.head()).transpose()
    };
    match head() {
        Ok(None) => (None, None),
        Ok(Some(head)) => {
            let stats = head.files.iter().filter_map(|file| files::stat(file).ok()?);
            let changed = stats.map(|stat| stat.mtime.max(stat.ctime)).max();
            (head.commit, changed)
        }
        Err(error) => {
            log::debug!("{error}; build scripts run again");
            (None, Some(Timestamp::MAX))
        }
    }
}

fn products(files: &ProjectFiles, first_build: Option<Timestamp>) -> BTreeSet<PathBuf> {
    let Some(first_build) = first_build else {
        return BTreeSet::new();
    };
    let written = files
        .files
        .iter()
        .filter(|(_, file)| !file.is_tracked && file.changed >= first_build);
    written.map(|(name, _)| name.clone()).collect()
}

impl Collected<'_> {
    /// The files of a package, or those outside of all, that count as its sources.
    pub(crate) fn counted<'n>(
        &'n self,
        names: impl Iterator<Item = &'n PathBuf>,
    ) -> impl Iterator<Item = &'n PathBuf> {
        let written: HashSet<&PathBuf> = self
            .units
            .iter()
            .flat_map(|unit| &unit.fact.written)
            .collect();
        names.filter(move |name| {
            !super::project_files::is_ignored(name)
                && !self.products.contains(*name)
                && !written.contains(name)
        })
    }

    fn add_newest(&mut self) {
        let change = |name: &PathBuf| (name.clone(), self.files.files[name].changed);
        let newest_change = |package| {
            let changes = self.counted(self.files.seen_by(package)).map(change);
            changes.max_by_key(|(_, changed)| *changed)
        };
        let newest_mtime = |names: &Vec<PathBuf>| {
            let files = names.iter().filter(|name| !self.files.is_link(name));
            files.map(|name| self.files.files[name].stat.mtime).max()
        };
        let of_packages = &self.files.of_packages;
        let newest_changes = (0..of_packages.len()).map(newest_change).collect();
        let outside = self.counted(self.files.outside.iter()).map(change);
        let newest_outside = outside.max_by_key(|(_, changed)| *changed);
        let newest_mtimes = of_packages.iter().map(newest_mtime).collect();
        self.facts.newest_changes = newest_changes;
        self.facts.newest_outside = newest_outside;
        self.facts.newest_mtimes = newest_mtimes;
    }

    /// Adds a fact for each path that can be recorded.
    fn look_at_paths(
        &mut self,
        project: &Project<'_>,
        restored: &LastRestore,
        finder: &mut PathFinder<'_>,
    ) {
        let known = KnownStates::new(restored);
        let given = Given::new(restored);
        let is_link = |path: &FoundInput| path.stat.kind == FileKind::Symlink;
        let mut found = Vec::new();
        for (name, is_followed) in self.paths_to_record() {
            let listed = self.files.found(&name);
            let path = match listed.filter(|path| !(is_followed && is_link(path))) {
                Some(found) => Ok(Some(found)),
                None => finder.find(&name).map(|path| {
                    path.map(|path| FoundInput {
                        changed: given.changed(&path.name, &path.stat, path.changed),
                        ..path
                    })
                }),
            };
            found.push((name, path));
        }
        let files = &self.files;
        let finder = &*finder;
        let facts: Vec<(bool, PathBuf, PathFact)> = found
            .into_par_iter()
            .map(|(name, path)| {
                let is_link = matches!(&path, Ok(Some(path)) if is_link(path));
                let fact = match path {
                    Ok(path) => path_fact(&name, path, &known, (project, files, finder)),
                    Err(error) => unreadable(error.to_string(), place(&name, project)),
                };
                (is_link, name, fact)
            })
            .collect();
        for (is_link, name, fact) in facts {
            if is_link {
                self.facts.links.insert(name, fact);
            } else {
                self.facts.paths.insert(name, fact);
            }
        }
    }

    fn add_possible_outputs(&mut self) {
        let units: Vec<_> = self.units.iter().map(|unit| &unit.fact).collect();
        let found = possible_outputs(&units, &self.facts);
        for (unit, found) in self.units.iter_mut().zip(found) {
            unit.fact.may_have_written = found.written;
            unit.fact.may_have_made = found.made;
        }
    }

    /// Paths, each with whether a symlink of the checkout is followed there. Such a symlink can be
    /// there twice.
    fn paths_to_record(&self) -> Vec<(PathBuf, bool)> {
        let mut names: Vec<&PathBuf> = Vec::new();
        for unit in &self.units {
            let fact = &unit.fact;
            let outputs = fact.written.iter().chain(&fact.may_have_written);
            names.extend(outputs.chain(&fact.may_have_made));
            if let (Some(package), Some(_)) = (fact.package, fact.newest) {
                names.extend(&self.files.of_packages[package]);
            }
        }
        names.extend(self.counted(self.files.all()));
        let inputs = self.units.iter().flat_map(|unit| &unit.fact.inputs);
        let followed = inputs.chain(&self.named);
        let followed = followed.map(|name| (name, self.files.is_link(name)));
        let mut paths: Vec<(&PathBuf, bool)> = followed.collect();
        paths.extend(names.into_iter().map(|name| (name, false)));
        // The bytes are compared faster than the components, and any order will do.
        paths.sort_unstable_by_key(|(name, is_followed)| (name.as_os_str(), *is_followed));
        paths.dedup();
        let owned = |(name, is_followed): (&PathBuf, bool)| (name.clone(), is_followed);
        paths.into_iter().map(owned).collect()
    }
}

fn unreadable(reason: String, place: PathPlace) -> PathFact {
    PathFact {
        changed: None,
        mtime: Timestamp::MIN,
        place,
        generated: None,
        state: Err(reason),
    }
}

fn path_fact(
    name: &Path,
    path: Option<FoundInput>,
    known: &KnownStates<'_>,
    (project, files, finder): (&Project<'_>, &ProjectFiles, &PathFinder<'_>),
) -> PathFact {
    let Some(path) = path else {
        let reason = format!("{} does not exist", name.display());
        return unreadable(reason, place(name, project));
    };
    let place = place(&path.name, project);
    let generated = generated(&path, place, (project, files, finder));
    let state = match place {
        PathPlace::OutDir | PathPlace::TargetDir => {
            Err(format!("{} lies in a target directory", name.display()))
        }
        PathPlace::Package(_) | PathPlace::OutsideOfPackages => {
            if let Some(state) = known.get(name, &path) {
                return PathFact {
                    changed: Some(path.changed),
                    mtime: path.stat.mtime,
                    place,
                    generated,
                    state: Ok(state),
                };
            }
            let blob = files.blob(&path.name);
            let located = finder.locate(&path.name);
            let read = located.and_then(|located| FileState::read(&located, &path.stat, blob));
            read.map_err(|error| error.to_string())
        }
    };
    PathFact {
        changed: Some(path.changed),
        mtime: path.stat.mtime,
        place,
        generated,
        state,
    }
}

/// The first symlink on the way of a path, or the file at its end, that git is not known to have
/// checked out.
fn generated(
    path: &FoundInput,
    place: PathPlace,
    (project, files, finder): (&Project<'_>, &ProjectFiles, &PathFinder<'_>),
) -> Option<GeneratedFile> {
    if matches!(place, PathPlace::OutDir | PathPlace::TargetDir) {
        return None;
    }
    let file = Some(&path.name).filter(|_| path.stat.kind == FileKind::File);
    let is_generated = |name: &&PathBuf| !files.is_checked_out(name) && finder.is_in_project(name);
    let name = path.links.iter().chain(file).find(is_generated)?;
    Some(GeneratedFile {
        name: name.clone(),
        place: self::place(name, project),
        is_certain: files.has_repository(name),
    })
}

fn place(name: &Path, project: &Project<'_>) -> PathPlace {
    for target in project.targets {
        if let Ok(below) = name.strip_prefix(target) {
            let mut parts = below.components().map(|part| part.as_os_str());
            // `build/PACKAGE-HASH/out` or `build/PACKAGE/HASH/out`.
            let is_out_dir = parts.any(|part| part == "build")
                && parts.skip(1).take(2).any(|part| part == "out");
            return if is_out_dir {
                PathPlace::OutDir
            } else {
                PathPlace::TargetDir
            };
        }
    }
    project
        .places
        .package_of(name)
        .map_or(PathPlace::OutsideOfPackages, PathPlace::Package)
}
