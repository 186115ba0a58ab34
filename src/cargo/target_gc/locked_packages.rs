//! The packages that lock files need, in the form of cargo's directory names.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cargo::project::facts::WorkspaceFacts;
use crate::cargo::project::lockfile::Lockfile;

/// As JSON, the packages are one list of short texts: the runner passes them in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PackageTexts", into = "PackageTexts")]
pub struct LockedPackages {
    /// Name and version of registry packages.
    versions: BTreeSet<(String, String)>,
    /// Their names in lower case, as in an index.
    names: BTreeSet<String>,
    /// The names of all packages, those with a path included. They are not part of the JSON: only
    /// target directories need them, and these are saved with the present lock files.
    all_names: BTreeSet<String>,
    /// Repository, by the name of cargo's directory in lower case, and commit.
    commits: BTreeSet<(String, String)>,
}

impl LockedPackages {
    /// `None` if a workspace has no readable lock file: then the needed packages are unknown.
    pub fn of_workspaces(workspaces: &[WorkspaceFacts]) -> Option<Self> {
        let locks: Option<Vec<Lockfile>> = workspaces
            .iter()
            .filter_map(|workspace| workspace.project.as_ref())
            .map(|project| Lockfile::parse(&project.lock.as_ref()?.bytes).ok())
            .collect();
        locks
            .filter(|locks| !locks.is_empty())
            .map(|locks| Self::of(&locks))
    }

    pub fn of(locks: &[Lockfile]) -> Self {
        let mut needed = Self::default();
        for lock in locks {
            needed.all_names.extend(lock.path_packages.iter().cloned());
        }
        for package in locks.iter().flat_map(|lock| &lock.packages) {
            needed.all_names.insert(package.name.clone());
            if package.is_git() {
                needed
                    .commits
                    .extend(repository_and_commit(&package.source));
            } else {
                needed.add_version(&package.name, &package.version);
            }
        }
        needed
    }

    fn add_version(&mut self, name: &str, version: &str) {
        self.versions.insert((name.to_owned(), version.to_owned()));
        self.names.insert(name.to_lowercase());
    }

    /// Whether nothing has to be downloaded.
    pub(crate) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.commits.is_empty()
    }

    /// The number of packages that cargo downloads.
    pub(crate) fn count(&self) -> usize {
        self.versions.len() + self.commits.len()
    }

    /// The packages of both.
    #[must_use]
    pub(crate) fn union(mut self, other: Self) -> Self {
        self.versions.extend(other.versions);
        self.names.extend(other.names);
        self.all_names.extend(other.all_names);
        self.commits.extend(other.commits);
        self
    }

    /// Without the packages from git.
    pub(crate) fn of_registries(&self) -> Self {
        Self {
            commits: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// Only the packages from git.
    pub(crate) fn of_git(&self) -> Self {
        Self {
            commits: self.commits.clone(),
            ..Self::default()
        }
    }

    /// `package` is `NAME-VERSION`. Both parts may contain dashes.
    pub(crate) fn has_version(&self, package: &str) -> bool {
        package.match_indices('-').any(|(dash, _)| {
            let (name, version) = (&package[..dash], &package[dash + 1..]);
            self.versions
                .contains(&(name.to_owned(), version.to_owned()))
        })
    }

    /// Whether a package of this name is needed, whatever its source.
    pub(crate) fn has_package(&self, name: &str) -> bool {
        self.all_names.contains(name)
    }

    pub(crate) fn all_names(&self) -> impl Iterator<Item = &str> {
        self.all_names.iter().map(String::as_str)
    }

    /// Whether any version of a package is needed. `name` is that of its file in an index.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// `directory` is cargo's directory for the repository: the last part of the URL and 16 digits.
    pub(crate) fn has_repository(&self, directory: &str) -> bool {
        let name = directory_name(directory);
        self.commits.iter().any(|(needed, _)| *needed == name)
    }

    /// `directory` is that of the repository, `commit` the short commit id.
    pub(crate) fn has_checkout(&self, directory: &str, commit: &str) -> bool {
        let name = directory_name(directory);
        self.commits
            .iter()
            .any(|(needed, full_commit)| *needed == name && full_commit.starts_with(commit))
    }
}

/// Packages as `NAME VERSION` and `REPOSITORY COMMIT`. None of the parts contains a space.
#[derive(Serialize, Deserialize)]
struct PackageTexts {
    registry: Vec<String>,
    git: Vec<String>,
}

impl From<PackageTexts> for LockedPackages {
    fn from(texts: PackageTexts) -> Self {
        let mut packages = Self::default();
        for (name, version) in texts
            .registry
            .iter()
            .filter_map(|text| text.split_once(' '))
        {
            packages.add_version(name, version);
        }
        let commits = texts.git.iter().filter_map(|text| text.split_once(' '));
        packages.commits = commits
            .map(|(repository, commit)| (repository.to_owned(), commit.to_owned()))
            .collect();
        packages
    }
}

impl From<LockedPackages> for PackageTexts {
    fn from(packages: LockedPackages) -> Self {
        let text = |(first, second): &(String, String)| format!("{first} {second}");
        Self {
            registry: packages.versions.iter().map(text).collect(),
            git: packages.commits.iter().map(text).collect(),
        }
    }
}

/// The name of the repository in cargo's directory name (cargo, `sources/git/source.rs`, `ident`).
pub(crate) fn directory_name(directory: &str) -> String {
    directory
        .rsplit_once('-')
        .map_or(directory, |(name, _)| name)
        .to_lowercase()
}

/// `git+https://example.org/owner/Name.git?branch=main#0123` gives `name` and `0123`.
fn repository_and_commit(source: &str) -> Option<(String, String)> {
    let (address, commit) = source.rsplit_once('#')?;
    let address = address
        .split_once('?')
        .map_or(address, |(address, _)| address);
    Some((repository_name(address)?, commit.to_owned()))
}

/// The name that cargo gives the directory of a repository, in lower case: the last part of its
/// URL.
pub(crate) fn repository_name(url: &str) -> Option<String> {
    let name = url.trim_end_matches('/').rsplit(['/', ':']).next()?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(lock: &str) -> LockedPackages {
        LockedPackages::of(&[Lockfile::parse(lock.as_bytes()).unwrap()])
    }

    const ONE: &str = "[[package]]\nname = \"Foo-bar\"\nversion = \"1.0.0-alpha-2\"\n\
        source = \"registry+https://example.org/index\"\n\
        [[package]]\nname = \"dep\"\nversion = \"0.1.0\"\n\
        source = \"git+https://example.org/Dep.git#0123456789abcdef\"\n";
    const OTHER: &str = "[[package]]\nname = \"other\"\nversion = \"2.0.0\"\n\
        source = \"registry+https://example.org/index\"\n";

    #[test]
    fn names_and_versions_may_contain_dashes() {
        let packages = packages(ONE);
        assert!(packages.has_version("Foo-bar-1.0.0-alpha-2"));
        assert!(!packages.has_version("Foo-bar-1.0.0") && !packages.has_version("Foo"));
    }

    #[test]
    fn packages_are_the_same_after_json() {
        let packages = packages(ONE).union(packages(OTHER));
        let json = serde_json::to_string(&packages).unwrap();
        assert_eq!(
            json,
            r#"{"registry":["Foo-bar 1.0.0-alpha-2","other 2.0.0"],"git":["dep 0123456789abcdef"]}"#
        );
        assert_eq!(
            serde_json::from_str::<LockedPackages>(&json).unwrap(),
            LockedPackages {
                all_names: BTreeSet::new(),
                ..packages
            }
        );
    }

    #[test]
    fn both_parts_together_are_the_whole() {
        let packages = packages(ONE);
        let (registry, git) = (packages.of_registries(), packages.of_git());
        assert!(registry.has_name("foo-bar") && !registry.has_repository("dep-0011"));
        assert!(!git.has_name("foo-bar") && git.has_checkout("dep-0011", "0123456"));
        assert_eq!(registry.union(git), packages);
    }
}
