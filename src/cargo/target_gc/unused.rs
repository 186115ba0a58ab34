//! The outputs in a target directory that no build can use. They are not saved.
//!
//! # Which units are unused
//!
//! A unit is used as long as cargo can find it fresh. It can't if
//!
//! 1. its package, in that version or commit, is in no lock file;
//! 2. its first source is in no workspace: a test or program was removed or renamed;
//! 3. its build failed;
//! 4. one of its dependencies is missing or unused. Cargo compares their fingerprints, so the unit
//!    is stale. After an upgrade of a dependency, all units that were built with the old version
//!    are unused: the units for the new version have other hashes, so the old ones would never be
//!    replaced.
//!
//! Cargo does not touch a unit that it finds fresh, so nothing shows whether a unit that differs
//! from another of the same package only in features or flags is still used. It is kept until a
//! newer one exists and it is 14 days old. If it was still used, it is built once more and is new
//! again. The same holds for outputs of other toolchains: a job with two toolchains keeps the
//! outputs of both.
//!
//! Files and directories have the hash of their unit in their names. They are unused if the unit is
//! unused or does not exist. Of incremental data, each crate keeps as many directories as it has
//! units, the newest ones, and in each of them the newest finished session, because the compiler
//! uses no other.
//!
//! Everything else is kept: programs and libraries in the directory of the profile itself, `doc`,
//! `tmp`, target directories below it.
//!
//! If a workspace that is not configured uses the same target directory, its dependencies are
//! missing in the lock files, so they are not saved and it rebuilds them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::reachable::reachable_units;
use crate::cargo::target_gc::read_target::{Incremental, Profile, TargetDir, UnitOrigin};
use crate::fs::Timestamp;
use crate::glob::Filter;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusedOutputs {
    paths: HashSet<PathBuf>,
    pub units: usize,
}

impl UnusedOutputs {
    /// Adds the unused outputs of another directory.
    pub fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.units += other.units;
    }

    /// A filter that excludes them.
    pub fn into_filter(self) -> impl Fn(&Path, bool) -> Filter + Send + Sync + 'static {
        move |path, _| {
            if self.paths.contains(path) {
                Filter::Exclude
            } else {
                Filter::Include
            }
        }
    }
}

/// Without `needed`, no package counts as removed. `is_source` returns whether a path, relative to
/// the root of any workspace, is an existing file.
pub(crate) fn unused_outputs(
    target: &TargetDir,
    needed: Option<&LockedPackages>,
    is_source: &dyn Fn(&Path) -> bool,
    now: Timestamp,
) -> UnusedOutputs {
    let mut unused = UnusedOutputs::default();
    let reachable = reachable_units(target, needed, is_source, now);
    for (profile, is_reachable) in target.profiles.iter().zip(reachable) {
        let used: HashSet<&str> = profile
            .units
            .iter()
            .zip(&is_reachable)
            .filter(|(_, is_reachable)| **is_reachable)
            .map(|(unit, _)| &*unit.hash)
            .collect();
        unused.units += is_reachable
            .iter()
            .filter(|is_reachable| !**is_reachable)
            .count();
        let outputs = profile
            .outputs
            .iter()
            .filter(|(_, hash)| !used.contains(hash.as_str()));
        unused
            .paths
            .extend(outputs.map(|(path, _)| profile.directory.join(path)));
        unused
            .paths
            .extend(unused_incremental(profile, &is_reachable));
    }
    unused
}

/// The incremental data that the compiler can't use.
fn unused_incremental(profile: &Profile, is_reachable: &[bool]) -> Vec<PathBuf> {
    let units_by_crate = count_units_by_crate(profile, is_reachable);
    let mut by_crate: BTreeMap<&str, Vec<&Incremental>> = BTreeMap::new();
    for incremental in &profile.incremental {
        if let Some((name, _)) = incremental.name.rsplit_once('-') {
            by_crate.entry(name).or_default().push(incremental);
        }
    }
    let mut unused = Vec::new();
    for (name, mut directories) in by_crate {
        directories.sort_by_key(|incremental| std::cmp::Reverse(incremental.modified));
        let unit_count = units_by_crate.get(name).copied().unwrap_or_default();
        for (index, incremental) in directories.into_iter().enumerate() {
            let incremental_dir = profile.directory.join("incremental");
            let directory = incremental_dir.join(&incremental.name);
            if index < unit_count {
                let sessions = unused_sessions(&incremental.sessions);
                unused.extend(sessions.map(|session| directory.join(session)));
            } else {
                unused.push(directory);
            }
        }
    }
    unused
}

/// The number of units of each crate that can use incremental data.
fn count_units_by_crate(profile: &Profile, is_reachable: &[bool]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for (unit, is_reachable) in profile.units.iter().zip(is_reachable) {
        let is_own = !matches!(unit.origin, UnitOrigin::Registry(_) | UnitOrigin::Git(..));
        // The next build continues a failed one from its last session.
        if is_own && (*is_reachable || unit.fingerprint.is_none()) {
            *counts.entry(crate_name(&unit.name)).or_default() += 1;
        }
    }
    counts
}

/// All sessions except the newest finished one, and their locks (rustc,
/// `rustc_incremental/src/persist/fs.rs`). A session is named `s-TIME-RANDOM-HASH`, or
/// `s-TIME-RANDOM-working` during the build, and its lock `s-TIME-RANDOM.lock`. All times have the
/// same length, so names sort by time.
fn unused_sessions(sessions: &[String]) -> impl Iterator<Item = &String> {
    let is_finished =
        |name: &&String| name.strip_suffix(".lock").is_none() && !name.ends_with("-working");
    let newest = sessions.iter().filter(is_finished).max();
    let prefix = newest
        .and_then(|name| name.rsplit_once('-'))
        .map(|(prefix, _)| prefix);
    sessions
        .iter()
        .filter(move |name| prefix.is_none_or(|prefix| !name.starts_with(prefix)))
}

/// `test-integration-test-my-test` gives `my_test`.
fn crate_name(unit: &str) -> String {
    let name = unit.strip_prefix("test-").unwrap_or(unit);
    let kinds = [
        "lib-",
        "bin-",
        "integration-test-",
        "example-",
        "benchmark-",
        "bench-",
        "build-script-",
    ];
    let name = kinds
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .unwrap_or(name);
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::target_gc::read_target::Unit;

    const HASHES: [&str; 3] = ["0000000000000001", "0000000000000002", "0000000000000003"];

    fn unit(package: &str, name: &str, hash: &str, fingerprint: Option<u64>) -> Unit {
        Unit {
            package: package.to_owned(),
            hash: hash.to_owned(),
            name: name.to_owned(),
            fingerprint,
            dependencies: Vec::new(),
            origin: UnitOrigin::Elsewhere,
            built: Timestamp::default(),
        }
    }

    fn incremental(name: &str, seconds: i64, sessions: &[&str]) -> Incremental {
        Incremental {
            name: name.to_owned(),
            modified: Timestamp {
                seconds,
                nanoseconds: 0,
            },
            sessions: sessions.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn outputs_of_unused_units_are_unused() {
        let [kept, failed, unknown] = HASHES;
        let outputs = [
            ("deps/libapp.rlib", kept),
            ("deps/app.d", failed),
            ("build/app/1", kept),
            ("build/app/2", failed),
            ("examples/try", unknown),
        ];
        let profile = Profile {
            directory: "/t/debug".into(),
            units: vec![
                unit("app", "lib-app", kept, Some(1)),
                unit("app", "bin-app", failed, None),
            ],
            outputs: outputs
                .map(|(path, hash)| (path.into(), hash.to_owned()))
                .into(),
            incremental: Vec::new(),
        };
        let unused = unused_outputs(
            &TargetDir {
                profiles: vec![profile],
            },
            None,
            &|_| true,
            Timestamp::default(),
        );
        let mut paths: Vec<String> = unused
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "/t/debug/build/app/2",
                "/t/debug/deps/app.d",
                "/t/debug/examples/try"
            ]
        );
        assert_eq!(unused.units, 1);
        assert_eq!(
            unused.into_filter()(Path::new(&paths[0]), true),
            Filter::Exclude
        );
    }

    #[test]
    fn each_crate_keeps_one_incremental_directory_per_unit_with_the_newest_session() {
        let sessions = [
            "s-a1-x.lock",
            "s-a1-x-h",
            "s-a2-y.lock",
            "s-a2-y-h",
            "s-a3-z.lock",
            "s-a3-z-working",
        ];
        let profile = Profile {
            units: vec![
                unit("my-app", "lib-my-app", HASHES[0], Some(1)),
                unit("my-app", "test-lib-my-app", HASHES[1], None),
                unit("my-app", "test-integration-test-outer", HASHES[2], Some(3)),
            ],
            incremental: vec![
                incremental("my_app-aaa", 1, &[]),
                incremental("my_app-bbb", 3, &[]),
                incremental("my_app-ccc", 2, &[]),
                incremental("outer-ddd", 1, &sessions),
                incremental("removed-eee", 9, &[]),
            ],
            ..Profile::default()
        };
        let is_reachable = [true, false, true];
        let unused: Vec<String> = unused_incremental(&profile, &is_reachable)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(
            unused,
            [
                "incremental/my_app-aaa",
                "incremental/outer-ddd/s-a1-x.lock",
                "incremental/outer-ddd/s-a1-x-h",
                "incremental/outer-ddd/s-a3-z.lock",
                "incremental/outer-ddd/s-a3-z-working",
                "incremental/removed-eee",
            ]
        );
    }
}
