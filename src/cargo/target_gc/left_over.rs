//! What a restore brought back although the checkout no longer has it.
//!
//! A save excludes what its own checkout does not have. The next job may have removed or renamed a
//! program, and a job without a cache would not have it.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::cargo::target_dir::{Profile, Unit};
use crate::cargo::target_gc::docs::{DocDir, doc_records, documented_crate};
use crate::cargo::target_gc::incremental::crate_of_directory;
use crate::cargo::target_gc::listing::TargetListing;
use crate::cargo::target_gc::own_targets::crate_of;
use crate::cargo::target_gc::reachable::BuildFacts;

/// The outputs and records of units whose target is gone, and documentation with a crate that is.
pub(super) fn left_over(listing: &TargetListing, facts: BuildFacts<'_>) -> Vec<PathBuf> {
    let target = &listing.target;
    let facts = facts.for_target(target);
    let mut paths = Vec::new();
    for profile in &target.profiles {
        paths.extend(outputs_of_removed(profile, facts));
    }
    for doc in &listing.docs {
        if !may_be_current(doc, listing, facts) {
            paths.push(doc.directory.clone());
            paths.extend(doc_records(doc, target));
        }
    }
    paths
}

fn outputs_of_removed(profile: &Profile, facts: BuildFacts<'_>) -> Vec<PathBuf> {
    let (present, removed): (Vec<&Unit>, Vec<&Unit>) = profile
        .units
        .iter()
        .partition(|unit| facts.has_target(unit));
    let hashes = |units: &[&Unit]| -> HashSet<String> {
        units.iter().map(|unit| unit.hash.clone()).collect()
    };
    let crates = |units: &[&Unit]| -> HashSet<String> {
        units.iter().filter_map(|unit| unit.crate_name()).collect()
    };
    let removed_hashes = &hashes(&removed) - &hashes(&present);
    let removed_crates = &crates(&removed) - &crates(&present);
    let outputs = profile.outputs.iter();
    let outputs = outputs.filter(|(_, hash)| removed_hashes.contains(hash));
    let outputs = outputs.map(|(path, _)| profile.directory.join(path));
    let incremental = profile.incremental.iter().filter(|incremental| {
        crate_of_directory(incremental).is_some_and(|name| removed_crates.contains(name))
    });
    let directory = profile.directory.join("incremental");
    let incremental = incremental.map(|incremental| directory.join(&incremental.name));
    let records = removed
        .into_iter()
        .flat_map(|unit| profile.record_files(unit));
    outputs.chain(incremental).chain(records).collect()
}

/// Whether each crate is a target, the crate of a package in a lock file, or was documented by a
/// unit that is present. If packages or targets are not known, nothing counts as removed.
fn may_be_current(doc: &DocDir, listing: &TargetListing, facts: BuildFacts<'_>) -> bool {
    let (Some(needed), Some(own)) = (facts.needed, facts.own_targets) else {
        return true;
    };
    let mut known: HashSet<String> = own.documented().map(str::to_owned).collect();
    known.extend(needed.all_names().map(crate_of));
    let units = listing
        .target
        .profiles
        .iter()
        .flat_map(|profile| &profile.units);
    let present = units.filter(|unit| facts.has_target(unit));
    known.extend(present.filter_map(documented_crate));
    doc.crates.iter().all(|name| known.contains(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cargo::project::lockfile::Lockfile;
    use crate::cargo::project::manifest::CargoManifest;
    use crate::cargo::target_dir::{Incremental, TargetDir};
    use crate::cargo::target_gc::locked_packages::LockedPackages;
    use crate::cargo::target_gc::own_targets::OwnTargets;
    use crate::fs::Timestamp;

    fn unit(name: &str, hash: &str) -> Unit {
        Unit {
            package: "app".into(),
            hash: hash.into(),
            name: name.into(),
            fingerprint: Some(1),
            record_dir: Path::new(".fingerprint").join(hash),
            ..Unit::default()
        }
    }

    fn profile() -> Profile {
        let outputs = [
            ("deps/app-1", "1"),
            ("deps/old-2", "2"),
            (".fingerprint/2", "2"),
        ];
        Profile {
            directory: "/t/debug".into(),
            units: vec![
                unit("bin-app", "1"),
                unit("bin-old", "2"),
                unit("doc-bin-app", "3"),
                unit("doc-bin-old", "3"),
            ],
            outputs: outputs
                .map(|(path, hash)| (path.into(), hash.to_owned()))
                .into(),
            record_dirs: Vec::new(),
            incremental: ["app-x", "old-x"]
                .map(|name| Incremental {
                    name: name.into(),
                    modified: Timestamp::default(),
                    sessions: Vec::new(),
                })
                .into(),
        }
    }

    fn found(crates: &[&str]) -> Vec<String> {
        let listing = TargetListing {
            roots: vec!["/t".into()],
            target: TargetDir {
                profiles: vec![profile()],
            },
            docs: vec![DocDir {
                directory: "/t/doc".into(),
                profiles: vec!["/t/debug".into()],
                crates: crates.iter().map(|name| (*name).to_owned()).collect(),
            }],
        };
        let manifest = b"[package]\nname = 'app'\n[[bin]]\nname = 'app'\n";
        let mut own_targets = OwnTargets::default();
        own_targets.add(&CargoManifest::parse(manifest).unwrap(), &|_| Vec::new());
        let lock = b"[[package]]\nname = 'app'\nversion = '1.0.0'\n\
            [[package]]\nname = 'a-dep'\nversion = '1.0.0'\nsource = 'registry+https://x'\n";
        let facts = BuildFacts {
            needed: Some(&LockedPackages::of(&[Lockfile::parse(lock).unwrap()])),
            own_targets: Some(&own_targets),
            is_source: &|_| true,
            mtime: &|_| None,
            now: Timestamp::default(),
        };
        let paths = left_over(&listing, facts).into_iter();
        paths.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn outputs_and_records_of_a_removed_program_are_left_over() {
        assert_eq!(
            found(&["app", "a_dep"]),
            [
                "/t/debug/deps/old-2",
                "/t/debug/.fingerprint/2",
                "/t/debug/incremental/old-x",
                "/t/debug/.fingerprint/2/bin-old",
                "/t/debug/.fingerprint/2/bin-old.json",
                "/t/debug/.fingerprint/2/dep-bin-old",
                "/t/debug/.fingerprint/3/doc-bin-old",
                "/t/debug/.fingerprint/3/doc-bin-old.json",
                "/t/debug/.fingerprint/3/dep-doc-bin-old",
            ]
        );
    }

    #[test]
    fn documentation_with_a_removed_program_is_left_over() {
        let found = found(&["app", "old"]);
        assert!(found.contains(&"/t/doc".to_owned()));
        assert!(found.contains(&"/t/debug/.fingerprint/3/doc-bin-app".to_owned()));
    }
}
