//! The keys of a Cargo project's caches.
//!
//! A project has one cache for its registry, one for its git dependencies, and one for each target
//! directory. [`gather`](crate::cargo::gather::gather) reads the machine and returns
//! [`CargoFacts`]; [`compute_keys`] computes [`CargoKeys`] from them and does no I/O. docs/keys.md
//! is the description for users.
//!
//! # Why a key is the same from run to run
//!
//! It is computed only from [`KeyComponent`]s, and each is shown with its origin. A component is in
//! a key only if it changes what cargo builds or downloads:
//!
//! - variables from an explicit list ([`env_vars`]), which has no tokens, run numbers or terminal
//!   settings;
//! - files as cargo understands them, reduced to what matters: the order of keys, comments, and
//!   versions of the workspace's own packages do not count;
//! - no path: files are identified by their contents, and in values the home directory, cargo's,
//!   rustup's and the checkout are replaced by [placeholders](crate::cargo::project::placeholders).
//!
//! # Why a target directory is never restored for another compiler
//!
//! A target key has two digests. The first covers everything that artifacts must not be shared
//! across (compiler, variables and the readable text before it), the second everything that cargo
//! itself checks (lock file, manifests, configuration). The only restore prefix ends after the
//! first.
//!
//! # Shapes of keys
//!
//! docs/keys.md explains each section:
//!
//! ```text
//! <prefix>-registry-<os>-<arch>-<contents>
//! <prefix>-git-<os>-<arch>-<contents>
//! <prefix>-target-<name>-<os>-<arch>-<environment>-<contents>
//! ```
//!
//! `<name>` is the value of `shared-key`, or else the value of `key` and the job's id.

pub mod component;
pub mod env_vars;
pub(crate) mod normalize;
pub mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cargo::key::component::{KeyComponent, KeySection, digest};
use crate::cargo::key::normalize::{NormalizedInputs, normalize};
use crate::cargo::key::template::KeyTemplate;
use crate::cargo::key_inputs::KeyInputs;
use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::facts::{CargoFacts, Compiler, WorkspaceFacts, WorkspaceRequest};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedKey {
    pub text: String,
    /// Prefixes of keys to use on a miss. The newest matching entry is restored.
    pub restore_keys: Vec<String>,
    pub components: Vec<KeyComponent>,
    /// Computes the key for another compiler; `None` if the compiler is not part of it.
    pub template: Option<KeyTemplate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetKey {
    /// The workspaces that build into the directory: usually one.
    pub workspaces: Vec<WorkspaceRequest>,
    pub directory: PathBuf,
    /// The directories of intermediate artifacts (`build.build-dir`). A directory that several
    /// targets share belongs to the first of them.
    pub build_dirs: Vec<PathBuf>,
    pub key: ComputedKey,
}

/// One key for each cache of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoKeys {
    pub registry: ComputedKey,
    pub git: ComputedKey,
    pub bin: ComputedKey,
    /// The input `cache-directories`. The contents may depend on everything that target directories
    /// depend on.
    pub directories: ComputedKey,
    /// One for each target directory of a workspace with a Cargo project, in the order of the
    /// workspaces.
    pub target: Vec<TargetKey>,
    /// Problems with the files that the keys are computed from, one line each.
    pub warnings: Vec<String>,
}

type Member<'f> = (&'f WorkspaceFacts, &'f NormalizedInputs);

pub fn compute_keys(facts: &CargoFacts) -> CargoKeys {
    let mut warnings = facts.warnings.clone();
    let inputs: Vec<(&WorkspaceFacts, NormalizedInputs)> = facts
        .workspaces
        .iter()
        .filter_map(|workspace| {
            Some((
                workspace,
                normalize(workspace.project.as_ref()?, &mut warnings),
            ))
        })
        .collect();
    let members: Vec<Member<'_>> = inputs
        .iter()
        .map(|(workspace, inputs)| (*workspace, inputs))
        .collect();
    let collect = |components: fn(&NormalizedInputs) -> &[KeyComponent]| -> Vec<KeyComponent> {
        members
            .iter()
            .flat_map(|(_, inputs)| components(inputs))
            .cloned()
            .collect()
    };
    CargoKeys {
        registry: shared_key(facts, "registry", collect(|inputs| &inputs.registry)),
        git: shared_key(facts, "git", collect(|inputs| &inputs.git)),
        bin: bin_key(facts),
        directories: build_key(facts, "directories", &members),
        target: target_keys(facts, &members),
        warnings,
    }
}

/// The key of the registry or of git dependencies. Downloads are the same for every job and
/// toolchain, so neither is in the key.
fn shared_key(facts: &CargoFacts, kind: &str, mut contents: Vec<KeyComponent>) -> ComputedKey {
    if contents.is_empty() {
        contents.push(KeyComponent::not_found("Cargo.lock", KeySection::Contents));
    }
    let mut components = vec![prefix_component(facts)];
    components.extend(machine_components(facts));
    let readable = readable_text(kind, &components);
    components.extend(contents);
    let text = format!("{readable}-{}", digest(&components));
    ComputedKey {
        text,
        restore_keys: vec![readable + "-"],
        components,
        template: None,
    }
}

/// Installed programs do not depend on the project, but each job installs different ones.
fn bin_key(facts: &CargoFacts) -> ComputedKey {
    let (components, readable) = identity_components(facts, "bin");
    ComputedKey::without_restore_keys(&readable, components)
}

impl ComputedKey {
    /// A digest for each part of the key, by name, to tell later which parts differ. The values
    /// themselves may be secret.
    pub fn parts(&self) -> BTreeMap<String, String> {
        let mut of_names: BTreeMap<&str, Vec<&KeyComponent>> = BTreeMap::new();
        // A variable that only one of two keys has differs. That the other has none is no difference
        // of its own.
        let components = self.components.iter();
        for component in components.filter(|it| it.name != NO_VARIABLES) {
            of_names.entry(&component.name).or_default().push(component);
        }
        let short = |components: Vec<&KeyComponent>| digest(components)[..8].to_owned();
        of_names
            .into_iter()
            .map(|(name, components)| (name.to_owned(), short(components)))
            .collect()
    }

    /// The digest stays even if every component is readable. Without it the key would be a prefix
    /// of other keys and would match their entries.
    fn without_restore_keys(readable: &str, components: Vec<KeyComponent>) -> Self {
        Self {
            text: format!("{readable}-{}", digest(&components)),
            restore_keys: Vec::new(),
            components,
            template: None,
        }
    }
}

/// Workspaces that build into one directory, for example because of `CARGO_TARGET_DIR`, share its
/// cache.
fn target_keys(facts: &CargoFacts, members: &[Member<'_>]) -> Vec<TargetKey> {
    let by_directory = members_by_target(members);
    let mut taken: Vec<&PathBuf> = by_directory.iter().map(|(target, _)| *target).collect();
    let mut keys = Vec::new();
    for (directory, members) in &by_directory {
        let mut build_dirs = Vec::new();
        for build_dir in members
            .iter()
            .filter_map(|(workspace, _)| workspace.build_dir.as_ref())
        {
            if !taken.contains(&build_dir) {
                taken.push(build_dir);
                build_dirs.push(build_dir.clone());
            }
        }
        keys.push(TargetKey {
            workspaces: members
                .iter()
                .map(|(workspace, _)| workspace.request.clone())
                .collect(),
            directory: (*directory).clone(),
            build_dirs,
            key: build_key(facts, "target", members),
        });
    }
    keys
}

/// The target directories in the order of the workspaces.
fn members_by_target<'f>(members: &[Member<'f>]) -> Vec<(&'f PathBuf, Vec<Member<'f>>)> {
    let mut groups: Vec<(&PathBuf, Vec<Member<'f>>)> = Vec::new();
    for member in members {
        let target = &member.0.target;
        match groups.iter_mut().find(|(known, _)| *known == target) {
            Some((_, members)) => members.push(*member),
            None => groups.push((target, vec![*member])),
        }
    }
    groups
}

/// The components that identify whose cache it is, and the readable start of its key.
fn identity_components(facts: &CargoFacts, kind: &str) -> (Vec<KeyComponent>, String) {
    let mut components = vec![prefix_component(facts)];
    components.extend(name_components(facts));
    components.extend(machine_components(facts));
    let readable = readable_text(kind, &components);
    (components, readable)
}

/// The key of a cache of compiled artifacts.
fn build_key(facts: &CargoFacts, kind: &str, members: &[Member<'_>]) -> ComputedKey {
    let (mut components, readable) = identity_components(facts, kind);
    if !facts.key_inputs.add_environment {
        components.push(omitted_environment());
        return ComputedKey::without_restore_keys(&readable, components);
    }
    for (_, inputs) in members {
        if !components.contains(&inputs.toolchain) {
            components.push(inputs.toolchain.clone());
        }
    }
    components.extend(variable_components(facts));
    let contents: Vec<KeyComponent> = members
        .iter()
        .flat_map(|(_, inputs)| &inputs.target)
        .cloned()
        .collect();
    let template = KeyTemplate::new(
        readable,
        &components,
        digest(&contents),
        members.iter().all(is_compiler_known),
    );
    components.extend(contents);
    ComputedKey {
        text: template.key(),
        restore_keys: vec![template.restore_prefix()],
        components,
        template: Some(template),
    }
}

fn is_compiler_known((workspace, _): &Member<'_>) -> bool {
    let project = workspace.project.as_ref();
    project.is_some_and(|project| matches!(project.toolchain.compiler, Compiler::Build(_)))
}

/// The value is part of the digest.
fn omitted_environment() -> KeyComponent {
    KeyComponent::new(
        "environment",
        "left out",
        ENVIRONMENT,
        KeySection::Environment,
    )
    .note("any toolchain, any Cargo.lock")
}

/// The part of a key that depends on no variable.
const NO_VARIABLES: &str = "variables";

const ENVIRONMENT: ComponentOrigin = ComponentOrigin::Input("add-rust-environment-hash-key");

fn prefix_component(facts: &CargoFacts) -> KeyComponent {
    KeyComponent::new(
        "prefix",
        &facts.key_inputs.prefix_key,
        ComponentOrigin::Input("prefix-key"),
        KeySection::Readable,
    )
}

fn machine_components(facts: &CargoFacts) -> [KeyComponent; 2] {
    [
        ("operating system", &facts.os),
        ("architecture", &facts.arch),
    ]
    .map(|(name, value)| {
        KeyComponent::new(name, value, ComponentOrigin::Machine, KeySection::Readable)
    })
}

/// Jobs with the same `shared-key` share a target directory, or else those with the same `key` and
/// job id.
fn name_components(facts: &CargoFacts) -> Vec<KeyComponent> {
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
            KeySection::Readable,
        )];
    }
    let mut names = Vec::new();
    if !key.is_empty() {
        names.push(KeyComponent::new(
            "key",
            key,
            ComponentOrigin::Input("key"),
            KeySection::Readable,
        ));
    }
    if *add_job_id && !facts.job.is_empty() {
        names.push(KeyComponent::new(
            "job",
            &facts.job,
            ComponentOrigin::Variable("GITHUB_JOB".to_owned()),
            KeySection::Readable,
        ));
    }
    names
}

fn variable_components(facts: &CargoFacts) -> Vec<KeyComponent> {
    if facts.variables.is_empty() {
        return vec![KeyComponent::new(
            NO_VARIABLES,
            "none set",
            ComponentOrigin::NotFound,
            KeySection::Environment,
        )];
    }
    let component = |(name, value): (&String, &String)| {
        KeyComponent::new(
            name,
            value,
            ComponentOrigin::Variable(name.clone()),
            KeySection::Environment,
        )
    };
    facts.variables.iter().map(component).collect()
}

/// The readable start of a key: the prefix, the kind of cache, then the other values.
fn readable_text(kind: &str, components: &[KeyComponent]) -> String {
    let mut values: Vec<&str> = components
        .iter()
        .map(|component| component.value.as_str())
        .collect();
    values.insert(values.len().min(1), kind);
    values.join("-")
}
