//! The files of a project: those of each package, and those outside of all packages.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::packages::PathPackage;
use super::paths::{FoundInput, PathFinder};
use crate::error::Result;
use crate::fs::{FileKind, Namespace, Stat, Timestamp, files};
use crate::git::{BlobId, Repository, list_files};
use crate::monitor::Monitor;

/// Marks a directory as a cache: <https://bford.info/cachedir/>. Cargo puts it into its target
/// directories.
const CACHEDIR_TAG: &str = "CACHEDIR.TAG";

/// Where the sources of a project are. All names are absolute and without symlinks.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProjectPlaces {
    pub(crate) packages: Vec<PathPackage>,
    /// The roots of the workspaces.
    pub(crate) workspaces: Vec<PathBuf>,
    /// The directory of the checkout.
    pub(crate) checkout: PathBuf,
    /// Not sources: target directories, the cache root, `CARGO_HOME`.
    pub(crate) skipped: Vec<PathBuf>,
}

/// What the units of a target directory are judged by.
pub(crate) struct Project<'a> {
    pub(crate) places: &'a ProjectPlaces,
    pub(crate) namespace: &'a dyn Namespace,
    /// All target directories of the job, by name.
    pub(crate) targets: &'a [PathBuf],
    /// What the input `sources` names.
    pub(crate) named: &'a [PathBuf],
    pub(crate) monitor: &'a dyn Monitor,
}

/// A file of the project.
#[derive(Clone, Debug)]
pub(crate) struct ListedSource {
    /// Its metadata, of a symlink itself.
    pub(crate) stat: Stat,
    /// The number of the package around it.
    package: Option<usize>,
    /// When it, or a directory above it, last changed.
    pub(crate) changed: Timestamp,
    /// Its blob if it is as git's index has it.
    pub(crate) blob: Option<BlobId>,
    pub(crate) is_tracked: bool,
    /// Whether the checkout has it, as git wrote it.
    pub(crate) is_checked_out: bool,
}

/// All files of a project that count as sources, by name.
#[derive(Debug, Default)]
pub(crate) struct ProjectFiles {
    pub(crate) files: HashMap<PathBuf, ListedSource>,
    /// For each package, the names of all its files.
    pub(crate) of_packages: Vec<Vec<PathBuf>>,
    /// For each package, the names of files of other packages that its symlinks lead to.
    linked: Vec<Vec<PathBuf>>,
    pub(crate) outside: Vec<PathBuf>,
    /// Roots in which git tracks no file.
    without_git: Vec<PathBuf>,
    /// Whether a directory could not be read, so that files are missing here.
    pub(crate) is_incomplete: bool,
}

impl ProjectFiles {
    /// Lists the files of the checkout, of the repositories of workspaces, and of packages beside
    /// them.
    pub(crate) fn list(project: &Project<'_>, finder: &mut PathFinder<'_>) -> Result<Self> {
        let places = project.places;
        let mut found = Self {
            of_packages: vec![Vec::new(); places.packages.len()],
            ..Self::default()
        };
        for root in places.roots(project.namespace)? {
            found.add(&root, project, finder)?;
        }
        found
            .of_packages
            .iter_mut()
            .for_each(|names| names.sort_unstable());
        found.outside.sort_unstable();
        found.add_linked(finder);
        Ok(found)
    }

    fn add(
        &mut self,
        root: &Path,
        project: &Project<'_>,
        finder: &mut PathFinder<'_>,
    ) -> Result<()> {
        let Project {
            places, namespace, ..
        } = *project;
        let located = namespace.locate_parent(root)?;
        let skipped: Vec<PathBuf> = places
            .skipped
            .iter()
            .filter_map(|name| namespace.locate_parent(name).ok())
            .collect();
        let is_skipped = |path: &Path| {
            let is_cache =
                || files::stat(&path.join(CACHEDIR_TAG)).is_ok_and(|stat| stat.is_some());
            path != located && (skipped.iter().any(|skipped| skipped == path) || is_cache())
        };
        let listing = list_files(namespace, &located, &is_skipped)?;
        for (path, error) in &listing.unreadable {
            project.monitor.warn(&format!(
                "cannot read {}: {error}; all workspace crates are compiled again",
                root.join(path).display()
            ));
            self.is_incomplete = true;
        }
        for error in &listing.unusable {
            log::debug!("{error}; files are compared without git's index");
        }
        if !listing.files.iter().any(|file| file.tracked) {
            self.without_git.push(root.to_owned());
        }
        // The files of a directory follow one another.
        let mut directory = (PathBuf::new(), Timestamp::MIN);
        for file in listing.files {
            let name = root.join(&file.path);
            let parent = name.parent().unwrap_or(root);
            if directory.0.as_os_str() != parent.as_os_str() {
                directory = (parent.to_owned(), finder.directory_moved(parent)?);
            }
            let (_, moved) = directory;
            let package = places.package_of(&name);
            match package {
                Some(package) => self.of_packages[package].push(name.clone()),
                None => self.outside.push(name.clone()),
            }
            let source = ListedSource {
                stat: file.stat,
                package,
                changed: moved.max(file.stat.mtime).max(file.stat.ctime),
                blob: file.blob,
                is_tracked: file.tracked,
                is_checked_out: file.tracked && !file.modified,
            };
            self.files.insert(name, source);
        }
        Ok(())
    }

    /// Follows the symlinks of each package.
    fn add_linked(&mut self, finder: &mut PathFinder<'_>) {
        let mut sorted: Vec<&PathBuf> = Vec::new();
        let mut linked = Vec::new();
        for package in 0..self.of_packages.len() {
            let mut links: Vec<&PathBuf> = self.links_of(package).collect();
            let mut found = BTreeSet::new();
            while let Some(link) = links.pop() {
                // One that cannot be followed brings no files.
                let Ok(Some(end)) = finder.find(link) else {
                    continue;
                };
                if sorted.is_empty() {
                    sorted.extend(self.files.keys());
                    sorted.sort_unstable();
                }
                let first = sorted.partition_point(|name| **name < end.name);
                let below = sorted[first..].iter();
                for name in below.take_while(|name| name.starts_with(&end.name)) {
                    // All packages see what is outside of packages.
                    let of_other = self.files[*name].package.is_some_and(|of| of != package);
                    if of_other && found.insert((*name).clone()) && self.is_link(name) {
                        links.push(name);
                    }
                }
            }
            linked.push(found.into_iter().collect());
        }
        self.linked = linked;
    }

    /// The files of a package, and those that it reaches through symlinks.
    pub(crate) fn seen_by(&self, package: usize) -> impl Iterator<Item = &PathBuf> {
        self.of_packages[package]
            .iter()
            .chain(&self.linked[package])
    }

    /// The symlinks of a package.
    pub(crate) fn links_of(&self, package: usize) -> impl Iterator<Item = &PathBuf> {
        let counted = self.of_packages[package].iter();
        counted.filter(|name| !is_ignored(name) && self.is_link(name))
    }

    pub(crate) fn is_link(&self, name: &Path) -> bool {
        let file = self.files.get(name);
        file.is_some_and(|file| file.stat.kind == FileKind::Symlink)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.of_packages.iter().flatten().chain(&self.outside)
    }

    /// A listed file or symlink, without looking at it again. No path to it leads through a symlink.
    pub(crate) fn found(&self, name: &Path) -> Option<FoundInput> {
        self.files.get(name).map(|file| FoundInput {
            name: name.to_owned(),
            stat: file.stat,
            changed: file.changed,
            links: Vec::new(),
        })
    }

    /// Whether a file is as git wrote it into the checkout.
    pub(crate) fn is_checked_out(&self, name: &Path) -> bool {
        let file = self.files.get(name);
        file.is_some_and(|file| file.is_checked_out)
    }

    /// Whether a file is in a checkout that git made.
    pub(crate) fn has_repository(&self, name: &Path) -> bool {
        !self.without_git.iter().any(|root| name.starts_with(root))
    }

    /// The blob of a file without symlinks on its way.
    pub(crate) fn blob(&self, name: &Path) -> Option<BlobId> {
        let file = self.files.get(name)?;
        file.blob.filter(|_| file.stat.kind == FileKind::File)
    }
}

impl ProjectPlaces {
    /// The outermost directories with sources.
    pub(crate) fn roots(&self, namespace: &dyn Namespace) -> Result<Vec<PathBuf>> {
        let mut candidates = vec![self.checkout.clone()];
        for workspace in &self.workspaces {
            let located = namespace.locate_parent(workspace)?;
            let repository = Repository::find(namespace, &located).ok().flatten();
            candidates.push(repository.map_or_else(
                || workspace.clone(),
                |repository| namespace.original_name(repository.worktree()),
            ));
        }
        candidates.extend(
            self.packages
                .iter()
                .map(|package| package.directory.clone()),
        );
        candidates.sort_unstable_by_key(|path| path.components().count());
        let mut roots: Vec<PathBuf> = Vec::new();
        for candidate in candidates {
            if !roots.iter().any(|root| candidate.starts_with(root)) {
                roots.push(candidate);
            }
        }
        Ok(roots)
    }

    /// The innermost package around a file.
    pub(crate) fn package_of(&self, file: &Path) -> Option<usize> {
        let around = self
            .packages
            .iter()
            .enumerate()
            .filter(|(_, package)| file.starts_with(&package.directory));
        around
            .max_by_key(|(_, package)| package.directory.as_os_str().len())
            .map(|(number, _)| number)
    }
}

/// Whether a file cannot change what a build makes unless an input names it: manifests and lock
/// files, which cargo itself compares, and documents.
pub(crate) fn is_ignored(name: &Path) -> bool {
    let Some(file) = name.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let is_document = Path::new(file)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
        || ["LICENSE", "LICENCE", "COPYING", "NOTICE"]
            .iter()
            .any(|prefix| file.starts_with(prefix));
    let is_setting = [
        "Cargo.toml",
        "Cargo.lock",
        "rustfmt.toml",
        ".rustfmt.toml",
        ".gitignore",
        ".editorconfig",
    ]
    .contains(&file);
    is_document || is_setting || name.components().any(|part| part.as_os_str() == ".github")
}

/// The names of everything below a directory, with symlinks followed, and of the directory itself.
/// A file stands for itself.
pub(crate) fn below(name: &Path, finder: &mut PathFinder<'_>) -> Result<Vec<PathBuf>> {
    /// More directories within each other are a cycle of symlinks.
    const MAX_DEPTH: usize = 64;
    let mut found = Vec::new();
    let mut waiting = vec![(name.to_owned(), 0)];
    while let Some((name, depth)) = waiting.pop() {
        if let Some(source) = finder.find(&name)?
            && source.stat.kind == FileKind::Directory
            && depth < MAX_DEPTH
        {
            let children = files::list(&finder.locate(&source.name)?)?;
            waiting.extend(
                children
                    .into_iter()
                    .map(|child| (name.join(child), depth + 1)),
            );
        }
        found.push(name);
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        let package = |directory: &str| PathPackage {
            directory: directory.into(),
            name: String::new(),
        };
        let places = ProjectPlaces {
            packages: vec![package("/w"), package("/w/member"), package("/beside")],
            ..ProjectPlaces::default()
        };
        for (file, expected) in [
            ("/w/src/lib.rs", Some(0)),
            ("/w/member/src/lib.rs", Some(1)),
            ("/w/members/x", Some(0)),
            ("/beside/x", Some(2)),
            ("/besides/x", None),
        ] {
            assert_eq!(places.package_of(Path::new(file)), expected, "{file}");
        }
    }

    #[test]
    fn documents_and_what_cargo_compares_itself_are_ignored() {
        for (name, expected) in [
            ("README.md", true),
            ("docs/guide.MD", true),
            ("LICENSE-MIT", true),
            (".github/workflows/ci.yml", true),
            ("Cargo.toml", true),
            ("rustfmt.toml", true),
            ("clippy.toml", false),
            ("src/lib.rs", false),
            (".cargo/config.toml", false),
            ("migrations/1.sql", false),
        ] {
            assert_eq!(is_ignored(Path::new(name)), expected, "{name}");
        }
    }
}
