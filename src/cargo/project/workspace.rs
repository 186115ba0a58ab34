//! Finds the root and the manifests of a workspace by cargo's rules.
//!
//! Cargo book, "Workspaces": members are the directories that `members` lists, with patterns,
//! without `exclude`, and all path dependencies. Path dependencies outside the root are not
//! members, but cargo resolves their dependencies together with those of the workspace, so their
//! manifests are included.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

use crate::cargo::project::facts::ProjectFile;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::project::probe::FileProbe;
use crate::fs::FileKind;
use crate::glob::{Base, Patterns};

const MANIFEST: &str = "Cargo.toml";

/// The root of the workspace of the package in a directory; the directory itself if there is no
/// workspace above it.
pub(crate) fn workspace_root(directory: &Path, probe: &mut FileProbe) -> PathBuf {
    let Some(own) = read(directory, probe).and_then(|(_, manifest)| manifest) else {
        return directory.to_owned();
    };
    if own.workspace().is_some() {
        return directory.to_owned();
    }
    if let Some(path) = own.workspace_path() {
        return normalize_path(&directory.join(path));
    }
    let above = directory.ancestors().skip(1).find_map(|above| {
        let (_, manifest) = read(above, probe)?;
        let manifest = manifest?;
        manifest.workspace()?;
        Some((above.to_owned(), manifest))
    });
    match above {
        Some((root, manifest)) if !is_excluded(&root, directory, &manifest) => root,
        _ => directory.to_owned(),
    }
}

fn is_excluded(root: &Path, directory: &Path, manifest: &CargoManifest) -> bool {
    let is_below = |path: &String| directory.starts_with(normalize_path(&root.join(path)));
    manifest.listed("exclude").iter().any(is_below)
        && !manifest.listed("members").iter().any(is_below)
}

/// The manifest of the root first, then all others, sorted by path.
pub(crate) fn manifests(root: &Path, probe: &mut FileProbe) -> Vec<ProjectFile> {
    let mut queue = VecDeque::from([root.to_owned()]);
    let mut seen = BTreeSet::from([root.to_owned()]);
    let mut found = Vec::new();
    while let Some(directory) = queue.pop_front() {
        let Some((file, manifest)) = read(&directory, probe) else {
            continue;
        };
        let Some(manifest) = manifest else {
            found.push(file);
            continue;
        };
        let dependencies = manifest
            .path_dependencies()
            .into_iter()
            .map(|path| normalize_path(&directory.join(path)));
        let mut next: Vec<PathBuf> = dependencies.collect();
        if directory == root {
            next.extend(members(root, &manifest, probe));
        }
        queue.extend(
            next.into_iter()
                .filter(|directory| seen.insert(directory.clone())),
        );
        found.push(file);
    }
    // The first is that of the root, if it has one.
    let own = usize::from(
        found
            .first()
            .is_some_and(|file| file.path.parent() == Some(root)),
    );
    found[own..].sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn members(root: &Path, manifest: &CargoManifest, probe: &mut FileProbe) -> Vec<PathBuf> {
    let listed = manifest
        .listed("members")
        .into_iter()
        .chain(manifest.listed("default-members"));
    let (patterns, plain): (Vec<String>, Vec<String>) =
        listed.partition(|member| member.contains(['*', '?', '[']));
    let mut found: Vec<PathBuf> = plain
        .iter()
        .map(|member| normalize_path(&root.join(member)))
        .collect();
    let base = Base::new(root, "");
    let resolved = Patterns::parse(&patterns, &base)
        .map_err(|error| error.to_string())
        .and_then(|patterns| probe.matches(&patterns).map_err(|error| error.to_string()));
    match resolved {
        Ok(matched) => found.extend(
            matched
                .into_iter()
                .filter(|matched| matched.kind == FileKind::Directory)
                .map(|matched| matched.path)
                .filter(|directory| !is_excluded(root, directory, manifest)),
        ),
        Err(reason) => probe.warn(format!(
            "cannot find the members of the workspace in {}: {reason}; the cache keys are computed without them",
            root.display()
        )),
    }
    found
}

/// The manifest in a directory; parsed if it can be parsed.
fn read(directory: &Path, probe: &mut FileProbe) -> Option<(ProjectFile, Option<CargoManifest>)> {
    let file = probe.file(&directory.join(MANIFEST))?;
    let manifest = CargoManifest::parse(&file.bytes).ok();
    Some((file, manifest))
}

/// Removes `.` and `..` from a path without I/O.
pub fn normalize_path(path: &Path) -> PathBuf {
    path.components()
        .fold(PathBuf::new(), |mut normalized, component| {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    normalized.pop();
                }
                component => normalized.push(component),
            }
            normalized
        })
}
