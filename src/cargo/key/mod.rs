//! The keys of a Cargo project's caches: what they are made of, and why each part is in them.
//!
//! A project has a cache of its registry, one of its git dependencies, and one of each target
//! directory. [`gather`] looks at the machine and returns [`Facts`]; [`keys`] makes [`Keys`] of
//! them and touches nothing. docs/keys.md tells the same to those who use it.
//!
//! # Why a key is the same from run to run
//!
//! It is made of [`Part`]s and nothing else, and each is shown with where it came from. A part is
//! in a key only if it changes what cargo builds or downloads:
//!
//! - variables by an explicit list ([`variables`]), so no token, run number or terminal setting is
//!   among them;
//! - files in the form that cargo understands, reduced to what matters: the order of keys,
//!   comments, versions of the workspace's own packages and the like don't count;
//! - no path: files are told apart by their contents, and in values the home directory, cargo's,
//!   rustup's and the checkout stand as names ([`places`]).
//!
//! # Why a target directory is never restored under another compiler
//!
//! A target's key has two digests. The first is over what artifacts can't be shared across
//! (compiler, variables and the readable words before it), the second over what cargo sorts out by
//! itself (lock file, manifests, configuration). The only restore prefix ends after the first.
//!
//! # Shapes of keys
//!
//! docs/keys.md says what stands in each section:
//!
//! ```text
//! <prefix>-registry-<os>-<arch>-<contents>
//! <prefix>-git-<os>-<arch>-<contents>
//! <prefix>-target-<words>-<os>-<arch>-<environment>-<contents>
//! ```

pub mod component;
pub mod env_vars;
pub mod inputs;
pub mod normalize;
pub mod template;

use std::path::PathBuf;

use crate::cargo::key::component::{Origin, Part, Piece, digest};
use crate::cargo::key::inputs::KeyInputs;
use crate::cargo::key::normalize::{Reduced, reduce};
use crate::cargo::key::template::Recipe;
use crate::cargo::project::facts::{Compiler, Facts, WorkspaceAsked, WorkspaceFacts};

/// A computed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// What the key of an entry begins with that may stand in on a miss; of several, the newest is
    /// right.
    pub restore: Vec<String>,
    /// What it is made of.
    pub parts: Vec<Part>,
    /// How to make it again for another compiler; none where the compiler is not in it.
    pub recipe: Option<Recipe>,
}

/// The key of a target directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetKey {
    /// The workspaces as asked that build into it, in their order: usually one.
    pub workspaces: Vec<WorkspaceAsked>,
    /// The target directory, absolute.
    pub directory: PathBuf,
    /// The other directories that they build into, absolute: those of intermediate artifacts
    /// (`build.build-dir`). One that several target directories share is the first one's.
    pub builds: Vec<PathBuf>,
    /// Its key.
    pub key: Key,
}

/// The keys of a project's caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The registry: index, archives and sources.
    pub registry: Key,
    /// Git dependencies: clones and checkouts.
    pub git: Key,
    /// The programs that cargo installed.
    pub bin: Key,
    /// The input `cache-directories`: what these hold may depend on everything that target
    /// directories depend on.
    pub directories: Key,
    /// One for each target directory of workspaces in which there is a Cargo project, in the order
    /// of those.
    pub target: Vec<TargetKey>,
    /// What is wrong with the files that the keys are made of, one line each.
    pub warnings: Vec<String>,
}

type Member<'f> = (&'f WorkspaceFacts, &'f Reduced);

/// Makes the keys.
pub fn keys(facts: &Facts) -> Keys {
    let mut warnings = facts.warnings.clone();
    let reduced: Vec<(&WorkspaceFacts, Reduced)> = facts
        .workspaces
        .iter()
        .filter_map(|workspace| {
            Some((
                workspace,
                reduce(workspace.project.as_ref()?, &mut warnings),
            ))
        })
        .collect();
    let members: Vec<Member<'_>> = reduced
        .iter()
        .map(|(workspace, reduced)| (*workspace, reduced))
        .collect();
    let of_all = |parts: fn(&Reduced) -> &[Part]| -> Vec<Part> {
        members
            .iter()
            .flat_map(|(_, reduced)| parts(reduced))
            .cloned()
            .collect()
    };
    Keys {
        registry: shared(facts, "registry", of_all(|reduced| &reduced.registry)),
        git: shared(facts, "git", of_all(|reduced| &reduced.git)),
        bin: bin(facts),
        directories: built(facts, "directories", &members),
        target: targets(facts, &members),
        warnings,
    }
}

/// Registry and git: what jobs download is the same whatever they do with it, so neither job nor
/// toolchain counts.
fn shared(facts: &Facts, kind: &str, mut contents: Vec<Part>) -> Key {
    if contents.is_empty() {
        contents.push(Part::not_found("Cargo.lock", Piece::Contents));
    }
    let mut parts = vec![prefix(facts)];
    parts.extend(machine(facts));
    let before = words(kind, &parts);
    parts.extend(contents);
    let text = format!("{before}-{}", digest(&parts));
    Key {
        text,
        restore: vec![before + "-"],
        parts,
        recipe: None,
    }
}

/// What was installed does not depend on the project; jobs install different programs.
fn bin(facts: &Facts) -> Key {
    let (parts, before) = beginning(facts, "bin");
    Key {
        text: format!("{before}-{}", digest(&parts)),
        restore: Vec::new(),
        parts,
        recipe: None,
    }
}

/// Workspaces that build into one directory, as `CARGO_TARGET_DIR` makes them, share its cache.
fn targets(facts: &Facts, members: &[Member<'_>]) -> Vec<TargetKey> {
    let mut of_directories: Vec<(&PathBuf, Vec<Member<'_>>)> = Vec::new();
    for member in members {
        let directory = &member.0.target;
        match of_directories
            .iter_mut()
            .find(|(known, _)| *known == directory)
        {
            Some((_, members)) => members.push(*member),
            None => of_directories.push((directory, vec![*member])),
        }
    }
    let mut known: Vec<PathBuf> = of_directories
        .iter()
        .map(|(directory, _)| (*directory).clone())
        .collect();
    let mut target = |(directory, members): (&PathBuf, Vec<Member<'_>>)| {
        let mut builds = Vec::new();
        for build in members
            .iter()
            .filter_map(|(workspace, _)| workspace.build.as_ref())
        {
            if !known.contains(build) {
                known.push(build.clone());
                builds.push(build.clone());
            }
        }
        TargetKey {
            workspaces: members
                .iter()
                .map(|(workspace, _)| workspace.asked.clone())
                .collect(),
            directory: directory.clone(),
            builds,
            key: built(facts, "target", &members),
        }
    };
    of_directories.into_iter().map(&mut target).collect()
}

/// The parts that say whose a cache of what was built is, and the beginning of its key.
fn beginning(facts: &Facts, kind: &str) -> (Vec<Part>, String) {
    let mut parts = vec![prefix(facts)];
    parts.extend(names(facts));
    parts.extend(machine(facts));
    let before = words(kind, &parts);
    (parts, before)
}

/// The key of what a compiler made.
fn built(facts: &Facts, kind: &str, members: &[Member<'_>]) -> Key {
    let (mut parts, before) = beginning(facts, kind);
    if !facts.key_inputs.add_environment {
        let left_out = Part::new("environment", "left out", ENVIRONMENT, Piece::Environment)
            .note("any toolchain, any Cargo.lock");
        parts.push(left_out);
        // A digest all the same: without, the key would be the beginning of others, and so find
        // those of any toolchain.
        let text = format!("{before}-{}", digest(&parts));
        return Key {
            text,
            restore: Vec::new(),
            parts,
            recipe: None,
        };
    }
    for (_, reduced) in members {
        if !parts.contains(&reduced.toolchain) {
            parts.push(reduced.toolchain.clone());
        }
    }
    parts.extend(variables(facts));
    let is_seen = members.iter().all(|(workspace, _)| {
        let toolchain = workspace
            .project
            .as_ref()
            .map(|project| &project.toolchain.compiler);
        matches!(toolchain, Some(Compiler::Build(_)))
    });
    let contents: Vec<Part> = members
        .iter()
        .flat_map(|(_, reduced)| &reduced.target)
        .cloned()
        .collect();
    let recipe = Recipe::new(before, &parts, digest(&contents), is_seen);
    parts.extend(contents);
    Key {
        text: recipe.key(),
        restore: vec![recipe.nearest()],
        parts,
        recipe: Some(recipe),
    }
}

const ENVIRONMENT: Origin = Origin::Input("add-rust-environment-hash-key");

fn prefix(facts: &Facts) -> Part {
    Part::new(
        "prefix",
        &facts.key_inputs.prefix_key,
        Origin::Input("prefix-key"),
        Piece::Words,
    )
}

fn machine(facts: &Facts) -> [Part; 2] {
    [
        ("operating system", &facts.os),
        ("architecture", &facts.arch),
    ]
    .map(|(name, value)| Part::new(name, value, Origin::Machine, Piece::Words))
}

/// Who shares a target directory: those with the same `shared-key`, or else with the same `key` and
/// job.
fn names(facts: &Facts) -> Vec<Part> {
    let KeyInputs {
        shared_key,
        key,
        add_job_id,
        ..
    } = &facts.key_inputs;
    if !shared_key.is_empty() {
        return vec![Part::new(
            "shared key",
            shared_key,
            Origin::Input("shared-key"),
            Piece::Words,
        )];
    }
    let mut names = Vec::new();
    if !key.is_empty() {
        names.push(Part::new("key", key, Origin::Input("key"), Piece::Words));
    }
    if *add_job_id && !facts.job.is_empty() {
        names.push(Part::new(
            "job",
            &facts.job,
            Origin::Variable("GITHUB_JOB".to_owned()),
            Piece::Words,
        ));
    }
    names
}

fn variables(facts: &Facts) -> Vec<Part> {
    if facts.variables.is_empty() {
        return vec![Part::new(
            "variables",
            "none set",
            Origin::NotFound,
            Piece::Environment,
        )];
    }
    let part = |(name, value): (&String, &String)| {
        Part::new(
            name,
            value,
            Origin::Variable(name.clone()),
            Piece::Environment,
        )
    };
    facts.variables.iter().map(part).collect()
}

/// The readable beginning of a key: the prefix, the kind of cache, and the rest.
fn words(kind: &str, parts: &[Part]) -> String {
    let mut words: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    words.insert(words.len().min(1), kind);
    words.join("-")
}
