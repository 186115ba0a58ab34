//! What a target directory says of itself.
//!
//! cargo, `compiler/{layout,fingerprint}`: for each unit there is a file with the unit's
//! fingerprint and beside it, as JSON, what that was made from: among others the fingerprints of
//! the units it depends on. Which sources a unit was made from stands in the dep-info that the
//! compiler wrote beside the output. There are two layouts:
//!
//! - until 1.99, fingerprints are in `<profile>/.fingerprint/<package>-<hash>`, and outputs in
//!   `deps`, `build` and `examples` carry the same hash;
//! - since 1.100, all of a unit is in `<profile>/build/<package>/<hash>`: `fingerprint`, `out` and
//!   `run`.
//!
//! A target directory that two versions of cargo used has both. One that is laid out otherwise has
//! no profiles here, and all of it is kept.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::fs::{FileKind, Timestamp, files};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetDir {
    /// The directories of profiles, those of other platforms too.
    pub profiles: Vec<Profile>,
}

/// The directory of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Where it is.
    pub directory: PathBuf,
    /// The units in it.
    pub units: Vec<Unit>,
    /// What belongs to a unit, alone or with others: files and directories, relative to the
    /// profile's, each with the unit's hash.
    pub pieces: Vec<(PathBuf, String)>,
    /// What is in `incremental`.
    pub incremental: Vec<Incremental>,
}

/// Something that cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name of its package.
    pub package: String,
    /// Its hash, which some units of a package share.
    pub hash: String,
    /// What of the package it is: `lib-serde`, `test-bin-app`.
    pub name: String,
    /// Its fingerprint; none when its build did not end well.
    pub fingerprint: Option<u64>,
    /// The fingerprints of the units that it was built with.
    pub needs: Vec<u64>,
    /// What it was made from.
    pub origin: UnitOrigin,
    /// When it was built.
    pub built: Timestamp,
}

/// Where the sources of a unit came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitOrigin {
    /// A registry: `NAME-VERSION`.
    Registry(String),
    /// Git: cargo's directories for the repository and the commit.
    Git(String, String),
    /// A file, relative to the root of the workspace.
    Workspace(PathBuf),
    /// It is not known, or outside of the workspace.
    Elsewhere,
}

/// What the compiler keeps to build a crate in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incremental {
    /// Its name: crate and hash.
    pub name: String,
    /// When it was used last.
    pub modified: Timestamp,
    /// The names in it.
    pub sessions: Vec<String>,
}

/// Bytes of dep-info that surely name the first source.
const ENOUGH: u64 = 16 << 10;

/// Looks at a target directory. What disappears meanwhile, or can't be understood, is as if it were
/// not there.
pub fn look(target: &Path) -> Result<TargetDir> {
    let mut profiles = Vec::new();
    for first in directories(target)? {
        let found = profile(&first)?;
        if found.is_some() {
            profiles.extend(found);
            continue;
        }
        for second in directories(&first)? {
            profiles.extend(profile(&second)?);
        }
    }
    Ok(TargetDir { profiles })
}

const FINGERPRINTS: &str = ".fingerprint";

/// The profile that a directory is; none when cargo has built nothing in it.
fn profile(directory: &Path) -> Result<Option<Profile>> {
    let mut profile = Profile {
        directory: directory.to_owned(),
        ..Profile::default()
    };
    add_by_kinds(&mut profile)?;
    add_by_units(&mut profile)?;
    if profile.pieces.is_empty() {
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

/// Adds what is laid out by kinds of files: all fingerprints in one directory, all outputs in a
/// few.
fn add_by_kinds(profile: &mut Profile) -> Result<()> {
    let directory = profile.directory.clone();
    if !is_directory(&directory.join(FINGERPRINTS)) {
        return Ok(());
    }
    let mut described = HashMap::new();
    for kind in ["deps", "build", "examples"] {
        for name in names(&directory.join(kind))? {
            let Some(hash) = hash_of(&name) else { continue };
            let path = Path::new(kind).join(&name);
            if name.strip_suffix(".d").is_some() {
                described.insert(hash.to_owned(), directory.join(&path));
            }
            profile.pieces.push((path, hash.to_owned()));
        }
    }
    for name in names(&directory.join(FINGERPRINTS))? {
        let Some((package, hash)) = package_and_hash(&name) else {
            continue;
        };
        let of_script = || dep_info_in(&directory.join("build").join(&name));
        let dep_info = described.get(hash).cloned().or_else(of_script);
        let path = Path::new(FINGERPRINTS).join(&name);
        profile.units.extend(units_of(
            &directory.join(&path),
            package,
            hash,
            dep_info.as_deref(),
        )?);
        profile.pieces.push((path, hash.to_owned()));
    }
    Ok(())
}

/// Adds what is laid out by units.
fn add_by_units(profile: &mut Profile) -> Result<()> {
    for package in names(&profile.directory.join("build"))? {
        let of_package = Path::new("build").join(&package);
        for hash in names(&profile.directory.join(&of_package))?
            .into_iter()
            .filter(|name| is_hash(name))
        {
            let path = of_package.join(&hash);
            let unit = profile.directory.join(&path);
            let dep_info = dep_info_in(&unit.join("out"));
            profile.units.extend(units_of(
                &unit.join("fingerprint"),
                &package,
                &hash,
                dep_info.as_deref(),
            )?);
            profile.pieces.push((path, hash));
        }
    }
    Ok(())
}

/// The dep-info that lies with an output which has no other.
fn dep_info_in(directory: &Path) -> Option<PathBuf> {
    let name = names(directory)
        .ok()?
        .into_iter()
        .find(|name| name.strip_suffix(".d").is_some())?;
    Some(directory.join(name))
}

#[derive(Deserialize)]
struct Fingerprint {
    /// Number of the package, name, whether it is public, fingerprint.
    deps: Vec<(u64, String, bool, u64)>,
}

/// The units whose fingerprints are in a directory.
fn units_of(
    directory: &Path,
    package: &str,
    hash: &str,
    dep_info: Option<&Path>,
) -> Result<Vec<Unit>> {
    let made_from = dep_info
        .and_then(first_source)
        .map_or(UnitOrigin::Elsewhere, origin);
    let mut units = Vec::new();
    for json in names(directory)? {
        let Some(name) = json.strip_suffix(".json") else {
            continue;
        };
        // What a build script left in its directory says nothing of where the script came from.
        let origin = if name.starts_with("run-") {
            UnitOrigin::Elsewhere
        } else {
            made_from.clone()
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
            fingerprint: number(&fingerprint),
            needs: deps
                .into_iter()
                .map(|(_, _, _, fingerprint)| fingerprint)
                .collect(),
            origin,
            built,
        });
    }
    Ok(units)
}

/// A fingerprint as cargo writes it: the bytes of the number, the lowest first, each as two digits.
fn number(hex: &[u8]) -> Option<u64> {
    let number = u64::from_str_radix(
        std::str::from_utf8(hex)
            .ok()
            .filter(|hex| hex.len() == 16)?,
        16,
    )
    .ok()?;
    Some(number.swap_bytes())
}

/// The hash at the end of a name, before any ending.
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

/// The first source in dep-info, which is written as a rule of make: `OUTPUT: SOURCE SOURCE...`.
fn first_source(dep_info: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    files::open(dep_info)
        .ok()?
        .take(ENOUGH)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (_, sources) = text.lines().next()?.split_once(": ")?;
    let mut source = String::new();
    let mut letters = sources.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => break,
            '\\' => source.extend(letters.next()),
            other => source.push(other),
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

/// The names in a directory; none when it is not one.
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
    fn the_first_source_tells_where_a_unit_came_from() {
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
        assert_eq!(number(b"0100000000000080"), Some(0x8000_0000_0000_0001));
        assert_eq!(number(b""), None);
    }
}
