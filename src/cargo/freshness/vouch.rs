//! Decides at save which units the entry vouches for (pure).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::Timestamp;

use super::contents::FileState;

/// What is known of a path that a unit read or wrote.
#[derive(Clone, Debug)]
pub(crate) struct PathFact {
    /// When the path began to lead to its present contents; `None` if it leads nowhere.
    pub(crate) changed: Option<Timestamp>,
    /// The modification time, which is what cargo compares.
    pub(crate) mtime: Timestamp,
    pub(crate) place: PathPlace,
    /// An error is why the state is unknown.
    pub(crate) state: Result<FileState, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathPlace {
    /// The number of the package around it.
    Package(usize),
    OutsideOfPackages,
    /// The output of a build script in the same target directory.
    OutDir,
    /// Any other file of a target directory.
    TargetDir,
}

/// A unit at the time of the save.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitFact {
    pub(crate) package: Option<usize>,
    pub(crate) is_build_script_run: bool,
    pub(crate) is_downloaded: bool,
    /// When its build began: the time that cargo compares with those of its inputs.
    pub(crate) started: Option<Timestamp>,
    /// Whether it was restored as fresh and not built since.
    pub(crate) is_restored: bool,
    /// What it read, by name.
    pub(crate) inputs: Vec<PathBuf>,
    /// The source that its crate begins with.
    pub(crate) crate_root: Option<PathBuf>,
    pub(crate) written: Vec<PathBuf>,
    /// The newest time in the package when it was built, if cargo compares that.
    pub(crate) newest: Option<Timestamp>,
    /// What is wrong with its records or artifacts.
    pub(crate) defect: Option<String>,
}

/// What the decision about each unit needs to know.
#[derive(Debug, Default)]
pub(crate) struct SaveFacts {
    pub(crate) paths: HashMap<PathBuf, PathFact>,
    /// When the first unit was built in this job.
    pub(crate) first_build: Option<Timestamp>,
    /// Whether the clock was set during the job.
    pub(crate) clock_changed: bool,
    /// When the commit that is checked out last changed.
    pub(crate) commit_changed: Option<Timestamp>,
    /// For each package, the file of all its files that changed last, and when.
    pub(crate) newest_changes: Vec<Option<(PathBuf, Timestamp)>>,
    /// The same for files outside of all packages.
    pub(crate) newest_outside: Option<(PathBuf, Timestamp)>,
    /// For each package, the newest modification time of its files.
    pub(crate) newest_mtimes: Vec<Option<Timestamp>>,
}

/// Why a unit is not vouched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: Option<String>,
    /// A reason that only counts where cargo's own list of inputs is not trusted to be complete.
    pub(crate) safe_reason: Option<String>,
}

/// Decides about all units.
pub(crate) fn vouch(units: &[UnitFact], facts: &SaveFacts) -> Vec<Verdict> {
    let generated = Generated::find(units, facts);
    let decide = |unit: &UnitFact| Verdict {
        reason: reason(unit, facts, &generated).err(),
        safe_reason: safe_reason(unit, facts).err(),
    };
    units.iter().map(decide).collect()
}

/// Inputs that something wrote after the first build began. It may have been any build script.
#[derive(Default)]
struct Generated {
    in_packages: HashMap<usize, PathBuf>,
    outside: Option<PathBuf>,
}

impl Generated {
    fn find(units: &[UnitFact], facts: &SaveFacts) -> Self {
        let mut found = Self::default();
        let Some(first_build) = facts.first_build else {
            return found;
        };
        let written: HashSet<&PathBuf> = units.iter().flat_map(|unit| &unit.written).collect();
        for input in units.iter().flat_map(|unit| &unit.inputs) {
            let Some(fact) = facts.paths.get(input) else {
                continue;
            };
            let is_late = fact.changed.is_some_and(|changed| changed >= first_build);
            // What a build script wrote while it ran counts as its output.
            if !is_late || written.contains(input) {
                continue;
            }
            match fact.place {
                PathPlace::Package(package) => {
                    found.in_packages.insert(package, input.clone());
                }
                PathPlace::OutsideOfPackages => found.outside = Some(input.clone()),
                PathPlace::OutDir | PathPlace::TargetDir => {}
            }
        }
        found
    }

    fn around(&self, package: Option<usize>) -> Option<&Path> {
        let in_package = package.and_then(|package| self.in_packages.get(&package));
        in_package.or(self.outside.as_ref()).map(PathBuf::as_path)
    }
}

fn reason(unit: &UnitFact, facts: &SaveFacts, generated: &Generated) -> Result<(), String> {
    if let Some(defect) = &unit.defect {
        return Err(defect.clone());
    }
    let started = unit
        .started
        .ok_or("cargo's record of when its build began is missing")?;
    if unit.package.is_none() && !unit.is_downloaded {
        return Err("no manifest of its package was found".to_owned());
    }
    if facts.clock_changed && !unit.is_restored {
        return Err("the clock was changed during the job".to_owned());
    }
    for input in &unit.inputs {
        check_input(input, started, facts)?;
    }
    for written in &unit.written {
        let state = facts.paths.get(written).map(|fact| fact.state.is_ok());
        if state != Some(true) {
            return Err(format!(
                "{} was written by it and removed",
                written.display()
            ));
        }
    }
    if let Some(newest) = unit.newest {
        let now = unit
            .package
            .and_then(|package| facts.newest_mtimes[package]);
        if now != Some(newest) {
            return Err("files of its package changed after it was built".to_owned());
        }
    }
    if unit.is_build_script_run {
        check_build_script(unit, started, facts, generated)?;
    }
    Ok(())
}

fn check_input(input: &Path, started: Timestamp, facts: &SaveFacts) -> Result<(), String> {
    let name = input.display();
    let fact = facts
        .paths
        .get(input)
        .ok_or_else(|| format!("{name} was not looked at"))?;
    let Some(changed) = fact.changed else {
        return Err(format!("{name} does not exist"));
    };
    match fact.place {
        PathPlace::TargetDir => Err(format!("{name} lies in a target directory")),
        // A restore gives it a later ctime.
        PathPlace::OutDir if fact.mtime > started => {
            Err(format!("{name} changed after the build began"))
        }
        PathPlace::OutDir => Ok(()),
        _ if changed >= started => Err(format!("{name} changed after the build began")),
        _ => fact.state.as_ref().map(|_| ()).map_err(Clone::clone),
    }
}

fn check_build_script(
    unit: &UnitFact,
    started: Timestamp,
    facts: &SaveFacts,
    generated: &Generated,
) -> Result<(), String> {
    if unit.is_downloaded {
        return Err("it belongs to a downloaded package that depends on a local one".to_owned());
    }
    if let Some(input) = generated.around(unit.package) {
        return Err(format!(
            "{} was written during the job, perhaps by it",
            input.display()
        ));
    }
    let commit_changed = facts
        .commit_changed
        .is_some_and(|changed| changed >= started);
    if commit_changed && !unit.is_restored {
        return Err("the commit was changed after it ran, or is unknown".to_owned());
    }
    Ok(())
}

fn safe_reason(unit: &UnitFact, facts: &SaveFacts) -> Result<(), String> {
    let Some(started) = unit.started.filter(|_| !unit.is_downloaded) else {
        return Ok(());
    };
    let of_package = unit
        .package
        .and_then(|package| facts.newest_changes[package].as_ref());
    for (name, changed) in of_package.into_iter().chain(&facts.newest_outside) {
        if *changed >= started {
            return Err(format!("{} changed after the build began", name.display()));
        }
    }
    Ok(())
}
