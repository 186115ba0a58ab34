//! Finds the packages of a project whose sources cargo compares by time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::cargo::project::config;
use crate::cargo::project::facts::ProjectFacts;
use crate::cargo::project::manifest;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::project::probe::FileProbe;
use crate::cargo::project::workspace::normalize_path;
use crate::fs::Namespace;

/// A package that cargo builds from a directory of the user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PathPackage {
    /// Absolute, without symlinks, as the steps of the job name it.
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packages {
    /// Sorted by directory.
    pub(crate) packages: Vec<PathPackage>,
    /// What could not be looked at, one line each.
    pub(crate) warnings: Vec<String>,
}

/// The packages of a project: its members, dependencies with a path, what takes the place of others
/// (`[patch]` and `[replace]` with a path in the manifest of the root, `[patch]` and `paths` in a
/// configuration), and those of directory sources.
pub(crate) fn packages(project: &ProjectFacts, namespace: &dyn Namespace) -> Packages {
    let mut probe = FileProbe::new(namespace);
    let mut waiting: VecDeque<PathBuf> = substitutes(project).into();
    let members = project
        .manifests
        .iter()
        .filter_map(|manifest| manifest.path.parent());
    let mut seen: BTreeSet<PathBuf> = members.map(Path::to_owned).collect();
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for file in &project.manifests {
        let directory = file.path.parent().unwrap_or(Path::new("/"));
        add(&mut found, directory, &file.bytes);
    }
    while let Some(directory) = waiting.pop_front() {
        if !seen.insert(directory.clone()) {
            continue;
        }
        let Some(file) = probe.file(&directory.join("Cargo.toml")) else {
            continue;
        };
        add(&mut found, &directory, &file.bytes);
        if let Ok(manifest) = CargoManifest::parse(&file.bytes) {
            waiting.extend(
                manifest
                    .path_dependencies()
                    .iter()
                    .map(|path| normalize_path(&directory.join(path))),
            );
        }
    }
    for directory in project.vendored.iter().flat_map(|source| &source.packages) {
        if let Some(file) = probe.file(&directory.join("Cargo.toml")) {
            add(&mut found, directory, &file.bytes);
        }
    }
    let mut packages: Vec<PathPackage> = found
        .into_iter()
        .filter_map(|(directory, name)| {
            let directory = probe.canonical(&directory)?;
            Some(PathPackage { directory, name })
        })
        .collect();
    packages.sort_unstable();
    packages.dedup();
    Packages {
        packages,
        warnings: probe.warnings,
    }
}

/// Adds a package by its manifest. That of a workspace may have none.
fn add(found: &mut BTreeMap<PathBuf, String>, directory: &Path, manifest: &[u8]) {
    let manifest = CargoManifest::parse(manifest).ok();
    if let Some(name) = manifest.as_ref().and_then(CargoManifest::name) {
        found.insert(directory.to_owned(), name.to_owned());
    }
}

fn substitutes(project: &ProjectFacts) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let root = project
        .manifests
        .first()
        .filter(|file| file.path.parent() == Some(&project.root));
    if let Some(root) = root {
        found.extend(
            manifest::substitutes(&root.bytes)
                .iter()
                .map(|path| normalize_path(&project.root.join(path))),
        );
    }
    for file in &project.configs {
        // Paths in a configuration file are relative to the directory that holds `.cargo`.
        let Some(base) = file.path.parent().and_then(Path::parent) else {
            continue;
        };
        let paths = manifest::substitutes(&file.bytes)
            .into_iter()
            .chain(config::paths(&file.bytes));
        found.extend(paths.map(|path| normalize_path(&base.join(path))));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cargo::gather::gather;
    use crate::cargo::project::facts::KeyRequest;
    use crate::fs::Local;

    #[test]
    fn members_path_dependencies_and_what_takes_the_place_of_others_are_found() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let lay = |path: &str, text: &str| {
            let path = top.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let package = |name: &str, rest: &str| format!("[package]\nname = '{name}'\n{rest}");
        lay(
            "app/Cargo.toml",
            &package(
                "app",
                "[workspace]\nmembers = ['m']\n[dependencies]\nb = { path = '../beside' }\n\
                 [patch.crates-io]\nserde = { path = '../patched' }\nx = '1'\n\
                 [replace]\n'y:1.0.0' = { path = '../replaced' }\n",
            ),
        );
        lay("app/m/Cargo.toml", &package("m", ""));
        lay(
            "app/.cargo/config.toml",
            "paths = ['../over']\n[patch.crates-io]\nz = { path = '../configured' }\n",
        );
        lay(
            "patched/Cargo.toml",
            &package("serde", "[dependencies]\ni = { path = 'inner' }\n"),
        );
        for name in [
            "beside",
            "replaced",
            "over",
            "configured",
            "patched/inner",
            "unused",
        ] {
            lay(
                &format!("{name}/Cargo.toml"),
                &package(name.rsplit('/').next().unwrap(), ""),
            );
        }
        let request = KeyRequest::new(BTreeMap::new(), &top.join("home"), &top.join("app"));
        let facts = gather(&request, &Local::default());
        let found = packages(
            facts.workspaces[0].project.as_ref().unwrap(),
            &Local::default(),
        );
        let names: Vec<_> = found
            .packages
            .iter()
            .map(|package| {
                package
                    .directory
                    .strip_prefix(&top)
                    .unwrap()
                    .to_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(
            names,
            [
                "app",
                "app/m",
                "beside",
                "configured",
                "over",
                "patched",
                "patched/inner",
                "replaced"
            ]
        );
        assert!(found.warnings.is_empty());
    }
}
