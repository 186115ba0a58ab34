//! Which units of a target directory are a project's own, and what they read (pure).
//!
//! Own units are those of packages outside of cargo's own directories of downloads (members, path
//! dependencies, vendored packages), and units that depend on one of them: cargo compares the times
//! of their sources and outputs. The sources of all other units never change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cargo::project::workspace::normalize_path;
use crate::cargo::target_dir::{LocalCheck, Profile, TargetDir, Unit, UnitOrigin};
use crate::fs::Timestamp;

use super::packages::PathPackage;

/// The units that share a directory of records. They are fresh or stale together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnUnit<'t> {
    /// The directory of the profile.
    pub(crate) profile: &'t Path,
    pub(crate) units: Vec<&'t Unit>,
    /// The number of its package; `None` if it is unknown, and for a downloaded package.
    pub(crate) package: Option<usize>,
    /// Whether it is of a downloaded package that depends on a local one.
    pub(crate) is_downloaded: bool,
}

impl<'t> OwnUnit<'t> {
    /// Relative to the directory of the profile.
    pub(crate) fn record_dir(&self) -> &'t Path {
        &self.units[0].record_dir
    }

    pub(crate) fn is_build_script_run(&self) -> bool {
        self.units.iter().any(|unit| unit.is_build_script_run())
    }

    /// For people: `app (lib-app)`.
    pub(crate) fn label(&self) -> String {
        let names: Vec<&str> = self.units.iter().map(|unit| unit.name.as_str()).collect();
        format!("{} ({})", self.units[0].package, names.join(", "))
    }
}

/// Finds the own units. `sources` are the sources of a unit by its dep-info file.
pub(crate) fn own_units<'t>(
    target: &'t TargetDir,
    packages: &[PathPackage],
    first_source: &dyn Fn(&Unit) -> Option<PathBuf>,
) -> Vec<OwnUnit<'t>> {
    let own = own_fingerprints(target);
    let scripts = build_scripts(target);
    let mut found: BTreeMap<(&Path, &Path), OwnUnit<'t>> = BTreeMap::new();
    for (profile, unit) in units(target) {
        let source_unit = run_script(unit, &scripts).unwrap_or(unit);
        let is_local = is_local(source_unit) || is_local(unit);
        if !is_local && !depends_on(unit, &own) {
            continue;
        }
        let package = is_local
            .then(|| package_of(source_unit, packages, first_source))
            .flatten();
        let entry = found.entry((&profile.directory, &unit.record_dir));
        let own_unit = entry.or_insert_with(|| OwnUnit {
            profile: &profile.directory,
            units: Vec::new(),
            package,
            is_downloaded: !is_local,
        });
        own_unit.units.push(unit);
        own_unit.is_downloaded &= !is_local;
        own_unit.package = own_unit.package.or(package);
    }
    found.into_values().collect()
}

fn units(target: &TargetDir) -> impl Iterator<Item = (&Profile, &Unit)> {
    let profiles = target.profiles.iter();
    profiles.flat_map(|profile| profile.units.iter().map(move |unit| (profile, unit)))
}

/// Whether cargo compares the sources of a unit by their times. It does not do so for what lies in
/// its own directories of downloads, or if it compares contents.
fn is_local(unit: &Unit) -> bool {
    let is_downloaded = matches!(unit.origin, UnitOrigin::Registry(_) | UnitOrigin::Git(..));
    unit.local.iter().any(|check| match check {
        // What has an unknown form is compiled again.
        LocalCheck::DepInfo(_) | LocalCheck::Unknown => !is_downloaded,
        LocalCheck::Precalculated(text) => newest_file(text).is_some(),
        _ => false,
    })
}

/// The newest file of a package and its time, as cargo writes them: `1732937000.123456789s
/// (src/lib.rs)`. Downloaded packages have their version instead.
pub(crate) fn newest_file(precalculated: &str) -> Option<(Timestamp, &Path)> {
    let (time, path) = precalculated.split_once("s (")?;
    let (seconds, nanoseconds) = time.split_once('.')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(nanoseconds) || nanoseconds.len() != 9 {
        return None;
    }
    Some((
        Timestamp {
            seconds: seconds.parse().ok()?,
            nanoseconds: nanoseconds.parse().ok()?,
        },
        Path::new(path.strip_suffix(')')?),
    ))
}

/// The fingerprints of own units, with those of their dependents.
fn own_fingerprints(target: &TargetDir) -> HashSet<u64> {
    let mut dependents: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut waiting = Vec::new();
    for (_, unit) in units(target) {
        let Some(fingerprint) = unit.fingerprint else {
            continue;
        };
        for dependency in &unit.dependencies {
            dependents.entry(*dependency).or_default().push(fingerprint);
        }
        if is_local(unit) {
            waiting.push(fingerprint);
        }
    }
    let mut own = HashSet::new();
    while let Some(fingerprint) = waiting.pop() {
        if own.insert(fingerprint) {
            waiting.extend(dependents.get(&fingerprint).into_iter().flatten());
        }
    }
    own
}

fn depends_on(unit: &Unit, own: &HashSet<u64>) -> bool {
    unit.dependencies
        .iter()
        .any(|dependency| own.contains(dependency))
}

/// The compiled build scripts by their fingerprints.
fn build_scripts(target: &TargetDir) -> HashMap<u64, &Unit> {
    let scripts = units(target).filter(|(_, unit)| unit.name.starts_with("build-script-"));
    scripts
        .filter_map(|(_, unit)| Some((unit.fingerprint?, unit)))
        .collect()
}

/// The build script that a unit is the run of.
fn run_script<'t>(unit: &Unit, scripts: &HashMap<u64, &'t Unit>) -> Option<&'t Unit> {
    if !unit.is_build_script_run() {
        return None;
    }
    let mut dependencies = unit.dependencies.iter();
    dependencies.find_map(|dependency| {
        let script = *scripts.get(dependency)?;
        (script.package == unit.package).then_some(script)
    })
}

/// The package of a unit: the one of that name around its source, or the only one of that name.
fn package_of(
    unit: &Unit,
    packages: &[PathPackage],
    first_source: &dyn Fn(&Unit) -> Option<PathBuf>,
) -> Option<usize> {
    let named = |(_, package): &(usize, &PathPackage)| package.name == unit.package;
    let candidates: Vec<(usize, &PathPackage)> =
        packages.iter().enumerate().filter(named).collect();
    let [_, _, ..] = candidates[..] else {
        return candidates.first().map(|(number, _)| *number);
    };
    let source = first_source(unit)?;
    let around = candidates
        .into_iter()
        .filter(|(_, package)| source.starts_with(&package.directory));
    around
        .max_by_key(|(_, package)| package.directory.as_os_str().len())
        .map(|(number, _)| number)
}

/// What decides whether a unit is fresh, besides its dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitInputs {
    /// Absolute names of files and directories.
    pub(crate) paths: BTreeSet<PathBuf>,
    /// The time of the newest file of the package, where cargo compares only that.
    pub(crate) newest: Option<Timestamp>,
    /// Why the inputs are not known.
    pub(crate) unknown: Option<String>,
}

/// The inputs of a unit by cargo's records. `sources` reads a dep-info file; `workspaces` are the
/// roots that relative sources can belong to.
pub(crate) fn inputs(
    unit: &OwnUnit<'_>,
    package: Option<&PathPackage>,
    sources: &dyn Fn(&Unit) -> Result<BTreeSet<PathBuf>, String>,
) -> UnitInputs {
    let mut inputs = UnitInputs::default();
    for unit in &unit.units {
        for check in &unit.local {
            if let Err(reason) = add_inputs(&mut inputs, unit, check, package, sources) {
                inputs.unknown.get_or_insert(reason);
            }
        }
        if unit.fingerprint.is_none() {
            inputs
                .unknown
                .get_or_insert("its build did not succeed".to_owned());
        }
    }
    inputs
}

fn add_inputs(
    inputs: &mut UnitInputs,
    unit: &Unit,
    check: &LocalCheck,
    package: Option<&PathPackage>,
    sources: &dyn Fn(&Unit) -> Result<BTreeSet<PathBuf>, String>,
) -> Result<(), String> {
    match check {
        LocalCheck::DepInfo(_) => inputs.paths.extend(sources(unit)?),
        LocalCheck::RerunIfChanged { paths, .. } => {
            let package = package.ok_or("its package is unknown")?;
            let absolute = paths
                .iter()
                .map(|path| normalize_path(&package.directory.join(path)));
            inputs.paths.extend(absolute);
        }
        // Cargo decides by contents itself.
        LocalCheck::RerunIfEnvChanged | LocalCheck::Checksums => {}
        LocalCheck::Precalculated(text) => {
            if let Some((newest, _)) = newest_file(text) {
                inputs.newest = Some(newest);
            }
        }
        LocalCheck::Unknown => return Err("cargo's record of it has an unknown form".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, fingerprint: u64, dependencies: &[u64], local: LocalCheck) -> Unit {
        Unit {
            package: name.rsplit('-').next().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            fingerprint: Some(fingerprint),
            dependencies: dependencies.to_vec(),
            local: vec![local],
            record_dir: format!(".fingerprint/{fingerprint}").into(),
            ..Unit::default()
        }
    }

    fn registry(unit: Unit) -> Unit {
        Unit {
            origin: UnitOrigin::Registry("dep-1.0.0".to_owned()),
            ..unit
        }
    }

    #[test]
    fn local_packages_and_what_depends_on_them_are_own_units() {
        let dep_info = || LocalCheck::DepInfo("dep".into());
        let newest = "1732937000.123456789s (src/lib.rs)";
        let units = vec![
            unit("lib-app", 1, &[], dep_info()),
            unit("lib-unknown", 2, &[], LocalCheck::Unknown),
            unit(
                "doc-lib-app",
                3,
                &[],
                LocalCheck::Precalculated(newest.to_owned()),
            ),
            registry(unit("lib-patched", 4, &[1], dep_info())),
            registry(unit("lib-dep", 5, &[], dep_info())),
            registry(unit("lib-newer", 6, &[], LocalCheck::Unknown)),
            unit("lib-content", 7, &[], LocalCheck::Checksums),
            unit(
                "doc-lib-dep",
                8,
                &[],
                LocalCheck::Precalculated("1.0.0".to_owned()),
            ),
        ];
        let target = TargetDir {
            profiles: vec![Profile {
                directory: "/t/debug".into(),
                units,
                ..Profile::default()
            }],
        };
        let own = own_units(&target, &[], &|_| None);
        let found: Vec<(&str, bool)> = own
            .iter()
            .map(|unit| (unit.units[0].name.as_str(), unit.is_downloaded))
            .collect();
        assert_eq!(
            found,
            [
                ("lib-app", false),
                ("lib-unknown", false),
                ("doc-lib-app", false),
                ("lib-patched", true),
            ]
        );
    }

    #[test]
    fn the_newest_file_of_a_package_is_told_from_a_version() {
        let time = Timestamp {
            seconds: 17,
            nanoseconds: 5,
        };
        let (found, path) = newest_file("17.000000005s (my dir/lib.rs)").unwrap();
        assert_eq!((found, path), (time, Path::new("my dir/lib.rs")));
        for text in ["1.0.0", "17.5s (x)", "17.000000005s", "abc", ""] {
            assert_eq!(newest_file(text), None, "{text}");
        }
    }
}
