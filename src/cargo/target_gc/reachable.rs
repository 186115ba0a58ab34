//! The units that a build can still use.

use std::collections::HashMap;

use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::read_target::{TargetDir, Unit, UnitOrigin};
use crate::fs::Timestamp;

/// How long a unit is kept beside a newer sibling, in seconds.
const KEPT_BESIDE_NEWER: i64 = 14 * 86_400;

/// For each unit of each profile, whether a build can use it.
pub(crate) fn reachable_units(
    target: &TargetDir,
    needed: Option<&LockedPackages>,
    is_source: &dyn Fn(&std::path::Path) -> bool,
    now: Timestamp,
) -> Vec<Vec<bool>> {
    let needed = needed.filter(|_| !builds_std(target));
    let newest = newest(target);
    let by_itself = |profile: usize, unit: &Unit| {
        let is_made_from_what_is_there = match &unit.origin {
            UnitOrigin::Registry(package) => {
                needed.is_none_or(|needed| needed.has_version(package))
            }
            UnitOrigin::Git(repository, commit) => {
                needed.is_none_or(|needed| needed.has_checkout(repository, commit))
            }
            UnitOrigin::Workspace(source) => is_source(source),
            UnitOrigin::Elsewhere => true,
        };
        let is_old = unit.built.seconds < now.seconds.saturating_sub(KEPT_BESIDE_NEWER);
        let is_superseded = || newest[&identity(profile, unit)] > unit.built;
        unit.fingerprint.is_some() && is_made_from_what_is_there && !(is_old && is_superseded())
    };
    let profiles = target.profiles.iter().enumerate();
    let mut alive: Vec<Vec<bool>> = profiles
        .map(|(number, profile)| {
            profile
                .units
                .iter()
                .map(|unit| by_itself(number, unit))
                .collect()
        })
        .collect();
    mark_dependencies(target, &mut alive);
    alive
}

/// A unit is useless without the units that it was built with: cargo would find another fingerprint
/// or a newer file.
fn mark_dependencies(target: &TargetDir, alive: &mut [Vec<bool>]) {
    let mut users: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    let mut found: HashMap<u64, usize> = HashMap::new();
    let units = target
        .profiles
        .iter()
        .enumerate()
        .flat_map(|(profile, found)| {
            found
                .units
                .iter()
                .enumerate()
                .map(move |(unit, described)| ((profile, unit), described))
        });
    let mut gone = Vec::new();
    for (at, unit) in units {
        if let Some(fingerprint) = unit.fingerprint.filter(|_| alive[at.0][at.1]) {
            *found.entry(fingerprint).or_default() += 1;
        }
        unit.needs
            .iter()
            .for_each(|need| users.entry(*need).or_default().push(at));
    }
    gone.extend(
        users
            .keys()
            .filter(|need| !found.contains_key(need))
            .copied(),
    );
    while let Some(need) = gone.pop() {
        for (profile, unit) in users.remove(&need).unwrap_or_default() {
            if !std::mem::replace(&mut alive[profile][unit], false) {
                continue;
            }
            let Some(fingerprint) = target.profiles[profile].units[unit].fingerprint else {
                continue;
            };
            let left = found.entry(fingerprint).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                gone.push(fingerprint);
            }
        }
    }
}

/// Units with the same profile, package and name usually replace each other.
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
            let of = newest.entry(identity(number, unit)).or_insert(unit.built);
            *of = (*of).max(unit.built);
        }
    }
    newest
}

/// Whether the standard library is built here. Its dependencies are in a lock file of its own.
fn builds_std(target: &TargetDir) -> bool {
    target
        .profiles
        .iter()
        .flat_map(|profile| &profile.units)
        .any(|unit| unit.name == "lib-std")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::project::lockfile::Lockfile;
    use crate::cargo::target_gc::read_target::Profile;

    const NOW: Timestamp = Timestamp {
        seconds: 100 * 86_400,
        nanoseconds: 0,
    };

    /// A unit of a package, built some days ago; its fingerprint is its number.
    fn unit(package: &str, number: u64, needs: &[u64], days: i64) -> Unit {
        Unit {
            package: package.to_owned(),
            hash: format!("{number:016x}"),
            name: format!("lib-{package}"),
            fingerprint: Some(number),
            needs: needs.to_vec(),
            origin: UnitOrigin::Elsewhere,
            built: Timestamp {
                seconds: NOW.seconds - days * 86_400,
                nanoseconds: 0,
            },
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
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = 'registry+https://x'\n"
        );
        LockedPackages::of(&[Lockfile::parse(lock.as_bytes()).unwrap()])
    }

    /// The numbers of the units that are of use.
    fn kept(profiles: &[&[Unit]], needed: Option<&LockedPackages>) -> Vec<u64> {
        let profiles = profiles.iter().map(|units| Profile {
            units: units.to_vec(),
            ..Profile::default()
        });
        let target = TargetDir {
            profiles: profiles.collect(),
        };
        let alive = reachable_units(
            &target,
            needed,
            &|path| path != std::path::Path::new("gone.rs"),
            NOW,
        );
        let units = target
            .profiles
            .iter()
            .zip(&alive)
            .flat_map(|(profile, alive)| profile.units.iter().zip(alive));
        units
            .filter(|(_, alive)| **alive)
            .filter_map(|(unit, _)| unit.fingerprint)
            .collect()
    }

    #[test]
    fn what_stands_on_a_version_that_is_gone_goes_with_it_also_in_another_profile() {
        let host = [
            registry("dep-1.0.0", unit("dep", 1, &[], 1)),
            registry("dep-1.0.1", unit("dep", 2, &[], 0)),
        ];
        let here = [
            unit("a", 3, &[1], 1),
            unit("b", 4, &[3], 1),
            unit("a", 5, &[2], 0),
            unit("c", 6, &[], 1),
        ];
        let all = [&host[..], &here[..]];
        assert_eq!(kept(&all, Some(&needed("dep", "1.0.1"))), [2, 5, 6]);
        assert_eq!(kept(&all, None), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_unit_whose_build_failed_or_whose_needs_are_missing_is_of_no_use() {
        let failed = Unit {
            fingerprint: None,
            ..unit("a", 1, &[], 0)
        };
        assert_eq!(
            kept(
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
    fn one_of_two_units_alike_goes_only_when_it_is_old_and_the_other_is_newer() {
        assert_eq!(
            kept(&[&[unit("a", 1, &[], 15), unit("a", 2, &[], 13)]], None),
            [2]
        );
        assert_eq!(
            kept(&[&[unit("a", 1, &[], 13), unit("a", 2, &[], 0)]], None),
            [1, 2]
        );
        assert_eq!(
            kept(&[&[unit("a", 1, &[], 99), unit("b", 2, &[], 0)]], None),
            [1, 2]
        );
        assert_eq!(
            kept(&[&[unit("a", 1, &[], 99)], &[unit("a", 2, &[], 0)]], None),
            [1, 2],
            "other profiles"
        );
    }

    #[test]
    fn a_unit_goes_with_its_source() {
        let made_from = |source: &str, unit: Unit| Unit {
            origin: UnitOrigin::Workspace(source.into()),
            ..unit
        };
        let units = [
            made_from("gone.rs", unit("a", 1, &[], 0)),
            made_from("there.rs", unit("b", 2, &[], 0)),
        ];
        assert_eq!(kept(&[&units], None), [2]);
    }

    #[test]
    fn dependencies_of_the_standard_library_are_in_no_lock_file() {
        let std = Unit {
            name: "lib-std".into(),
            ..unit("std", 1, &[2], 0)
        };
        let units = [
            std,
            registry("hashbrown-0.15.0", unit("hashbrown", 2, &[], 0)),
        ];
        assert_eq!(kept(&[&units], Some(&needed("dep", "1.0.0"))), [1, 2]);
    }

    #[test]
    fn needs_in_a_circle_end() {
        assert_eq!(
            kept(&[&[unit("a", 1, &[2], 0), unit("b", 2, &[1], 0)]], None),
            [1, 2]
        );
    }
}
