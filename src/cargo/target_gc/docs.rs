//! Whether the documentation in a target directory is that of the project.
//!
//! `doc` has one directory for each crate, and files that name them all, such as the search index.
//! rustdoc adds to these files and removes nothing. So one crate that no longer belongs to the
//! project means that all documentation is made again.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::cargo::target_dir::{Profile, TargetDir, Unit};
use crate::cargo::target_gc::own_targets::{crate_of, target_of};

/// A directory `doc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DocDir {
    pub directory: PathBuf,
    /// The directories of the profiles whose documentation is here: those of one platform.
    pub profiles: Vec<PathBuf>,
    /// The names of directories with an `index.html`.
    pub crates: Vec<String>,
}

/// Whether all crates were documented by units that are used. Each profile has its own list of used
/// units.
pub(super) fn is_doc_current(doc: &DocDir, target: &TargetDir, reachable: &[Vec<bool>]) -> bool {
    let mut documented = HashSet::new();
    for (profile, is_reachable) in target.profiles.iter().zip(reachable) {
        let units = profile.units.iter().zip(is_reachable);
        let used = units.filter(|(_, used)| **used).map(|(unit, _)| unit);
        if doc.profiles.contains(&profile.directory) {
            documented.extend(used.filter_map(documented_crate));
        }
    }
    doc.crates.iter().all(|name| documented.contains(name))
}

/// The crate that a unit documents, by the name of its directory.
pub(super) fn documented_crate(unit: &Unit) -> Option<String> {
    let (_, name) = target_of(&unit.name)
        .split_once('-')
        .filter(|_| unit.is_doc())?;
    Some(crate_of(name))
}

/// The fingerprints of all units whose documentation is in a directory.
pub(super) fn doc_records(doc: &DocDir, target: &TargetDir) -> Vec<PathBuf> {
    let is_documented = |profile: &&Profile| doc.profiles.contains(&profile.directory);
    let profiles = target.profiles.iter().filter(is_documented);
    let records = profiles.flat_map(|profile| {
        let units = profile.units.iter().filter(|unit| unit.is_doc());
        units.flat_map(move |unit| profile.record_files(unit))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> Unit {
        Unit {
            package: "app".into(),
            hash: "1".into(),
            name: name.into(),
            fingerprint: Some(1),
            record_dir: "1".into(),
            ..Unit::default()
        }
    }

    #[test]
    fn documentation_is_current_if_used_units_of_its_platform_made_all_of_it() {
        let profile = |directory: &str| Profile {
            directory: directory.into(),
            units: vec![
                unit("doc-lib-app"),
                unit("doc-bin-my-tool"),
                unit("lib-other"),
            ],
            ..Profile::default()
        };
        let target = TargetDir {
            profiles: vec![profile("/t/debug"), profile("/t/wasm32-wasip1/debug")],
        };
        let all = vec![vec![true; 3]; 2];
        let without_tool = vec![vec![true, false, true], vec![true; 3]];
        for (crates, reachable, expected) in [
            (&["app", "my_tool"][..], &all, true),
            (&["app"], &without_tool, true),
            (&["app", "my_tool"], &without_tool, false),
            (&["app", "other"], &all, false),
            (&[], &without_tool, true),
        ] {
            let doc = DocDir {
                directory: "/t/doc".into(),
                profiles: vec!["/t/debug".into()],
                crates: crates.iter().map(|name| (*name).to_owned()).collect(),
            };
            assert_eq!(
                is_doc_current(&doc, &target, reachable),
                expected,
                "{crates:?}"
            );
            let records = doc_records(&doc, &target);
            assert_eq!(records.len(), 6);
            assert!(records.contains(&"/t/debug/1/doc-bin-my-tool.json".into()));
        }
    }
}
