//! The packages of a Cargo.lock.
//!
//! Packages of the workspace and other path dependencies have no source: their versions change with
//! each release, and nothing is downloaded for them. Only their names are kept. The dependencies between packages are skipped
//! as well, because they follow from the manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::cargo::project::canonical_toml::first_line;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedPackage {
    pub name: String,
    pub version: String,
    /// `registry+URL`, `sparse+URL`, or `git+URL?branch=B#COMMIT`.
    pub source: String,
    /// The SHA-256 of its archive; `None` for git dependencies.
    pub checksum: Option<String>,
}

impl LockedPackage {
    /// Whether the package is cloned instead of downloaded from a registry.
    pub(crate) fn is_git(&self) -> bool {
        self.source.starts_with("git+")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lockfile {
    pub packages: Vec<LockedPackage>,
    /// The names of the packages with a path.
    pub path_packages: BTreeSet<String>,
}

#[derive(Deserialize)]
struct LockfileToml {
    #[serde(default)]
    package: Vec<LockfileEntry>,
    /// Version 1 of the format has checksums here: `checksum NAME VERSION (SOURCE)` to digest.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct LockfileEntry {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Lockfile {
    /// Parses all versions of the format. The error is one line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let LockfileToml { package, metadata } =
            toml::from_str(text).map_err(|error| first_line(error.message()))?;
        let mut path_packages = BTreeSet::new();
        let mut packages: Vec<LockedPackage> = package
            .into_iter()
            .filter_map(
                |LockfileEntry {
                     name,
                     version,
                     source,
                     checksum,
                 }| {
                    let Some(source) = source else {
                        path_packages.insert(name);
                        return None;
                    };
                    let checksum = checksum.or_else(|| {
                        metadata
                            .get(&format!("checksum {name} {version} ({source})"))
                            .cloned()
                    });
                    Some(LockedPackage {
                        name,
                        version,
                        source,
                        checksum,
                    })
                },
            )
            .collect();
        packages.sort_unstable();
        packages.dedup();
        Ok(Self {
            packages,
            path_packages,
        })
    }

    /// The packages from git or those from registries, one per line, and their number.
    pub(crate) fn lines(&self, git: bool) -> (String, usize) {
        let lines: Vec<String> = self
            .packages
            .iter()
            .filter(|package| package.is_git() == git)
            .map(
                |LockedPackage {
                     name,
                     version,
                     source,
                     checksum,
                 }| {
                    format!(
                        "{name} {version} {source} {}\n",
                        checksum.as_deref().unwrap_or_default()
                    )
                },
            )
            .collect();
        (lines.concat(), lines.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "app"
version = "0.1.0"
dependencies = ["serde", "dep"]

[[package]]
name = "serde"
version = "1.0.1"
source = "registry+https://example.org/index"
checksum = "aa"

[[package]]
name = "dep"
version = "0.2.0"
source = "git+https://example.org/dep?branch=main#0123"
"#;

    #[test]
    fn registry_and_git_packages_are_listed_separately_and_local_ones_skipped() {
        let lock = Lockfile::parse(LOCK.as_bytes()).unwrap();
        assert_eq!(
            lock.lines(false),
            (
                "serde 1.0.1 registry+https://example.org/index aa\n".to_owned(),
                1
            )
        );
        assert_eq!(
            lock.lines(true),
            (
                "dep 0.2.0 git+https://example.org/dep?branch=main#0123 \n".to_owned(),
                1
            )
        );
    }

    #[test]
    fn neither_order_nor_own_versions_nor_edges_nor_unused_patches_count() {
        let other = r#"
[[package]]
name = "dep"
version = "0.2.0"
source = "git+https://example.org/dep?branch=main#0123"
dependencies = ["serde"]
[[package]]
name = "serde"
version = "1.0.1"
source = "registry+https://example.org/index"
checksum = "aa"
[[package]]
name = "app"
version = "7.0.0"
[[patch.unused]]
name = "x"
version = "1.0.0"
"#;
        assert_eq!(
            Lockfile::parse(other.as_bytes()),
            Lockfile::parse(LOCK.as_bytes())
        );
    }

    #[test]
    fn checksums_of_the_first_format_count_too() {
        let lock = "[[package]]\nname = 'a'\nversion = '1.0.0'\nsource = 'registry+x'\n\n\
                    [metadata]\n'checksum a 1.0.0 (registry+x)' = 'cc'\n";
        assert_eq!(
            Lockfile::parse(lock.as_bytes()).unwrap().packages[0]
                .checksum
                .as_deref(),
            Some("cc")
        );
    }

    #[test]
    fn a_broken_lock_is_an_error_of_one_line() {
        for text in [
            "<<<<<<< HEAD\n",
            "package = 1",
            "[[package]]\nversion = '1'\n",
            "\0",
        ] {
            let error = Lockfile::parse(text.as_bytes()).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
        }
    }
}
