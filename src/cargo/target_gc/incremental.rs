//! The incremental data that the compiler uses no more.
//!
//! Each crate keeps as many directories as it has units, the newest ones, and in each of them the
//! newest finished session, because the compiler uses no other.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::cargo::target_dir::{Incremental, Profile, UnitOrigin};

/// The incremental data that the compiler can't use.
pub(super) fn unused_incremental(profile: &Profile, is_reachable: &[bool]) -> Vec<PathBuf> {
    let units_by_crate = count_units_by_crate(profile, is_reachable);
    let mut by_crate: BTreeMap<&str, Vec<&Incremental>> = BTreeMap::new();
    for incremental in &profile.incremental {
        if let Some(name) = crate_of_directory(incremental) {
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

/// The crate of a directory of incremental data.
pub(super) fn crate_of_directory(incremental: &Incremental) -> Option<&str> {
    Some(incremental.name.rsplit_once('-')?.0)
}

/// The number of units of each crate that can use incremental data.
fn count_units_by_crate(profile: &Profile, is_reachable: &[bool]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for (unit, is_reachable) in profile.units.iter().zip(is_reachable) {
        let is_own = !matches!(unit.origin, UnitOrigin::Registry(_) | UnitOrigin::Git(..));
        // The next build continues a failed one from its last session.
        if is_own
            && (*is_reachable || unit.fingerprint.is_none())
            && let Some(name) = unit.crate_name()
        {
            *counts.entry(name).or_default() += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::target_dir::Unit;
    use crate::fs::Timestamp;

    const HASHES: [&str; 3] = ["0000000000000001", "0000000000000002", "0000000000000003"];

    fn unit(package: &str, name: &str, hash: &str, fingerprint: Option<u64>) -> Unit {
        Unit {
            package: package.to_owned(),
            hash: hash.to_owned(),
            name: name.to_owned(),
            fingerprint,
            ..Unit::default()
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
