//! What of a target directory no build can use, and so is not kept.
//!
//! # Which units are left out
//!
//! A unit is of use as long as cargo could find it fresh. It can't when
//!
//! 1. its package, in that version or commit, is in no lock file any more;
//! 2. the source it begins with is not in any workspace any more: a test or program that was
//!    removed or renamed;
//! 3. its build did not end well;
//! 4. one of the units that it was built with is not there or left out itself. cargo compares their
//!    fingerprints, so it is stale already. With a new version of a dependency everything above the
//!    old version goes, too, as each has another hash in its name then and would stay beside the
//!    new one for ever.
//!
//! What cargo finds fresh leaves no trace in the target directory, so a unit that differs from
//! another of the same package only by its features or flags may be used by every job or by none.
//! It is kept until another was built in its place and it is 14 days old. Was it used after all, it
//! is built once more, and is new then. The same holds for other toolchains' leftovers: while a job
//! uses two toolchains it keeps the outputs of both.
//!
//! Files and directories go with the unit whose hash they carry, and where there is none, for then
//! nothing refers to them. Of what the compiler keeps to build crates in part, as many directories
//! are kept of each crate as there are units of it, the newest ones, and in each the newest
//! finished session, the only one the compiler takes.
//!
//! All that is not understood stays: programs and libraries in the directory of the profile itself,
//! `doc`, `tmp`, target directories within it.
//!
//! A workspace that uses the same target directory without being among those named has its
//! dependencies looked for in the others' lock files, and builds again what is not there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::reachable::alive;
use crate::cargo::target_gc::read_target::{Incremental, Profile, TargetDir, UnitOrigin};
use crate::fs::Timestamp;
use crate::tree::scan::Filter;

/// What is left out of a target directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusedOutputs {
    paths: HashSet<PathBuf>,
    /// Units that are left out.
    pub units: usize,
}

impl UnusedOutputs {
    /// Leaves out what another directory has of them, too.
    pub fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.units += other.units;
    }

    /// Leaves them out.
    pub fn into_exclude(self) -> impl Fn(&Path, bool) -> Filter + Send + Sync + 'static {
        move |path, _| {
            if self.paths.contains(path) {
                Filter::Exclude
            } else {
                Filter::Include
            }
        }
    }
}

/// Decides what of a target directory is left out.
///
/// Without `needed` no package counts as gone. `is_source` tells whether there is a file of a path
/// relative to the root of a workspace, any of them.
pub fn leftovers(
    looked: &TargetDir,
    needed: Option<&LockedPackages>,
    is_source: &dyn Fn(&Path) -> bool,
    now: Timestamp,
) -> UnusedOutputs {
    let mut left = UnusedOutputs::default();
    for (profile, alive) in looked
        .profiles
        .iter()
        .zip(alive(looked, needed, is_source, now))
    {
        let used = profile
            .units
            .iter()
            .zip(&alive)
            .filter(|(_, alive)| **alive);
        let used: HashSet<&str> = used.map(|(unit, _)| &*unit.hash).collect();
        left.units += alive.iter().filter(|alive| !**alive).count();
        let dead = profile
            .pieces
            .iter()
            .filter(|(_, hash)| !used.contains(hash.as_str()));
        left.paths
            .extend(dead.map(|(piece, _)| profile.directory.join(piece)));
        left.paths.extend(old_sessions(profile, &alive));
    }
    left
}

/// What the compiler has no use for of what it keeps to build crates in part.
fn old_sessions(profile: &Profile, alive: &[bool]) -> Vec<PathBuf> {
    let mut room: HashMap<String, usize> = HashMap::new();
    for (unit, alive) in profile.units.iter().zip(alive) {
        let is_own = !matches!(unit.origin, UnitOrigin::Registry(_) | UnitOrigin::Git(..));
        // One whose build failed goes on from where it was.
        if is_own && (*alive || unit.fingerprint.is_none()) {
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
/// `rustc_incremental/src/persist/fs.rs`): sessions are named `s-TIME-RANDOM-HASH`, or `-working`
/// while they last, locks `s-TIME-RANDOM.lock`. Times are as long as each other.
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

/// The name of the crate of a unit: `test-integration-test-my-test` is `my_test`.
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
        let left = leftovers(
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
            left.into_exclude()(Path::new(&paths[0]), true),
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
        let alive = [true, false, true];
        let left: Vec<String> = old_sessions(&profile, &alive)
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
