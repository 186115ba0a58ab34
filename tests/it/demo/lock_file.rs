//! The Cargo.lock of the built-in workspace, checked without a registry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/project")
}

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).expect(path)
}

/// A `[[package]]` of a lock file.
#[derive(Debug, Default)]
struct Package {
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    dependencies: Vec<String>,
}

/// The packages by name. No package is locked twice.
fn packages() -> BTreeMap<String, Package> {
    let lock = read("Cargo.lock");
    let mut packages = BTreeMap::new();
    for block in lock.split("[[package]]\n").skip(1) {
        let mut package = Package::default();
        let mut name = String::new();
        for line in block.lines() {
            match line.split_once(" = ") {
                Some(("name", value)) => value.trim_matches('"').clone_into(&mut name),
                Some(("version", value)) => {
                    value.trim_matches('"').clone_into(&mut package.version);
                }
                Some(("source", value)) => package.source = Some(value.to_owned()),
                Some(("checksum", value)) => package.checksum = Some(value.to_owned()),
                _ if line.starts_with(" \"") => {
                    package
                        .dependencies
                        .push(line.trim_matches([' ', '"', ',']).to_owned());
                }
                _ => {}
            }
        }
        assert!(
            packages.insert(name.clone(), package).is_none(),
            "two versions of {name}"
        );
    }
    packages
}

/// The lines of a table of a manifest, split into name and value.
fn table(manifest: &str, heading: &str) -> Vec<(String, String)> {
    let lines = manifest.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        .collect()
}

#[test]
fn every_dependency_of_a_locked_package_is_locked_with_its_checksum() {
    let packages = packages();
    assert!(packages.len() > 20, "{}", packages.len());
    for (name, package) in &packages {
        for dependency in &package.dependencies {
            assert!(
                packages.contains_key(dependency),
                "{name} needs {dependency}"
            );
        }
        let is_own = ["orders", "report", "totals"].contains(&name.as_str());
        assert_eq!(package.source.is_none(), is_own, "{name}");
        assert_eq!(package.checksum.is_none(), is_own, "{name}");
    }
}

#[test]
fn every_dependency_of_the_manifests_is_locked_at_a_version_that_it_allows() {
    let packages = packages();
    let shared = table(&read("Cargo.toml"), "[workspace.dependencies]");
    assert!(shared.len() > 5);
    for (name, requirement) in &shared {
        let version = &packages[name].version;
        if requirement.contains("path = ") {
            continue;
        }
        let wanted = requirement.split('"').nth(1).expect("a version");
        assert!(
            version.starts_with(&format!("{wanted}.")),
            "{name} {wanted} is locked at {version}"
        );
    }
    for member in ["orders", "report", "totals"] {
        let manifest = read(&format!("crates/{member}/Cargo.toml"));
        let mut wanted: Vec<String> = table(&manifest, "[dependencies]")
            .into_iter()
            .map(|(name, _)| name.trim_end_matches(".workspace").to_owned())
            .collect();
        wanted.sort_unstable();
        assert!(
            wanted
                .iter()
                .all(|name| shared.iter().any(|(known, _)| known == name)),
            "{member}"
        );
        assert_eq!(packages[member].dependencies, wanted, "{member}");
    }
}
