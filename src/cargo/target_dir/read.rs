//! Reads a target directory.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::fingerprint::{self, Fingerprint};
use super::{Incremental, Profile, TargetDir, Unit, UnitOrigin, dep_info, hashless};
use crate::error::{Error, Result};
use crate::fs::{FileKind, files};

/// Cargo writes it into each target directory, but not into those of platforms.
const RUSTC_INFO: &str = ".rustc_info.json";

/// A file that can't be parsed, or that is removed at the same time, counts as absent.
pub(crate) fn read_target(target: &Path) -> Result<TargetDir> {
    let mut profiles = Vec::new();
    for directory in directories(target)? {
        // What cargo made can be read by the user who runs it.
        if files::list(&directory).is_err() || exists(&directory.join(RUSTC_INFO)) {
            continue;
        }
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
    let outputs = outputs_by_hash(profile)?;
    for name in names(&fingerprints)? {
        let Some((package, hash)) = package_and_hash(&name) else {
            continue;
        };
        let mut place = UnitPlace {
            package,
            hash,
            record_dir: Path::new(FINGERPRINTS).join(&name),
            artifacts: outputs.get(hash).cloned().unwrap_or_default(),
        };
        // A build script and its output are in a directory of their own.
        let script_dir = Path::new("build").join(&name);
        place.add_files(profile, &script_dir)?;
        profile.units.extend(place.units(&profile.directory)?);
        profile.record_dirs.push(place.record_dir.clone());
        profile.outputs.push((place.record_dir, hash.to_owned()));
    }
    add_hashless(profile, "deps", &["lib-", "bin-"])?;
    add_hashless(profile, "examples", &["example-"])
}

/// Adds the outputs in a directory whose names have no hash to the units that made them. `kinds`
/// are the beginnings of the names of these units.
fn add_hashless(profile: &mut Profile, directory: &str, kinds: &[&str]) -> Result<()> {
    let names = names(&profile.directory.join(directory))?.into_iter();
    let hashless = names.filter(|name| hash_of(name).is_none());
    for (crate_name, paths) in hashless::by_crate(Path::new(directory), hashless) {
        let Some(owner) = hashless::owner(profile, kinds, &crate_name) else {
            continue;
        };
        let unit = &mut profile.units[owner];
        unit.artifacts = paths;
        (unit.dep_info, unit.origin) =
            sources_of(&profile.directory, &unit.package, &unit.artifacts);
        let outputs = unit.artifacts.iter();
        profile
            .outputs
            .extend(outputs.map(|path| (path.clone(), unit.hash.clone())));
    }
    Ok(())
}

/// The dep-info file among the artifacts of a unit, and what it says of the unit's origin.
fn sources_of(
    profile: &Path,
    package: &str,
    artifacts: &[PathBuf],
) -> (Option<PathBuf>, UnitOrigin) {
    let mut dep_infos = artifacts
        .iter()
        .filter(|path| path.as_os_str().as_bytes().ends_with(b".d"));
    let dep_info = dep_infos.next().map(|path| profile.join(path));
    let first_source = dep_info.as_deref().and_then(dep_info::first_source);
    let origin = origin(package, first_source.as_deref());
    (dep_info, origin)
}

/// Adds what is not a fingerprint. Returns the files by hash.
fn outputs_by_hash(profile: &mut Profile) -> Result<HashMap<String, Vec<PathBuf>>> {
    let mut by_hash: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for kind in ["deps", "build", "examples"] {
        for name in names(&profile.directory.join(kind))? {
            let Some(hash) = hash_of(&name) else { continue };
            let path = Path::new(kind).join(&name);
            if kind != "build" {
                by_hash
                    .entry(hash.to_owned())
                    .or_default()
                    .push(path.clone());
            }
            profile.outputs.push((path, hash.to_owned()));
        }
    }
    Ok(by_hash)
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
            let mut place = UnitPlace {
                package: &package,
                hash: &hash,
                record_dir: path.join("fingerprint"),
                artifacts: Vec::new(),
            };
            place.add_files(profile, &path.join("run"))?;
            if place.artifacts.is_empty() {
                // Otherwise the build script wrote the files in `out`.
                place.add_files(profile, &path.join("out"))?;
            }
            profile.units.extend(place.units(&profile.directory)?);
            profile.record_dirs.push(place.record_dir);
            profile.outputs.push((path, hash));
        }
    }
    Ok(())
}

/// Where the units of one hash have their files, relative to the profile's directory.
struct UnitPlace<'a> {
    package: &'a str,
    hash: &'a str,
    record_dir: PathBuf,
    artifacts: Vec<PathBuf>,
}

impl UnitPlace<'_> {
    /// Adds the files in a directory to the artifacts.
    fn add_files(&mut self, profile: &Profile, directory: &Path) -> Result<()> {
        for name in names(&profile.directory.join(directory))? {
            let path = directory.join(name);
            if !is_directory(&profile.directory.join(&path)) {
                self.artifacts.push(path);
            }
        }
        Ok(())
    }

    /// The units whose fingerprints are here.
    fn units(&self, profile: &Path) -> Result<Vec<Unit>> {
        let directory = profile.join(&self.record_dir);
        let mut units = Vec::new();
        for json in names(&directory)? {
            let Some(name) = json.strip_suffix(".json") else {
                continue;
            };
            let file = directory.join(name);
            let (Ok(Some(built)), Ok(bytes), Ok(number)) = (
                files::mtime(&file),
                files::read(&directory.join(&json)),
                files::read(&file),
            ) else {
                continue;
            };
            let Some(Fingerprint {
                dependencies,
                local,
            }) = Fingerprint::parse(&bytes)
            else {
                continue;
            };
            let (dep_info, origin) = sources_of(profile, self.package, &self.artifacts);
            units.push(Unit {
                package: self.package.to_owned(),
                hash: self.hash.to_owned(),
                name: name.to_owned(),
                fingerprint: fingerprint::parse_number(&number),
                dependencies,
                origin,
                built,
                local,
                record_dir: self.record_dir.clone(),
                dep_info,
                artifacts: self.artifacts.clone(),
            });
        }
        Ok(units)
    }
}

/// Where the sources of a unit come from. The run of a build script has no sources of its own.
fn origin(package: &str, first_source: Option<&Path>) -> UnitOrigin {
    let Some(source) = first_source else {
        return UnitOrigin::Elsewhere;
    };
    // The sources of a workspace are relative to its root, whatever its directories are named.
    if source.is_relative() {
        return UnitOrigin::Workspace(source.to_owned());
    }
    let downloaded = source
        .to_str()
        .and_then(|source| downloaded(package, source));
    downloaded.unwrap_or(UnitOrigin::Elsewhere)
}

/// The names of cargo's directories have hashes of addresses, and that of a registry package starts
/// with its name. A path dependency can lie in directories with similar names.
fn downloaded(package: &str, source: &str) -> Option<UnitOrigin> {
    if let Some((_, below)) = source.split_once("/registry/src/") {
        let mut names = below.split('/');
        package_and_hash(names.next()?)?;
        let directory = names.next()?;
        let version = directory.strip_prefix(package)?;
        return version
            .starts_with('-')
            .then(|| UnitOrigin::Registry(directory.to_owned()));
    }
    let (_, below) = source.split_once("/git/checkouts/")?;
    let mut names = below.split('/');
    let (repository, commit) = (names.next()?, names.next()?);
    package_and_hash(repository)?;
    Some(UnitOrigin::Git(repository.to_owned(), commit.to_owned()))
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

fn is_directory(path: &Path) -> bool {
    matches!(files::stat(path), Ok(Some(stat)) if stat.kind == FileKind::Directory)
}

fn exists(path: &Path) -> bool {
    matches!(files::stat(path), Ok(Some(_)))
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
        let registry = UnitOrigin::Registry("serde-1.0.1".to_owned());
        let git = UnitOrigin::Git("dep-0123456789abcdef".into(), "0123456".into());
        let member = "crates/registry/src/bin/x.rs";
        for (source, expected) in [
            (
                "/h/.cargo/registry/src/r-0123456789abcdef/serde-1.0.1/src/lib.rs",
                registry,
            ),
            (
                "/h/.cargo/git/checkouts/dep-0123456789abcdef/0123456/src/lib.rs",
                git,
            ),
            (member, UnitOrigin::Workspace(member.into())),
            (
                "/w/registry/src/mine/serde-1.0.1/src/lib.rs",
                UnitOrigin::Elsewhere,
            ),
            (
                "/w/registry/src/mine-0123456789abcdef/serde/src/lib.rs",
                UnitOrigin::Elsewhere,
            ),
            ("/w/git/checkouts/mine/a/lib.rs", UnitOrigin::Elsewhere),
            ("/beside/src/lib.rs", UnitOrigin::Elsewhere),
        ] {
            assert_eq!(
                origin("serde", Some(Path::new(source))),
                expected,
                "{source}"
            );
        }
        assert_eq!(origin("serde", None), UnitOrigin::Elsewhere);
    }
}
