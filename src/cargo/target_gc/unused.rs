//! The outputs in a target directory that no build can use, and that are therefore not saved.
//!
//! # Which units are unused
//!
//! A unit is useful as long as cargo can find it fresh. It can't if
//!
//! 1. its package, in that version or commit, is in no lock file;
//! 2. its first source is in no workspace: a test or program was removed or renamed;
//! 3. its build failed;
//! 4. one of its dependencies is missing or unused. Cargo compares their fingerprints, so the unit
//!    is stale. After an upgrade of a dependency, all units that were built with the old version
//!    are removed: with the new version they have other hashes, and the old ones would stay beside
//!    them forever.
//!
//! A unit that cargo finds fresh is not touched, so a unit that differs from another of the same
//! package only in features or flags may be used by every job or by none. It is kept until another
//! was built in its place and it is 14 days old. If it was still in use, it is built once more and
//! is new then. The same holds for outputs of other toolchains: while a job uses two toolchains, it
//! keeps the outputs of both.
//!
//! Files and directories go with the unit whose hash they carry, and also if there is no such unit,
//! because then nothing refers to them. Of incremental data, as many directories of each crate are
//! kept as it has units, the newest ones, and in each the newest finished session, the only one
//! that the compiler uses.
//!
//! Everything that is not understood stays: programs and libraries in the directory of the profile
//! itself, `doc`, `tmp`, target directories below it.
//!
//! If a workspace uses the same target directory without being named, its dependencies are looked
//! up in the lock files of the others, and it rebuilds what is missing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::reachable::reachable_units;
use crate::cargo::target_gc::read_target::{Incremental, Profile, TargetDir, UnitOrigin};
use crate::fs::Timestamp;
use crate::tree::scan::Filter;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusedOutputs {
    paths: HashSet<PathBuf>,
    pub units: usize,
}

impl UnusedOutputs {
    /// Merges the unused outputs of another directory.
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

/// Without `needed`, no package counts as removed. `is_source` says whether a path, relative to the
/// root of any workspace, is an existing file.
pub fn unused_outputs(
    target: &TargetDir,
    needed: Option<&LockedPackages>,
    is_source: &dyn Fn(&Path) -> bool,
    now: Timestamp,
) -> UnusedOutputs {
    let mut left = UnusedOutputs::default();
    for (profile, is_reachable) in target
        .profiles
        .iter()
        .zip(reachable_units(target, needed, is_source, now))
    {
        let used = profile
            .units
            .iter()
            .zip(&is_reachable)
            .filter(|(_, is_reachable)| **is_reachable);
        let used: HashSet<&str> = used.map(|(unit, _)| &*unit.hash).collect();
        left.units += is_reachable
            .iter()
            .filter(|is_reachable| !**is_reachable)
            .count();
        let dead = profile
            .pieces
            .iter()
            .filter(|(_, hash)| !used.contains(hash.as_str()));
        left.paths
            .extend(dead.map(|(piece, _)| profile.directory.join(piece)));
        left.paths.extend(old_sessions(profile, &is_reachable));
    }
    left
}

/// The incremental data that the compiler can't use.
fn old_sessions(profile: &Profile, is_reachable: &[bool]) -> Vec<PathBuf> {
    let mut room: HashMap<String, usize> = HashMap::new();
    for (unit, is_reachable) in profile.units.iter().zip(is_reachable) {
        let is_own = !matches!(unit.origin, UnitOrigin::Registry(_) | UnitOrigin::Git(..));
        // A failed build continues from its last session.
        if is_own && (*is_reachable || unit.fingerprint.is_none()) {
            *room.entry(crate_name(&unit.name)).or_default() += 1;
        }
    }
    let mut by_crate: BTreeMap<&str, Vec<&Incremental>> = BTreeMap::new();
    for incremental in &profile.incremental {
        let Some((name, _)) = incremental.name.rsplit_once('-') else {
            continue;
        };
        by_crate.entry(name).or_default().push(incremental);
    }
    let mut left = Vec::new();
    for (name, mut found) in by_crate {
        found.sort_by_key(|incremental| std::cmp::Reverse(incremental.modified));
        let kept = room.get(name).copied().unwrap_or_default().min(found.len());
        let directory = |incremental: &Incremental| {
            profile
                .directory
                .join("incremental")
                .join(&incremental.name)
        };
        left.extend(
            found[kept..]
                .iter()
                .map(|incremental| directory(incremental)),
        );
        for incremental in &found[..kept] {
            left.extend(
                unused(&incremental.sessions).map(|session| directory(incremental).join(session)),
            );
        }
    }
    left
}

/// All sessions but the newest finished one, with their locks (rustc,
/// `rustc_incremental/src/persist/fs.rs`). Sessions are named `s-TIME-RANDOM-HASH`, or `-working`
/// while they last, and locks `s-TIME-RANDOM.lock`. All times have the same length.
fn unused(sessions: &[String]) -> impl Iterator<Item = &String> {
    let is_finished =
        |name: &&String| name.strip_suffix(".lock").is_none() && !name.ends_with("-working");
    let newest = sessions.iter().filter(is_finished).max();
    let begin = newest
        .and_then(|name| name.rsplit_once('-'))
        .map(|(begin, _)| begin);
    sessions
        .iter()
        .filter(move |name| begin.is_none_or(|begin| !name.starts_with(begin)))
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
            needs: Vec::new(),
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
    fn pieces_go_with_their_unit() {
        let [kept, failed, unknown] = HASHES;
        let pieces = [
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
            pieces: pieces
                .map(|(path, hash)| (path.into(), hash.to_owned()))
                .into(),
            incremental: Vec::new(),
        };
        let left = unused_outputs(
            &TargetDir {
                profiles: vec![profile],
            },
            None,
            &|_| true,
            Timestamp::default(),
        );
        let mut paths: Vec<String> = left
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
        assert_eq!(left.units, 1);
        assert_eq!(
            left.into_filter()(Path::new(&paths[0]), true),
            Filter::Exclude
        );
    }

    #[test]
    fn of_each_crate_as_many_states_are_kept_as_it_has_units_and_of_each_the_newest_session() {
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
        let left: Vec<String> = old_sessions(&profile, &is_reachable)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(
            left,
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
