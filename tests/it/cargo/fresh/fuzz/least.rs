//! The packages that a job may compile after another one with the same command.

use std::collections::BTreeSet;

use super::scripts::Script;
use super::world::{Package, World};
use crate::cargo::fresh::support::Files;
use crate::cargo::fresh::support::files::Node;

/// What a job built from.
#[derive(Clone)]
pub(super) struct Inputs {
    pub(super) files: Files,
    pub(super) command: usize,
    pub(super) variable: usize,
    pub(super) commit: String,
}

/// The names of packages that changed between two jobs with the same command, or that are never
/// fresh, and of those that depend on them.
pub(super) fn may_compile(world: &World, last: &Inputs, now: &Inputs) -> BTreeSet<String> {
    let mut changed = changed(world, last, now);
    for package in &world.packages {
        let is_changed = package.script.is_some_and(|script| {
            let waits = script == Script::WatchesMissingFile
                && !now
                    .files
                    .0
                    .contains_key(&format!("{}/maybe.txt", package.directory));
            waits
                || script.writes_sources()
                || (script.stamps_commit() && last.commit != now.commit)
                || (script == Script::WatchesVariable && last.variable != now.variable)
        });
        if is_changed {
            changed.insert(package.name.clone());
        }
    }
    // A file that is written beside its package may be an input of each build script.
    let is_writing_beside = |script| script == Some(Script::WritesBeside);
    if world.packages.iter().any(|it| is_writing_beside(it.script)) {
        if !world.uses_git {
            // Nothing says that the file is not a source.
            return world
                .packages
                .iter()
                .map(|it| it.name.clone())
                .chain(["mac".to_owned()])
                .collect();
        }
        let scripted = world.packages.iter().filter(|it| it.script.is_some());
        changed.extend(scripted.map(|package| package.name.clone()));
    }
    with_dependants(world, changed)
}

/// The packages in whose directories something changed; all of them if something outside did.
fn changed(world: &World, last: &Inputs, now: &Inputs) -> BTreeSet<String> {
    let names = || world.packages.iter().map(|package| package.name.clone());
    let mut found = BTreeSet::new();
    let paths: BTreeSet<&String> = last.files.0.keys().chain(now.files.0.keys()).collect();
    for path in paths {
        if last.files.0.get(path) == now.files.0.get(path) || path.ends_with("/README.md") {
            continue;
        }
        for package in &world.packages {
            if reaches(last, package, path) || reaches(now, package, path) {
                found.insert(package.name.clone());
            }
        }
        let mut packages = world.packages.iter();
        let owner = packages.find(|it| path.starts_with(&format!("{}/", it.directory)));
        if let Some(package) = owner {
            found.insert(package.name.clone());
        } else {
            found.insert("mac".to_owned());
            let is_macro = path.starts_with("repo/repo/mac/");
            found.extend(names().filter(|_| !is_macro));
        }
    }
    found
}

/// Whether a symlink of a package leads to a file, or to a directory around it.
fn reaches(inputs: &Inputs, package: &Package, path: &str) -> bool {
    let of_package = inputs.files.0.iter();
    let mut targets = of_package.filter_map(|(link, node)| match node {
        Node::Link(target) if link.starts_with(&format!("{}/", package.directory)) => {
            Some(resolve(link, target))
        }
        _ => None,
    });
    targets.any(|target| path == target || path.starts_with(&format!("{target}/")))
}

fn resolve(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn with_dependants(world: &World, mut found: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let dependants: Vec<String> = world
            .packages
            .iter()
            .filter(|package| {
                let depends = |name: &str| found.contains(name);
                (package.uses_macro && depends("mac"))
                    || package
                        .depends_on
                        .iter()
                        .any(|other| depends(&format!("p{other}")))
            })
            .map(|package| package.name.clone())
            .collect();
        let before = found.len();
        found.extend(dependants);
        if found.len() == before {
            return found;
        }
    }
}
