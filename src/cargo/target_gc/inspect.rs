//! Reads target directories and finds what a build can use of them.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::{FileKind, Namespace, Timestamp, files};

use crate::cargo::project::facts::{ProjectFacts, WorkspaceFacts};
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::target_dir::{TargetDir, read_target};
use crate::cargo::target_gc::docs::DocDir;
use crate::cargo::target_gc::left_over::left_over;
use crate::cargo::target_gc::listing::{TargetListing, unused_outputs};
use crate::cargo::target_gc::locked_packages::LockedPackages;
use crate::cargo::target_gc::own_targets::{OwnTargets, PackageFile};
use crate::cargo::target_gc::reachable::BuildFacts;
use crate::cargo::target_gc::unused::UnusedOutputs;

/// What no build of the workspaces can use in target directories and in those of intermediate
/// artifacts.
///
/// `workspaces` must be all workspaces that build into the directories, gathered after the build, so
/// that the lock file is the one of the build.
pub fn inspect(
    roots: &[PathBuf],
    workspaces: &[WorkspaceFacts],
    namespace: &dyn Namespace,
) -> Result<UnusedOutputs> {
    let listing = read(roots)?;
    with_facts(workspaces, namespace, |facts| {
        unused_outputs(&listing, facts)
    })
}

/// Files and directories of programs, examples, tests, libraries and documentation that are no
/// longer part of the workspaces, in directories that were restored.
pub fn find_left_over(
    roots: &[PathBuf],
    workspaces: &[WorkspaceFacts],
    namespace: &dyn Namespace,
) -> Result<Vec<PathBuf>> {
    let listing = read(roots)?;
    with_facts(workspaces, namespace, |facts| left_over(&listing, facts))
}

fn with_facts<T>(
    workspaces: &[WorkspaceFacts],
    namespace: &dyn Namespace,
    decide: impl FnOnce(BuildFacts<'_>) -> T,
) -> Result<T> {
    let needed = LockedPackages::of_workspaces(workspaces);
    let projects: Vec<&ProjectFacts> = workspaces
        .iter()
        .filter_map(|workspace| workspace.project.as_ref())
        .collect();
    let roots = projects
        .iter()
        .map(|project| namespace.locate(&project.root));
    let roots = roots.collect::<Result<Vec<PathBuf>>>()?;
    let own_targets = own_targets(&projects, namespace);
    Ok(decide(BuildFacts {
        needed: needed.as_ref(),
        own_targets: own_targets.as_ref(),
        // A source that can't be inspected counts as present.
        is_source: &|path| {
            roots
                .iter()
                .any(|root| !matches!(files::stat(&root.join(path)), Ok(None)))
        },
        mtime: &|path| files::mtime(path).ok().flatten(),
        now: Timestamp::now(),
    }))
}

fn read(roots: &[PathBuf]) -> Result<TargetListing> {
    let mut target = TargetDir::default();
    let mut platforms = vec![PathBuf::new()];
    for root in roots {
        let profiles = read_target(root)?.profiles;
        for profile in &profiles {
            platforms.extend(platform(root, &profile.directory));
        }
        target.profiles.extend(profiles);
    }
    platforms.sort_unstable();
    platforms.dedup();
    let mut docs = Vec::new();
    for root in roots {
        for platform in &platforms {
            let directories = roots.iter().map(|root| root.join(platform));
            let directories: Vec<PathBuf> = directories.collect();
            let is_of_platform = |profile: &&PathBuf| {
                let parent = profile.parent();
                directories
                    .iter()
                    .any(|directory| parent == Some(directory))
            };
            let profiles = target.profiles.iter().map(|profile| &profile.directory);
            docs.extend(doc_dir(
                root.join(platform).join("doc"),
                profiles.filter(is_of_platform).cloned().collect(),
            )?);
        }
    }
    Ok(TargetListing {
        roots: roots.to_vec(),
        target,
        docs,
    })
}

/// The directory above that of a profile, relative to the target directory: empty, or the name of a
/// platform.
fn platform(root: &Path, profile: &Path) -> Option<PathBuf> {
    Some(profile.parent()?.strip_prefix(root).ok()?.to_owned())
}

/// `None` if it does not exist.
fn doc_dir(directory: PathBuf, profiles: Vec<PathBuf>) -> Result<Option<DocDir>> {
    if !is_kind(&directory, FileKind::Directory) {
        return Ok(None);
    }
    let mut crates = Vec::new();
    for name in files::list(&directory)? {
        if is_kind(&directory.join(&name).join("index.html"), FileKind::File) {
            crates.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(Some(DocDir {
        directory,
        profiles,
        crates,
    }))
}

/// `None` if a manifest cannot be parsed: then the targets are not known.
fn own_targets(projects: &[&ProjectFacts], namespace: &dyn Namespace) -> Option<OwnTargets> {
    let mut targets = OwnTargets::default();
    for file in projects.iter().flat_map(|project| &project.manifests) {
        let manifest = CargoManifest::parse(&file.bytes).ok()?;
        let package = namespace.locate(file.path.parent()?).ok()?;
        targets.add(&manifest, &|directory| {
            package_files(&package.join(directory))
        });
    }
    Some(targets)
}

fn package_files(directory: &Path) -> Vec<PackageFile> {
    let names = files::list(directory).unwrap_or_default().into_iter();
    names
        .filter_map(|name| name.into_string().ok())
        .map(|name| PackageFile {
            is_program_dir: is_kind(&directory.join(&name).join("main.rs"), FileKind::File),
            name,
        })
        .collect()
}

fn is_kind(path: &Path, kind: FileKind) -> bool {
    matches!(files::stat(path), Ok(Some(stat)) if stat.kind == kind)
}
