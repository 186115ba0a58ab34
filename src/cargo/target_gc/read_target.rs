//! Reads the units of a target directory from cargo's own records.
//!
//! Source: cargo, `compiler/{layout,fingerprint}`. Each unit has a file with its fingerprint. A
//! JSON file next to it has the inputs of the fingerprint, including the fingerprints of the unit's
//! dependencies. The dep-info file of the compiler, next to the output, lists the sources. There
//! are two layouts:
//!
//! - until 1.99, fingerprints are in `<profile>/.fingerprint/<package>-<hash>`, and outputs in
//!   `deps`, `build` and `examples` carry the same hash;
//! - since 1.100, a unit is in `<profile>/build/<package>/<hash>`: `fingerprint`, `out` and `run`.
//!
//! A target directory can have both, if two versions of cargo used it. In a directory with another
//! layout, no profiles are found and everything is kept.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::fs::{FileKind, Timestamp, files};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetDir {
    /// Includes those of other platforms, such as `target/x86_64-unknown-linux-musl/debug`.
    pub profiles: Vec<Profile>,
}

/// The directory of a profile, such as `target/debug`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub directory: PathBuf,
    pub units: Vec<Unit>,
    /// Files and directories of one or more units, relative to the profile's directory, each with
    /// the unit's hash.
    pub outputs: Vec<(PathBuf, String)>,
    pub incremental: Vec<Incremental>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub package: String,
    /// Some units of a package share their hash.
    pub hash: String,
    /// For example `lib-serde` or `test-bin-app`.
    pub name: String,
    /// `None` if its build failed.
    pub fingerprint: Option<u64>,
    /// The fingerprints of its dependencies.
    pub dependencies: Vec<u64>,
    pub origin: UnitOrigin,
    pub built: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitOrigin {
    /// A registry package, as `NAME-VERSION`.
    Registry(String),
    /// A git dependency, by cargo's directories for the repository and the commit.
    Git(String, String),
    /// A file of the workspace, relative to its root.
    Workspace(PathBuf),
    /// Unknown or outside of the workspace.
    Elsewhere,
}

/// Incremental compilation data of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incremental {
    /// The name of its directory: `CRATE-HASH`.
    pub name: String,
    pub modified: Timestamp,
    /// The names of session directories and lock files.
    pub sessions: Vec<String>,
}

/// Bytes of a dep-info file to read: always enough for the first source.
const DEP_INFO_LIMIT: u64 = 16 << 10;

/// A file that can't be parsed, or that is removed at the same time, counts as absent.
pub(crate) fn read_target(target: &Path) -> Result<TargetDir> {
    let mut profiles = Vec::new();
    for directory in directories(target)? {
        if let Some(profile) = profile(&directory)? {
            profiles.push(profile);
            continue;
        }
        // The directory of a platform has directories of profiles.
        for directory in directories(&directory)? {
            profiles.extend(profile(&directory)?);
        }
    }
    Ok(TargetDir { profiles })
}

const FINGERPRINTS: &str = ".fingerprint";

/// `None` if cargo has built nothing in the directory.
fn profile(directory: &Path) -> Result<Option<Profile>> {
    let mut profile = Profile {
        directory: directory.to_owned(),
        ..Profile::default()
    };
    add_by_kinds(&mut profile)?;
    add_by_units(&mut profile)?;
    if profile.outputs.is_empty() {
        return Ok(None);
    }
    for name in names(&directory.join("incremental"))? {
        let path = directory.join("incremental").join(&name);
        let Ok(Some(stat)) = files::stat(&path) else {
            continue;
        };
        profile.incremental.push(Incremental {
            name,
            modified: stat.mtime,
            sessions: names(&path)?,
        });
    }
    Ok(Some(profile))
}

/// Reads the layout by kind: all fingerprints in one directory, outputs in a few others.
fn add_by_kinds(profile: &mut Profile) -> Result<()> {
    let fingerprints = profile.directory.join(FINGERPRINTS);
    if !is_directory(&fingerprints) {
        return Ok(());
    }
    let dep_infos = add_outputs(profile)?;
    for name in names(&fingerprints)? {
        let Some((package, hash)) = package_and_hash(&name) else {
            continue;
        };
        // The dep-info of a build script is in a directory of its own.
        let script_dir = || profile.directory.join("build").join(&name);
        let dep_info = dep_infos
            .get(hash)
            .cloned()
            .or_else(|| dep_info_in(&script_dir()));
        let units = units_of(
            &fingerprints.join(&name),
            package,
            hash,
            dep_info.as_deref(),
        )?;
        profile.units.extend(units);
        let path = Path::new(FINGERPRINTS).join(&name);
        profile.outputs.push((path, hash.to_owned()));
    }
    Ok(())
}

/// Adds what is not a fingerprint; returns the dep-info files by hash.
fn add_outputs(profile: &mut Profile) -> Result<HashMap<String, PathBuf>> {
    let mut dep_infos = HashMap::new();
    for kind in ["deps", "build", "examples"] {
        for name in names(&profile.directory.join(kind))? {
            let Some(hash) = hash_of(&name) else { continue };
            let path = Path::new(kind).join(&name);
            if name.strip_suffix(".d").is_some() {
                dep_infos.insert(hash.to_owned(), profile.directory.join(&path));
            }
            profile.outputs.push((path, hash.to_owned()));
        }
    }
    Ok(dep_infos)
}

/// Reads the layout by unit: fingerprint and outputs of a unit in one directory.
fn add_by_units(profile: &mut Profile) -> Result<()> {
    for package in names(&profile.directory.join("build"))? {
        let package_dir = Path::new("build").join(&package);
        for hash in names(&profile.directory.join(&package_dir))?
            .into_iter()
            .filter(|name| is_hash(name))
        {
            let path = package_dir.join(&hash);
            let unit = profile.directory.join(&path);
            let dep_info = dep_info_in(&unit.join("out"));
            profile.units.extend(units_of(
                &unit.join("fingerprint"),
                &package,
                &hash,
                dep_info.as_deref(),
            )?);
            profile.outputs.push((path, hash));
        }
    }
    Ok(())
}

/// The dep-info file in a directory with at most one.
fn dep_info_in(directory: &Path) -> Option<PathBuf> {
    let name = names(directory)
        .ok()?
        .into_iter()
        .find(|name| name.strip_suffix(".d").is_some())?;
    Some(directory.join(name))
}

#[derive(Deserialize)]
struct Fingerprint {
    /// Package number, name, whether it is public, fingerprint.
    deps: Vec<(u64, String, bool, u64)>,
}

/// The units whose fingerprints are in a directory.
fn units_of(
    directory: &Path,
    package: &str,
    hash: &str,
    dep_info: Option<&Path>,
) -> Result<Vec<Unit>> {
    let source_origin = dep_info
        .and_then(first_source)
        .map_or(UnitOrigin::Elsewhere, origin);
    let mut units = Vec::new();
    for json in names(directory)? {
        let Some(name) = json.strip_suffix(".json") else {
            continue;
        };
        // The dep-info of a build script's output does not list the script.
        let origin = if name.starts_with("run-") {
            UnitOrigin::Elsewhere
        } else {
            source_origin.clone()
        };
        let fingerprint = directory.join(name);
        let (Ok(Some(built)), Ok(bytes), Ok(fingerprint)) = (
            files::mtime(&fingerprint),
            files::read(&directory.join(&json)),
            files::read(&fingerprint),
        ) else {
            continue;
        };
        let Ok(Fingerprint { deps }) = serde_json::from_slice(&bytes) else {
            continue;
        };
        units.push(Unit {
            package: package.to_owned(),
            hash: hash.to_owned(),
            name: name.to_owned(),
            fingerprint: parse_fingerprint(&fingerprint),
            dependencies: deps
                .into_iter()
                .map(|(_, _, _, fingerprint)| fingerprint)
                .collect(),
            origin,
            built,
        });
    }
    Ok(units)
}

/// Cargo writes the bytes of the number as hexadecimal digits, the lowest byte first.
fn parse_fingerprint(hex: &[u8]) -> Option<u64> {
    let number = u64::from_str_radix(
        std::str::from_utf8(hex)
            .ok()
            .filter(|hex| hex.len() == 16)?,
        16,
    )
    .ok()?;
    Some(number.swap_bytes())
}

/// The hash at the end of a name, before any extension.
fn hash_of(name: &str) -> Option<&str> {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    package_and_hash(stem).map(|(_, hash)| hash)
}

fn package_and_hash(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('-').filter(|(_, hash)| is_hash(hash))
}

fn is_hash(text: &str) -> bool {
    text.len() == 16
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A dep-info file is a Makefile rule: `OUTPUT: SOURCE SOURCE...`.
fn first_source(dep_info: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    files::open(dep_info)
        .ok()?
        .take(DEP_INFO_LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (_, sources) = text.lines().next()?.split_once(": ")?;
    let mut source = String::new();
    let mut chars = sources.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' => break,
            '\\' => source.extend(chars.next()),
            _ => source.push(c),
        }
    }
    (!source.is_empty()).then_some(source)
}

fn origin(source: String) -> UnitOrigin {
    if let Some((_, below)) = source.split_once("/registry/src/")
        && let Some(package) = below.split('/').nth(1)
    {
        return UnitOrigin::Registry(package.to_owned());
    }
    if let Some((_, below)) = source.split_once("/git/checkouts/") {
        let mut names = below.split('/');
        if let (Some(repository), Some(commit)) = (names.next(), names.next()) {
            return UnitOrigin::Git(repository.to_owned(), commit.to_owned());
        }
    }
    if source.starts_with('/') {
        UnitOrigin::Elsewhere
    } else {
        UnitOrigin::Workspace(source.into())
    }
}

fn is_directory(path: &Path) -> bool {
    matches!(files::stat(path), Ok(Some(stat)) if stat.kind == FileKind::Directory)
}

fn directories(path: &Path) -> Result<Vec<PathBuf>> {
    let paths = names(path)?.into_iter().map(|name| path.join(name));
    Ok(paths.filter(|path| is_directory(path)).collect())
}

/// Empty if it is not a directory.
fn names(path: &Path) -> Result<Vec<String>> {
    match files::list(path) {
        Ok(names) => Ok(names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect()),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotADirectory => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_in_all_names_of_outputs() {
        for (name, hash) in [
            (
                "libserde_core-d412efb79a59852b.rmeta",
                Some("d412efb79a59852b"),
            ),
            ("app-d412efb79a59852b", Some("d412efb79a59852b")),
            (
                "app-d412efb79a59852b.app.1a2b-cgu.0.rcgu.o",
                Some("d412efb79a59852b"),
            ),
            ("my-crate-0123456789abcdef", Some("0123456789abcdef")),
            ("libplain.so", None),
            ("my-crate", None),
            ("app-0123456789ABCDEF", None),
        ] {
            assert_eq!(hash_of(name), hash, "{name}");
        }
    }

    #[test]
    fn the_first_source_determines_the_origin_of_a_unit() {
        let registry = |package: &str| UnitOrigin::Registry(package.to_owned());
        for (line, expected) in [
            (
                "/t/a.d: /h/.cargo/registry/src/r-1/serde-1.0.1/src/lib.rs /x\n",
                registry("serde-1.0.1"),
            ),
            (
                "/t/a.d: /h/.cargo/git/checkouts/dep-0a/0123456/src/lib.rs",
                UnitOrigin::Git("dep-0a".into(), "0123456".into()),
            ),
            (
                "/t/a.d: lib/src/lib.rs lib/src/x.rs",
                UnitOrigin::Workspace("lib/src/lib.rs".into()),
            ),
            (
                "/t/a.d: my\\ lib/src/lib.rs",
                UnitOrigin::Workspace("my lib/src/lib.rs".into()),
            ),
            ("/t/a.d: /beside/src/lib.rs", UnitOrigin::Elsewhere),
            ("", UnitOrigin::Elsewhere),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.d");
            std::fs::write(&path, line).unwrap();
            assert_eq!(
                first_source(&path).map_or(UnitOrigin::Elsewhere, origin),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn fingerprints_are_numbers_with_the_lowest_byte_first() {
        assert_eq!(
            parse_fingerprint(b"0100000000000080"),
            Some(0x8000_0000_0000_0001)
        );
        assert_eq!(parse_fingerprint(b""), None);
    }
}
