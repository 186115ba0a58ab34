//! The keys of a Cargo project's caches: what they are made of, and why each part is in them.
//!
//! A project has a cache of its registry, one of its git dependencies, and one of each target
//! directory. [`gather`] looks at the machine and returns [`CargoFacts`]; [`keys`] makes
//! [`CargoKeys`] of them and touches nothing. docs/keys.md tells the same to those who use it.
//!
//! # Why a key is the same from run to run
//!
//! It is made of [`KeyComponent`]s and nothing else, and each is shown with where it came from. A
//! part is in a key only if it changes what cargo builds or downloads:
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

use crate::cargo::key::component::{ComponentOrigin, KeyComponent, KeySection, digest};
use crate::cargo::key::inputs::KeyInputs;
use crate::cargo::key::normalize::{NormalizedInputs, reduce};
use crate::cargo::key::template::KeyTemplate;
use crate::cargo::project::facts::{CargoFacts, Compiler, WorkspaceFacts, WorkspaceRequest};

/// A computed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedKey {
    /// The key.
    pub text: String,
    /// What the key of an entry begins with that may stand in on a miss; of several, the newest is
    /// right.
    pub restore: Vec<String>,
    /// What it is made of.
    pub parts: Vec<KeyComponent>,
    /// How to make it again for another compiler; none where the compiler is not in it.
    pub recipe: Option<KeyTemplate>,
}

/// The key of a target directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetKey {
    /// The workspaces as asked that build into it, in their order: usually one.
    pub workspaces: Vec<WorkspaceRequest>,
    /// The target directory, absolute.
    pub directory: PathBuf,
    /// The other directories that they build into, absolute: those of intermediate artifacts
    /// (`build.build-dir`). One that several target directories share is the first one's.
    pub builds: Vec<PathBuf>,
    /// Its key.
    pub key: ComputedKey,
}

/// The keys of a project's caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoKeys {
    /// The registry: index, archives and sources.
    pub registry: ComputedKey,
    /// Git dependencies: clones and checkouts.
    pub git: ComputedKey,
    /// The programs that cargo installed.
    pub bin: ComputedKey,
    /// The input `cache-directories`: what these hold may depend on everything that target
    /// directories depend on.
    pub directories: ComputedKey,
    /// One for each target directory of workspaces in which there is a Cargo project, in the order
    /// of those.
    pub target: Vec<TargetKey>,
    /// What is wrong with the files that the keys are made of, one line each.
    pub warnings: Vec<String>,
}

type Member<'f> = (&'f WorkspaceFacts, &'f NormalizedInputs);

/// Makes the keys.
pub fn keys(facts: &CargoFacts) -> CargoKeys {
    let mut warnings = facts.warnings.clone();
    let reduced: Vec<(&WorkspaceFacts, NormalizedInputs)> = facts
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
    let of_all = |parts: fn(&NormalizedInputs) -> &[KeyComponent]| -> Vec<KeyComponent> {
        members
            .iter()
            .flat_map(|(_, reduced)| parts(reduced))
            .cloned()
            .collect()
    };
    CargoKeys {
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
fn shared(facts: &CargoFacts, kind: &str, mut contents: Vec<KeyComponent>) -> ComputedKey {
    if contents.is_empty() {
        contents.push(KeyComponent::not_found("Cargo.lock", KeySection::Contents));
    }
    let mut parts = vec![prefix(facts)];
    parts.extend(machine(facts));
    let before = words(kind, &parts);
    parts.extend(contents);
    let text = format!("{before}-{}", digest(&parts));
    ComputedKey {
        text,
        restore: vec![before + "-"],
        parts,
        recipe: None,
    }
}

/// What was installed does not depend on the project; jobs install different programs.
fn bin(facts: &CargoFacts) -> ComputedKey {
    let (parts, before) = beginning(facts, "bin");
    ComputedKey {
        text: format!("{before}-{}", digest(&parts)),
        restore: Vec::new(),
        parts,
        recipe: None,
    }
}

/// Workspaces that build into one directory, as `CARGO_TARGET_DIR` makes them, share its cache.
fn targets(facts: &CargoFacts, members: &[Member<'_>]) -> Vec<TargetKey> {
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
fn beginning(facts: &CargoFacts, kind: &str) -> (Vec<KeyComponent>, String) {
    let mut parts = vec![prefix(facts)];
    parts.extend(names(facts));
    parts.extend(machine(facts));
    let before = words(kind, &parts);
    (parts, before)
}

/// The key of what a compiler made.
fn built(facts: &CargoFacts, kind: &str, members: &[Member<'_>]) -> ComputedKey {
    let (mut parts, before) = beginning(facts, kind);
    if !facts.key_inputs.add_environment {
        let left_out = KeyComponent::new(
            "environment",
            "left out",
            ENVIRONMENT,
            KeySection::Environment,
        )
        .note("any toolchain, any Cargo.lock");
        parts.push(left_out);
        // A digest all the same: without, the key would be the beginning of others, and so find
        // those of any toolchain.
        let text = format!("{before}-{}", digest(&parts));
        return ComputedKey {
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
    let contents: Vec<KeyComponent> = members
        .iter()
        .flat_map(|(_, reduced)| &reduced.target)
        .cloned()
        .collect();
    let recipe = KeyTemplate::new(before, &parts, digest(&contents), is_seen);
    parts.extend(contents);
    ComputedKey {
        text: recipe.key(),
        restore: vec![recipe.nearest()],
        parts,
        recipe: Some(recipe),
    }
}

const ENVIRONMENT: ComponentOrigin = ComponentOrigin::Input("add-rust-environment-hash-key");

fn prefix(facts: &CargoFacts) -> KeyComponent {
    KeyComponent::new(
        "prefix",
        &facts.key_inputs.prefix_key,
        ComponentOrigin::Input("prefix-key"),
        KeySection::Words,
    )
}

fn machine(facts: &CargoFacts) -> [KeyComponent; 2] {
    [
        ("operating system", &facts.os),
        ("architecture", &facts.arch),
    ]
    .map(|(name, value)| {
        KeyComponent::new(name, value, ComponentOrigin::Machine, KeySection::Words)
    })
}

/// Who shares a target directory: those with the same `shared-key`, or else with the same `key` and
/// job.
fn names(facts: &CargoFacts) -> Vec<KeyComponent> {
    let KeyInputs {
        shared_key,
        key,
        add_job_id,
        ..
    } = &facts.key_inputs;
    if !shared_key.is_empty() {
        return vec![KeyComponent::new(
            "shared key",
            shared_key,
            ComponentOrigin::Input("shared-key"),
            KeySection::Words,
        )];
    }
    let mut names = Vec::new();
    if !key.is_empty() {
        names.push(KeyComponent::new(
            "key",
            key,
            ComponentOrigin::Input("key"),
            KeySection::Words,
        ));
    }
    if *add_job_id && !facts.job.is_empty() {
        names.push(KeyComponent::new(
            "job",
            &facts.job,
            ComponentOrigin::Variable("GITHUB_JOB".to_owned()),
            KeySection::Words,
        ));
    }
    names
}

fn variables(facts: &CargoFacts) -> Vec<KeyComponent> {
    if facts.variables.is_empty() {
        return vec![KeyComponent::new(
            "variables",
            "none set",
            ComponentOrigin::NotFound,
            KeySection::Environment,
        )];
    }
    let part = |(name, value): (&String, &String)| {
        KeyComponent::new(
            name,
            value,
            ComponentOrigin::Variable(name.clone()),
            KeySection::Environment,
        )
    };
    facts.variables.iter().map(part).collect()
}

/// The readable beginning of a key: the prefix, the kind of cache, and the rest.
fn words(kind: &str, parts: &[KeyComponent]) -> String {
    let mut words: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    words.insert(words.len().min(1), kind);
    words.join("-")
}
