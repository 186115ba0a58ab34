//! The units that a build can still use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cargo::target_dir::{Profile, TargetDir, Unit, UnitOrigin};
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::own_targets::OwnTargets;
use crate::fs::Timestamp;

/// A unit with a newer sibling is kept for this many seconds after it was built.
const SUPERSEDED_RETENTION: i64 = 14 * 86_400;

/// What is known of the workspaces that build into a target directory.
#[derive(Clone, Copy)]
pub(crate) struct BuildFacts<'a> {
    /// Without it, no package counts as removed.
    pub needed: Option<&'a LockedPackages>,
    /// Without it, no target counts as removed.
    pub own_targets: Option<&'a OwnTargets>,
    /// Whether a path, relative to the root of any workspace, is an existing file.
    pub is_source: &'a dyn Fn(&Path) -> bool,
    /// The modification time of a file of the target directory.
    pub mtime: &'a dyn Fn(&Path) -> Option<Timestamp>,
    pub now: Timestamp,
}

impl BuildFacts<'_> {
    /// The same without a list of packages where the standard library is built (`-Z build-std`):
    /// it has a lock file of its own.
    pub(crate) fn for_target(self, target: &TargetDir) -> Self {
        let mut units = target.profiles.iter().flat_map(|profile| &profile.units);
        let builds_std = units.any(|unit| unit.name == "lib-std");
        Self {
            needed: self.needed.filter(|_| !builds_std),
            ..self
        }
    }

    /// Whether the package, the target and the source of a unit are still part of the project.
    pub(crate) fn has_target(&self, unit: &Unit) -> bool {
        let package = &unit.package;
        let is_needed = self.needed.is_none_or(|needed| needed.has_package(package));
        is_needed
            && match &unit.origin {
                UnitOrigin::Registry(package) => {
                    self.needed.is_none_or(|needed| needed.has_version(package))
                }
                UnitOrigin::Git(repository, commit) => self
                    .needed
                    .is_none_or(|needed| needed.has_checkout(repository, commit)),
                UnitOrigin::Workspace(source) => (self.is_source)(source) && self.allow(unit),
                UnitOrigin::Elsewhere => self.allow(unit),
            }
    }

    /// Whether a manifest with a path has the target, or the unit is of another package.
    fn allow(&self, unit: &Unit) -> bool {
        let is_only_own = self
            .needed
            .is_none_or(|needed| !needed.has_name(&unit.package.to_lowercase()));
        let own = self.own_targets.filter(|_| is_only_own);
        own.is_none_or(|own| own.allow(&unit.package, &unit.name))
    }
}

/// For each unit of each profile, whether a build can use it.
pub(crate) fn reachable_units(target: &TargetDir, facts: BuildFacts<'_>) -> Vec<Vec<bool>> {
    let facts = facts.for_target(target);
    let newest = newest(target);
    let is_usable = |number: usize, profile: &Profile, unit: &Unit| {
        let is_old = unit.built.seconds < facts.now.seconds.saturating_sub(SUPERSEDED_RETENTION);
        let is_superseded = || newest[&identity(number, unit)] > unit.built;
        unit.fingerprint.is_some()
            && facts.has_target(unit)
            && has_own_outputs(unit)
            && !(is_old && is_superseded())
            && changed_output(profile, unit, facts.mtime).is_none()
    };
    let mut reachable = Vec::with_capacity(target.profiles.len());
    for (number, profile) in target.profiles.iter().enumerate() {
        let units = profile.units.iter();
        reachable.push(units.map(|unit| is_usable(number, profile, unit)).collect());
    }
    unmark_dependents(target, &mut reachable);
    reachable
}

/// Whether the outputs of a unit exist and no other unit wrote them (see `target_dir::hashless`).
/// Cargo would find files of another unit and take them for those of this one.
fn has_own_outputs(unit: &Unit) -> bool {
    !unit.compiles() || !unit.artifacts.is_empty()
}

/// An output that was changed in place after the build, for example stripped, packed or signed.
/// Cargo does not notice it. Outputs are hard links of the files that cargo puts into the directory
/// of the profile, so both changed. Writing the fingerprint is the last step of a build.
pub(crate) fn changed_output(
    profile: &Profile,
    unit: &Unit,
    mtime: &dyn Fn(&Path) -> Option<Timestamp>,
) -> Option<PathBuf> {
    let files = unit.artifacts.iter().filter(|_| unit.compiles());
    let mut outputs = files
        .filter(|path| !is_product_of_run(path))
        .map(|path| profile.directory.join(path));
    outputs.find(|path| mtime(path).is_some_and(|changed| changed > unit.built))
}

/// Whether a program wrote the file when it ran, beside the compiler's outputs of the same unit.
pub(crate) fn is_product_of_run(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "gcda" || extension == "profraw")
}

/// Unmarks the units with a missing or unreachable dependency, and the units that depend on those:
/// cargo would find another fingerprint or a newer file and build them again.
fn unmark_dependents(target: &TargetDir, reachable: &mut [Vec<bool>]) {
    let mut dependents = dependents(target);
    let mut reachable_counts = count_fingerprints(target, reachable);
    let mut missing: Vec<u64> = dependents
        .keys()
        .filter(|fingerprint| !reachable_counts.contains_key(fingerprint))
        .copied()
        .collect();
    while let Some(fingerprint) = missing.pop() {
        // Each list is taken once, so that cycles end.
        for (profile, unit) in dependents.remove(&fingerprint).unwrap_or_default() {
            if !std::mem::replace(&mut reachable[profile][unit], false) {
                continue;
            }
            let Some(fingerprint) = target.profiles[profile].units[unit].fingerprint else {
                continue;
            };
            // Another unit with the same fingerprint is as good.
            let count = reachable_counts.entry(fingerprint).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                missing.push(fingerprint);
            }
        }
    }
}

/// The units that depend on each fingerprint, as indices of profile and unit.
fn dependents(target: &TargetDir) -> HashMap<u64, Vec<(usize, usize)>> {
    let mut dependents: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    for (profile, Profile { units, .. }) in target.profiles.iter().enumerate() {
        for (unit, Unit { dependencies, .. }) in units.iter().enumerate() {
            for fingerprint in dependencies {
                dependents
                    .entry(*fingerprint)
                    .or_default()
                    .push((profile, unit));
            }
        }
    }
    dependents
}

/// The number of reachable units with each fingerprint.
fn count_fingerprints(target: &TargetDir, reachable: &[Vec<bool>]) -> HashMap<u64, usize> {
    let mut counts = HashMap::new();
    for (profile, is_reachable) in target.profiles.iter().zip(reachable) {
        for (unit, is_reachable) in profile.units.iter().zip(is_reachable) {
            if let Some(fingerprint) = unit.fingerprint.filter(|_| *is_reachable) {
                *counts.entry(fingerprint).or_default() += 1;
            }
        }
    }
    counts
}

/// A newer unit with the same profile, package and name usually replaces an older one.
fn identity(profile: usize, unit: &Unit) -> (usize, &str, &str) {
    (profile, &unit.package, &unit.name)
}

fn newest(target: &TargetDir) -> HashMap<(usize, &str, &str), Timestamp> {
    let mut newest = HashMap::new();
    for (number, profile) in target.profiles.iter().enumerate() {
        for unit in profile
            .units
            .iter()
            .filter(|unit| unit.fingerprint.is_some())
        {
            let built = newest.entry(identity(number, unit)).or_insert(unit.built);
            *built = (*built).max(unit.built);
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::project::lockfile::Lockfile;

    const NOW: Timestamp = Timestamp {
        seconds: 100 * 86_400,
        nanoseconds: 0,
    };

    /// A unit of a package, built some days ago; its fingerprint is its number.
    fn unit(package: &str, number: u64, dependencies: &[u64], days: i64) -> Unit {
        Unit {
            package: package.to_owned(),
            hash: format!("{number:016x}"),
            name: format!("lib-{package}"),
            fingerprint: Some(number),
            dependencies: dependencies.to_vec(),
            built: Timestamp {
                seconds: NOW.seconds - days * 86_400,
                nanoseconds: 0,
            },
            artifacts: vec!["deps/output".into()],
            ..Unit::default()
        }
    }

    fn registry(package: &str, unit: Unit) -> Unit {
        Unit {
            origin: UnitOrigin::Registry(package.into()),
            ..unit
        }
    }

    fn needed(name: &str, version: &str) -> LockedPackages {
        let lock = format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = 'registry+https://x'\n\
             [[package]]\nname = 'a'\nversion = '1.0.0'\n[[package]]\nname = 'b'\nversion = '1.0.0'\n\
             [[package]]\nname = 'c'\nversion = '1.0.0'\n"
        );
        LockedPackages::of(&[Lockfile::parse(lock.as_bytes()).unwrap()])
    }

    /// The numbers of the reachable units.
    fn reachable(profiles: &[&[Unit]], needed: Option<&LockedPackages>) -> Vec<u64> {
        let profiles = profiles.iter().map(|units| Profile {
            units: units.to_vec(),
            ..Profile::default()
        });
        let target = TargetDir {
            profiles: profiles.collect(),
        };
        let facts = BuildFacts {
            needed,
            own_targets: None,
            is_source: &|path| path != Path::new("removed.rs"),
            mtime: &|path| {
                // A file is named after the second in which it was changed.
                let seconds = path.file_name()?.to_str()?.parse().ok()?;
                Some(Timestamp {
                    seconds,
                    nanoseconds: 0,
                })
            },
            now: NOW,
        };
        let marks = reachable_units(&target, facts);
        let units = target
            .profiles
            .iter()
            .zip(&marks)
            .flat_map(|(profile, marks)| profile.units.iter().zip(marks));
        units
            .filter(|(_, is_reachable)| **is_reachable)
            .filter_map(|(unit, _)| unit.fingerprint)
            .collect()
    }

    #[test]
    fn a_unit_is_unreachable_if_a_dependency_is_even_in_another_profile() {
        let host = [
            registry("dep-1.0.0", unit("dep", 1, &[], 1)),
            registry("dep-1.0.1", unit("dep", 2, &[], 0)),
        ];
        let target = [
            unit("a", 3, &[1], 1),
            unit("b", 4, &[3], 1),
            unit("a", 5, &[2], 0),
            unit("c", 6, &[], 1),
        ];
        let all = [&host[..], &target[..]];
        assert_eq!(reachable(&all, Some(&needed("dep", "1.0.1"))), [2, 5, 6]);
        assert_eq!(reachable(&all, None), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_unit_that_failed_or_lacks_a_dependency_is_unreachable() {
        let failed = Unit {
            fingerprint: None,
            ..unit("a", 1, &[], 0)
        };
        assert_eq!(
            reachable(
                &[&[
                    failed,
                    unit("b", 2, &[9], 0),
                    unit("c", 3, &[2], 0),
                    unit("d", 4, &[], 0)
                ]],
                None
            ),
            [4]
        );
    }

    #[test]
    fn a_unit_is_superseded_only_if_it_is_old_and_another_is_newer() {
        assert_eq!(
            reachable(&[&[unit("a", 1, &[], 15), unit("a", 2, &[], 13)]], None),
            [2]
        );
        assert_eq!(
            reachable(&[&[unit("a", 1, &[], 13), unit("a", 2, &[], 0)]], None),
            [1, 2]
        );
        assert_eq!(
            reachable(&[&[unit("a", 1, &[], 99), unit("b", 2, &[], 0)]], None),
            [1, 2]
        );
        assert_eq!(
            reachable(&[&[unit("a", 1, &[], 99)], &[unit("a", 2, &[], 0)]], None),
            [1, 2],
            "other profiles"
        );
    }

    #[test]
    fn a_unit_without_its_source_is_unreachable() {
        let built_from = |source: &str, unit: Unit| Unit {
            origin: UnitOrigin::Workspace(source.into()),
            ..unit
        };
        let units = [
            built_from("removed.rs", unit("a", 1, &[], 0)),
            built_from("present.rs", unit("b", 2, &[], 0)),
        ];
        assert_eq!(reachable(&[&units], None), [2]);
    }

    #[test]
    fn a_unit_whose_package_is_in_no_lock_file_is_unreachable() {
        let units = [unit("a", 1, &[], 0), unit("removed", 2, &[], 0)];
        assert_eq!(reachable(&[&units], Some(&needed("dep", "1.0.0"))), [1]);
        assert_eq!(reachable(&[&units], None), [1, 2]);
    }

    #[test]
    fn a_unit_whose_outputs_are_missing_or_changed_later_is_unreachable() {
        let built = NOW.seconds;
        let with = |unit: Unit, artifacts: &[String]| Unit {
            artifacts: artifacts.iter().map(PathBuf::from).collect(),
            ..unit
        };
        let at_end = built.to_string();
        let later = (built + 1).to_string();
        let documentation = Unit {
            name: "doc-lib-a".into(),
            ..unit("a", 5, &[], 0)
        };
        let units = [
            with(unit("a", 1, &[], 0), &[]),
            with(unit("b", 2, &[], 0), std::slice::from_ref(&at_end)),
            with(unit("c", 3, &[], 0), &[at_end, later.clone()]),
            with(unit("d", 4, &[], 0), &[format!("{later}.gcda")]),
            with(documentation, &[later]),
            unit("e", 6, &[3], 0),
        ];
        assert_eq!(reachable(&[&units], None), [2, 4, 5]);
    }

    #[test]
    fn dependencies_of_the_standard_library_are_reachable() {
        let std = Unit {
            name: "lib-std".into(),
            ..unit("std", 1, &[2], 0)
        };
        let units = [
            std,
            registry("hashbrown-0.15.0", unit("hashbrown", 2, &[], 0)),
        ];
        assert_eq!(reachable(&[&units], Some(&needed("dep", "1.0.0"))), [1, 2]);
    }

    #[test]
    fn a_cycle_of_dependencies_ends() {
        assert_eq!(
            reachable(&[&[unit("a", 1, &[2], 0), unit("b", 2, &[1], 0)]], None),
            [1, 2]
        );
    }
}
