//! Restores and saves which units of target directories are fresh.
//!
//! If it fails, cargo compiles the workspace's own crates again and nothing else breaks, so every
//! failure is a warning. Only where records of units can't be removed, the restore fails.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::cargo::freshness::at_restore::SourcesNow;
use crate::cargo::freshness::at_save::collect;
use crate::cargo::freshness::decide::{decide, times_to_give};
use crate::cargo::freshness::mode::FreshnessMode;
use crate::cargo::freshness::new_record::{find_stale, new_record};
use crate::cargo::freshness::note::{LastRestore, RestoreNote};
use crate::cargo::freshness::own_units::own_units;
use crate::cargo::freshness::packages::packages;
use crate::cargo::freshness::project_files::{Project, ProjectPlaces};
use crate::cargo::freshness::put_back::{self, give_times, hide_own_units};
use crate::cargo::freshness::record::{FreshnessRecord, RecordedUnit};
use crate::cargo::freshness::unit_fact::{BuildDirectory, ReadDirectory};
use crate::cargo::target_dir::{TargetDir, read_target};
use crate::error::{Error, Result};
use crate::fs::{Timestamp, files};
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::cargo::caches::CacheContents;
use crate::job::cargo::noted::{noted_as, relative_reason, unit_outcomes};
use crate::job::cargo::project::{CargoProject, parse_path_list};
use crate::job::cargo_target::CargoTarget;
use crate::job::context::JobContext;
use crate::job::reply::{FreshnessReply, StaleCrate, StaleUnit};
use crate::ops::restore::RestoreSteps;
use crate::ops::save::SaveSteps;
use crate::store::{Entry, Store};
use crate::tree::manifest::Manifest;
use crate::tree::{Roots, Tree};
use crate::workers;

/// What all target directories of a job have in common.
pub(super) struct JobFreshness<'a> {
    context: &'a JobContext<'a>,
    store: &'a Store,
    mode: FreshnessMode,
    places: ProjectPlaces,
    /// All target directories, by name.
    targets: Vec<PathBuf>,
    named: Vec<PathBuf>,
}

impl<'a> JobFreshness<'a> {
    /// `None` with a warning if the project's places can't be found.
    pub(super) fn find(
        context: &'a JobContext<'a>,
        target: &CargoTarget,
        project: &CargoProject,
        store: &'a Store,
    ) -> Option<Self> {
        let mut plans = project.plans.iter();
        if !plans.any(|plan| matches!(plan.contents, CacheContents::Target(_))) {
            return None;
        }
        let found = project_places(context, project).and_then(|(places, targets)| {
            Ok(Self {
                context,
                store,
                mode: target.freshness,
                places,
                targets,
                named: named_sources(context, project, &target.sources)?,
            })
        });
        warn_on_error(context, found)
    }

    fn project(&self) -> Project<'_> {
        Project {
            places: &self.places,
            namespace: self.context.namespace,
            targets: &self.targets,
            named: &self.named,
            monitor: self.context.monitor,
        }
    }

    /// The directories that cargo builds into, with the roots that they lie in.
    fn build_directories(&self, dirs: &BuildDirs, roots: &Roots) -> Result<Vec<BuildDirectory>> {
        let mut found = Vec::new();
        for (root_name, directory) in dirs.in_roots() {
            found.push(BuildDirectory {
                root: roots.path(root_name.as_bytes())?.to_owned(),
                path: self.context.namespace.locate_parent(directory)?,
                root_name,
            });
        }
        Ok(found)
    }
}

fn project_places(
    context: &JobContext<'_>,
    project: &CargoProject,
) -> Result<(ProjectPlaces, Vec<PathBuf>)> {
    let namespace = context.namespace;
    let name = |name: &Path| namespace.real_name(name);
    let mut places = ProjectPlaces {
        checkout: name(&project.key_request.checkout)?,
        ..ProjectPlaces::default()
    };
    for workspace in &project.facts.workspaces {
        let Some(facts) = &workspace.project else {
            continue;
        };
        places.workspaces.push(name(&facts.root)?);
        let found = packages(facts, namespace);
        for warning in &found.warnings {
            context.monitor.warn(warning);
        }
        places.packages.extend(found.packages);
    }
    places.packages.sort_unstable();
    places.packages.dedup();
    let mut targets = Vec::new();
    for plan in &project.plans {
        if let CacheContents::Target(dirs) = &plan.contents {
            for dir in dirs.iter() {
                targets.push(name(dir)?);
            }
        }
    }
    places.skipped.clone_from(&targets);
    for skipped in [&context.job.cache_root, &project.key_request.cargo_home] {
        places.skipped.push(name(skipped)?);
    }
    Ok((places, targets))
}

/// The paths that lines of the input `sources` name.
fn named_sources(
    context: &JobContext<'_>,
    project: &CargoProject,
    lines: &[String],
) -> Result<Vec<PathBuf>> {
    let namespace = context.namespace;
    let Some(list) = parse_path_list(&project.key_request, "sources", lines)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (_, root) in list.resolve(namespace)?.roots.iter() {
        if files::stat_link(&root.path)?.is_some() {
            found.push(namespace.original_name(&root.path));
        }
    }
    Ok(found)
}

/// Warns of each line of the input `sources` that names nothing.
pub(super) fn warn_of_unmatched_sources(
    context: &JobContext<'_>,
    target: &CargoTarget,
    project: &CargoProject,
) {
    let lines = target.sources.iter();
    for line in lines.filter(|line| !line.starts_with('!')) {
        let found = named_sources(context, project, std::slice::from_ref(line));
        // An invalid line is reported with all lines.
        if found.is_ok_and(|found| found.is_empty()) {
            context.monitor.warn(&format!(
                "the line {line} of `sources` matches nothing; correct or remove it"
            ));
        }
    }
}

/// The freshness of one target directory during its restore.
pub(super) struct TargetRestore<'a> {
    job: &'a JobFreshness<'a>,
    dirs: &'a BuildDirs,
    reply: Mutex<FreshnessReply>,
}

impl<'a> TargetRestore<'a> {
    pub(super) fn new(job: &'a JobFreshness<'a>, dirs: &'a BuildDirs) -> Self {
        Self {
            job,
            dirs,
            reply: Mutex::default(),
        }
    }

    pub(super) fn into_reply(self) -> FreshnessReply {
        workers::into_inner(self.reply)
    }

    /// Puts back the fresh units. Returns their common time.
    fn put_back(&self, entry: &Entry, roots: &Roots) -> Result<Option<Timestamp>> {
        let job = self.job;
        let Some(id) = entry.record else {
            return Ok(None);
        };
        let Some(record) = FreshnessRecord::decode(&job.store.read_record(&id)?) else {
            return Ok(None);
        };
        let project = job.project();
        let Some(mut sources) = SourcesNow::list(&project)? else {
            return Ok(None);
        };
        let facts = sources.compare(&record);
        let decisions = decide(&record, &facts, job.mode);
        let mut fresh: Vec<&RecordedUnit> = Vec::new();
        let mut stale: Vec<&RecordedUnit> = Vec::new();
        for (unit, reason) in record.units.iter().zip(&decisions) {
            if reason.is_none() {
                fresh.push(unit);
            } else {
                stale.push(unit);
            }
        }
        let root = |name: &str| roots.path(name.as_bytes()).ok().map(Path::to_owned);
        let (gone, others): (Vec<&RecordedUnit>, Vec<&RecordedUnit>) =
            record.units.iter().partition(|unit| {
                let source = unit.crate_root.as_ref();
                source.is_some_and(|(_, number)| facts.is_missing(*number))
            });
        put_back::remove_products(&stale, &fresh, &root)?;
        put_back::remove_incremental(&gone, &others, &root)?;
        // The times of sources first: should this end here, nothing is fresh yet.
        let mut times = times_to_give(&record, &facts, &decisions);
        // A record can be forged, and names files by absolute paths.
        times.retain(|(file, _)| job.places.package_of(&file.path).is_some());
        let given = give_times(&times, job.context.namespace)?;
        let time = put_back::put_back(&fresh, sources.time(), &root)?;
        if facts.has_whole_seconds() || time.nanoseconds == 0 {
            put_back::wait_after(time.seconds);
        }
        let mut note = RestoreNote::new(time, Some(id));
        for (unit, reason) in record.units.iter().zip(&decisions) {
            match reason {
                None => note.fresh.push((unit.root.clone(), unit.directory.clone())),
                Some(reason) => note.stale.push((unit.label.clone(), reason.clone())),
            }
        }
        note.given = given;
        note.different = facts.different().collect();
        note.fresh_labels = fresh.iter().map(|unit| unit.label.clone()).collect();
        note.write(job.store, &noted_as(job.context.namespace, self.dirs)?)?;
        let checkout = &job.places.checkout;
        let mut reply = summarize(&record, &decisions, checkout);
        let units = unit_outcomes(&note, checkout);
        reply.units = units.filter(|unit| unit.reason.is_some()).collect();
        *workers::lock(&self.reply) = reply;
        Ok((!fresh.is_empty()).then_some(time))
    }
}

impl RestoreSteps for TargetRestore<'_> {
    fn prepare(&self, _: &Entry, manifest: &Manifest, roots: &Roots) -> Result<()> {
        for directory in self.job.build_directories(self.dirs, roots)? {
            let name = directory.root_name.as_bytes();
            let is_kept = |relative: &Path| has_dir(&manifest.tree, name, relative);
            hide_own_units(&directory, &is_kept)?;
        }
        Ok(())
    }

    fn finish(&self, entry: &Entry, _: &Manifest, roots: &Roots) -> Result<Option<Timestamp>> {
        Ok(warn_on_error(self.job.context, self.put_back(entry, roots)).flatten())
    }
}

fn has_dir(tree: &Tree, root: &[u8], relative: &Path) -> bool {
    let names = std::iter::once(root).chain(relative.iter().map(OsStr::as_bytes));
    let mut dir = Tree::TOP;
    for name in names {
        match tree.find_dir(dir, name) {
            Some(found) => dir = found,
            None => return false,
        }
    }
    true
}

/// Counts crates: a crate is fresh if all its units are.
fn summarize(
    record: &FreshnessRecord,
    decisions: &[Option<String>],
    checkout: &Path,
) -> FreshnessReply {
    let mut reply = FreshnessReply::default();
    for (number, package) in record.packages.iter().enumerate() {
        let units = record.units.iter().zip(decisions);
        let mut own = units
            .filter(|(unit, _)| {
                unit.package
                    .is_some_and(|package| package as usize == number)
            })
            .peekable();
        if own.peek().is_none() {
            continue;
        }
        reply.crates += 1;
        match own.find_map(|(_, reason)| reason.as_ref()) {
            None => reply.fresh += 1,
            Some(reason) => reply.stale.push(StaleCrate {
                name: package.name.clone(),
                reason: relative_reason(reason, checkout),
            }),
        }
    }
    reply
}

/// The freshness of one target directory during its save.
pub(super) struct TargetSave<'a> {
    job: &'a JobFreshness<'a>,
    directories: Vec<ReadDirectory>,
    restored: LastRestore,
    stale: Mutex<Vec<StaleUnit>>,
}

impl<'a> TargetSave<'a> {
    pub(super) fn new(job: &'a JobFreshness<'a>, dirs: &BuildDirs, roots: &Roots) -> Result<Self> {
        let mut directories = Vec::new();
        for directory in job.build_directories(dirs, roots)? {
            directories.push(ReadDirectory {
                target: read_target(&directory.path)?,
                directory,
            });
        }
        let noted_as = noted_as(job.context.namespace, dirs)?;
        let note = RestoreNote::read(job.store, &noted_as)?;
        // Without the record, inputs are judged by their times alone.
        let record = note
            .as_ref()
            .and_then(|note| job.store.read_record(&note.record?).ok())
            .and_then(|bytes| FreshnessRecord::decode(&bytes));
        Ok(Self {
            job,
            directories,
            restored: LastRestore { note, record },
            stale: Mutex::default(),
        })
    }

    /// The directories of profiles that cargo has built into.
    pub(super) fn profiles(&self) -> impl Iterator<Item = &PathBuf> {
        let profiles = self.directories.iter().flat_map(|it| &it.target.profiles);
        profiles.map(|profile| &profile.directory)
    }

    /// The directories that the entry must not contain: what is in them comes back only for fresh
    /// units.
    pub(super) fn own_record_dirs(&self) -> HashSet<PathBuf> {
        let directories = self.directories.iter();
        directories
            .flat_map(|directory| record_dirs_of_own_units(&directory.target))
            .collect()
    }

    /// Units that this job may have used although their inputs were others.
    pub(super) fn into_stale(self) -> Vec<StaleUnit> {
        workers::into_inner(self.stale)
    }
}

/// Cargo's records of the own units in a target directory.
pub(super) fn record_dirs_of_own_units(target: &TargetDir) -> Vec<PathBuf> {
    let units = own_units(target, &[], &|_| None);
    let dirs = units
        .iter()
        .map(|unit| unit.profile.join(unit.record_dir()));
    dirs.collect()
}

impl SaveSteps for TargetSave<'_> {
    fn restamped(&self) -> Option<Timestamp> {
        self.restored.note.as_ref().map(|note| note.time)
    }

    fn record(&self) -> Result<Vec<u8>> {
        let job = self.job;
        let project = job.project();
        let collected = collect(&self.directories, &project, &self.restored)?;
        let namespace = job.context.namespace;
        let is_still = |file: &crate::cargo::freshness::record::RecordedFile| {
            let path = namespace.locate(&file.path);
            let state = path.and_then(|path| match files::stat(&path)? {
                Some(stat) => file.state.is_still(&path, &stat, None),
                None => Ok(false),
            });
            state.unwrap_or(false)
        };
        let stale = find_stale(&collected, &self.restored, &is_still);
        *workers::lock(&self.stale) = stale
            .into_iter()
            .map(|stale| StaleUnit {
                package: stale.unit,
                input: namespace.original_name(&stale.input).display().to_string(),
                advice: "let the step that writes it run before the restore, or give it a new \
                         modification time"
                    .to_owned(),
            })
            .collect();
        new_record(&collected, &job.places.packages, &self.restored).encode()
    }

    fn before_move(&self) -> Result<()> {
        for read in &self.directories {
            hide_own_units(&read.directory, &|_| false)?;
        }
        Ok(())
    }
}

fn warn_on_error<T>(context: &JobContext<'_>, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        // The worker reports the cancellation.
        Err(Error::Interrupted) => None,
        Err(error) => {
            context.monitor.warn(&format!(
                "{}; cargo compiles the workspace's own crates again",
                error.with_advice()
            ));
            None
        }
    }
}
