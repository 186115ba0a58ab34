//! What was found of a project, as parts of keys.

use std::collections::BTreeSet;

use crate::cargo::key::component::{
    ComponentOrigin, KeyComponent, KeySection, NOT_FOUND, count, sha256,
};
use crate::cargo::key::template::TOOLCHAIN;
use crate::cargo::project::config;
use crate::cargo::project::facts::{Compiler, ProjectFacts, SourceFile};
use crate::cargo::project::lockfile::Lockfile;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::toolchain::overrides::ToolchainFile;

/// A project's parts of each key.
#[derive(Debug)]
pub(crate) struct NormalizedInputs {
    pub(crate) registry: Vec<KeyComponent>,
    pub(crate) git: Vec<KeyComponent>,
    pub(crate) toolchain: KeyComponent,
    pub(crate) target: Vec<KeyComponent>,
}

/// What is said of a broken file.
fn not_understood(file: &SourceFile, reason: &str) -> String {
    format!(
        "cannot understand {}: {reason}; all its bytes stand for it in the cache keys until it is repaired",
        file.path.display()
    )
}

/// Reduces a project to what matters of it; what is broken is said, once.
pub(crate) fn reduce(project: &ProjectFacts, warnings: &mut Vec<String>) -> NormalizedInputs {
    let mut warn = |file: &SourceFile, reason: &str| {
        let line = not_understood(file, reason);
        if !warnings.contains(&line) {
            warnings.push(line);
        }
    };
    let manifests = Manifests::read(project, &mut warn);
    let lock = project
        .lock
        .as_ref()
        .map(|file| (file, Lockfile::parse(&file.bytes)));
    if let Some((file, Err(reason))) = &lock {
        warn(file, reason);
    }
    let (mut registry, git, lock_part) = if let Some((file, lock)) = &lock {
        (
            vec![lock_of(file, lock, Some(false))],
            vec![lock_of(file, lock, Some(true))],
            lock_of(file, lock, None),
        )
    } else {
        let part = manifests_as(&manifests.resolution(), project).note(format!(
            "no Cargo.lock: {} for it",
            count(
                project.manifests.len(),
                "manifest stands",
                "manifests stand"
            )
        ));
        (
            vec![part.clone()],
            vec![part],
            KeyComponent::not_found("Cargo.lock", KeySection::Contents),
        )
    };
    let mut target = vec![lock_part];
    let mut all = manifests.build();
    if lock.is_none() {
        all += &manifests.resolution();
    }
    let how_many = count(project.manifests.len(), "manifest", "manifests");
    target.push(manifests_as(&all, project).note(how_many));
    target.push(toolchain_file(project, &mut warn));
    target.extend(configs(project, config::build, &mut warn));
    let sources = configs(project, config::sources, &mut |_, _| {}).into_iter();
    registry.extend(sources.filter(|part| part.origin != ComponentOrigin::NotFound));
    NormalizedInputs {
        registry,
        git,
        toolchain: toolchain(project),
        target,
    }
}

fn toolchain(project: &ProjectFacts) -> KeyComponent {
    let found = &project.toolchain;
    let value = match &found.compiler {
        Compiler::Build(build) => build.clone(),
        Compiler::Said(said) => project.places.named(said),
        Compiler::Unknown => NOT_FOUND.to_owned(),
    };
    KeyComponent::new(
        TOOLCHAIN,
        value,
        found.origin.clone(),
        KeySection::Environment,
    )
    .note(&found.note)
}

/// Cargo.lock: its git packages, its registry packages, or all.
fn lock_of(file: &SourceFile, lock: &Result<Lockfile, String>, git: Option<bool>) -> KeyComponent {
    let origin = ComponentOrigin::File(file.path.clone());
    let part =
        |text: &[u8]| KeyComponent::new("Cargo.lock", sha256(text), origin, KeySection::Contents);
    let Ok(lock) = lock else {
        return part(&file.bytes).note("broken: all its bytes");
    };
    let (text, packages) = match git {
        Some(git) => lock.lines(git),
        None => (
            lock.lines(false).0 + &lock.lines(true).0,
            lock.packages.len(),
        ),
    };
    part(text.as_bytes()).note(match git {
        Some(true) => count(packages, "git dependency", "git dependencies"),
        _ => count(packages, "crate", "crates"),
    })
}

fn toolchain_file(project: &ProjectFacts, warn: &mut dyn FnMut(&SourceFile, &str)) -> KeyComponent {
    let Some(file) = &project.toolchain_file else {
        return KeyComponent::not_found("rust-toolchain", KeySection::Contents);
    };
    let may_be_a_line = file.path.extension().is_none();
    let text = ToolchainFile::parse(&file.bytes, may_be_a_line).map(|parsed| parsed.text);
    KeyComponent::new(
        "rust-toolchain",
        value(file, text, warn),
        ComponentOrigin::File(file.path.clone()),
        KeySection::Contents,
    )
}

/// A part for each configuration file that says something of the kind; one that says "not found"
/// where none does.
fn configs(
    project: &ProjectFacts,
    reduce: fn(&[u8]) -> Result<String, String>,
    warn: &mut dyn FnMut(&SourceFile, &str),
) -> Vec<KeyComponent> {
    let name = ".cargo/config.toml";
    let mut parts = Vec::new();
    for file in &project.configs {
        let text = reduce(&file.bytes).map(|text| project.places.named(&text));
        if text.as_ref().is_ok_and(String::is_empty) {
            continue;
        }
        let value = value(file, text, warn);
        parts.push(KeyComponent::new(
            name,
            value,
            ComponentOrigin::File(file.path.clone()),
            KeySection::Contents,
        ));
    }
    if parts.is_empty() {
        parts.push(KeyComponent::not_found(name, KeySection::Contents));
    }
    parts
}

fn value(
    file: &SourceFile,
    text: Result<String, String>,
    warn: &mut dyn FnMut(&SourceFile, &str),
) -> String {
    match text {
        Ok(text) => sha256(text.as_bytes()),
        Err(reason) => {
            warn(file, &reason);
            sha256(&file.bytes)
        }
    }
}

/// All manifests of a project.
struct Manifests {
    whole: Vec<CargoManifest>,
    /// Digests of those that can't be understood.
    broken: BTreeSet<String>,
    /// The names of the packages.
    names: BTreeSet<String>,
}

impl Manifests {
    fn read(project: &ProjectFacts, warn: &mut dyn FnMut(&SourceFile, &str)) -> Self {
        let mut manifests = Self {
            whole: Vec::new(),
            broken: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        for file in &project.manifests {
            match CargoManifest::parse(&file.bytes) {
                Ok(manifest) => {
                    manifests.names.extend(manifest.name().map(str::to_owned));
                    manifests.whole.push(manifest);
                }
                Err(reason) => {
                    warn(file, &reason);
                    manifests.broken.insert(sha256(&file.bytes));
                }
            }
        }
        manifests
    }

    /// One text for all, whatever the order and the paths of the manifests.
    fn joined(&self, text: impl Fn(&CargoManifest) -> String) -> String {
        let texts: BTreeSet<String> = self
            .whole
            .iter()
            .map(text)
            .chain(self.broken.iter().cloned())
            .collect();
        texts.into_iter().map(|text| text + "\n").collect()
    }

    fn resolution(&self) -> String {
        self.joined(|manifest| manifest.resolution(&self.names))
    }

    fn build(&self) -> String {
        self.joined(CargoManifest::build)
    }
}

/// The part that a text of all manifests makes.
fn manifests_as(text: &str, project: &ProjectFacts) -> KeyComponent {
    let Some(first) = project.manifests.first() else {
        return KeyComponent::not_found("Cargo.toml", KeySection::Contents);
    };
    let text = project.places.named(text);
    KeyComponent::new(
        "Cargo.toml",
        sha256(text.as_bytes()),
        ComponentOrigin::File(first.path.clone()),
        KeySection::Contents,
    )
}
