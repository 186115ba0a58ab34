//! The packages that lock files need, in the form of cargo's directory names.

use std::collections::BTreeSet;

use crate::cargo::project::facts::WorkspaceFacts;
use crate::cargo::project::lockfile::Lockfile;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedPackages {
    /// `NAME-VERSION` of registry packages.
    versions: BTreeSet<String>,
    /// Their names in lower case, as in an index.
    names: BTreeSet<String>,
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
        for package in locks.iter().flat_map(|lock| &lock.packages) {
            if package.is_git() {
                needed
                    .commits
                    .extend(repository_and_commit(&package.source));
            } else {
                needed
                    .versions
                    .insert(format!("{}-{}", package.name, package.version));
                needed.names.insert(package.name.to_lowercase());
            }
        }
        needed
    }

    pub(crate) fn has_version(&self, package: &str) -> bool {
        self.versions.contains(package)
    }

    /// Whether any version of a package is needed. `name` is that of its file in an index.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// `directory` is cargo's directory for the repository: the last part of the URL and 16 digits.
    pub(crate) fn has_repository(&self, directory: &str) -> bool {
        let name = repository(directory);
        self.commits.iter().any(|(needed, _)| *needed == name)
    }

    /// `directory` is that of the repository, `commit` the short commit id.
    pub(crate) fn has_checkout(&self, directory: &str, commit: &str) -> bool {
        let name = repository(directory);
        self.commits
            .iter()
            .any(|(needed, full_commit)| *needed == name && full_commit.starts_with(commit))
    }
}

/// The name of the repository in cargo's directory name (cargo, `sources/git/source.rs`, `ident`).
fn repository(directory: &str) -> String {
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
        .map_or(address, |(address, _)| address)
        .trim_end_matches('/');
    let name = address.rsplit('/').next()?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    Some((name.to_lowercase(), commit.to_owned()))
}
