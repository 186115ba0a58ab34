//! Outputs whose names have no hash.
//!
//! Cargo (`compilation_files.rs`, `use_extra_filename`) gives no hash to what other programs load
//! by name: the library of a package with a path if `cdylib` or `dylib` is one of its crate types,
//! with all its other files (`plain.d`, `libplain.rlib`), and programs for WebAssembly. Units of
//! the same crate with other features or flags overwrite each other's files, but each keeps its
//! fingerprint. So the files belong to the unit that was built last, and the other units have none.
//! In the layout by units, each unit has a directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Profile, Unit};

/// Extensions of files that are named `lib<crate>`.
const LIBRARY_EXTENSIONS: [&str; 8] = [
    "a",
    "dll.a",
    "dylib",
    "rlib",
    "rmeta",
    "so",
    "so.dwp",
    "dylib.dSYM",
];

/// The names without a hash in a directory, by the crates that they are named after.
pub(super) fn by_crate(
    directory: &Path,
    names: impl Iterator<Item = String>,
) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for name in names {
        let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
        let stem = if LIBRARY_EXTENSIONS.contains(&extension) {
            stem.strip_prefix("lib").unwrap_or(stem)
        } else {
            stem
        };
        let path = directory.join(&name);
        found.entry(stem.to_owned()).or_default().push(path);
    }
    found
}

/// The unit that was built last of those that can have the files without a hash of a crate. `None`
/// if there is none, or if two were built at the same time.
pub(super) fn owner(profile: &Profile, kinds: &[&str], crate_name: &str) -> Option<usize> {
    let candidates = profile.units.iter().enumerate().filter(|(_, unit)| {
        unit.compiles() && unit.artifacts.is_empty() && is_named(unit, kinds, crate_name)
    });
    let mut newest: Option<(usize, &Unit)> = None;
    let mut is_alone = false;
    for (number, unit) in candidates {
        match newest {
            Some((_, other)) if other.built > unit.built => {}
            Some((_, other)) if other.built == unit.built => is_alone = false,
            _ => (newest, is_alone) = (Some((number, unit)), true),
        }
    }
    newest.filter(|_| is_alone).map(|(number, _)| number)
}

fn is_named(unit: &Unit, kinds: &[&str], crate_name: &str) -> bool {
    let mut names = kinds.iter().filter_map(|kind| unit.name.strip_prefix(kind));
    names.any(|name| name.replace('-', "_") == crate_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Timestamp;

    fn unit(name: &str, seconds: i64, artifacts: &[&str]) -> Unit {
        Unit {
            package: "plain".into(),
            name: name.into(),
            fingerprint: Some(1),
            built: Timestamp {
                seconds,
                nanoseconds: 0,
            },
            artifacts: artifacts.iter().map(PathBuf::from).collect(),
            ..Unit::default()
        }
    }

    fn owner_among(units: Vec<Unit>) -> Option<usize> {
        let profile = Profile {
            units,
            ..Profile::default()
        };
        owner(&profile, &["lib-", "bin-"], "my_plain")
    }

    #[test]
    fn files_belong_to_the_unit_that_was_built_last() {
        let checked = unit("lib-my-plain", 9, &["deps/libmy_plain-1.rmeta"]);
        let others = [
            checked,
            unit("doc-lib-my_plain", 9, &[]),
            unit("lib-other", 9, &[]),
        ];
        let with = |units: &[Unit]| owner_among([&others[..], units].concat());
        assert_eq!(with(&[]), None);
        let old = unit("lib-my_plain", 1, &[]);
        let new = unit("lib-my_plain", 2, &[]);
        assert_eq!(with(std::slice::from_ref(&old)), Some(3));
        assert_eq!(with(&[old.clone(), new.clone()]), Some(4));
        assert_eq!(with(&[new.clone(), old.clone()]), Some(3));
        assert_eq!(with(&[new.clone(), new.clone()]), None, "the same time");
        assert_eq!(with(&[old.clone(), old, new]), Some(5));
    }

    #[test]
    fn files_are_named_after_their_crate() {
        let names = [
            "plain.d",
            "libplain.so",
            "libplain.a",
            "library.d",
            "libs.dll.a",
            "app.wasm",
        ];
        let found = by_crate(Path::new("deps"), names.map(str::to_owned).into_iter());
        let crates: Vec<(&str, usize)> = found
            .iter()
            .map(|(name, paths)| (&**name, paths.len()))
            .collect();
        assert_eq!(crates, [("app", 1), ("library", 1), ("plain", 3), ("s", 1)]);
    }
}
