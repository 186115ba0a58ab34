//! The files of a project as components of keys, reduced to what affects downloads and builds.

use std::collections::BTreeSet;

use crate::cargo::key::component::{KeyComponent, KeySection, NOT_FOUND, count_of};
use crate::cargo::key::template::TOOLCHAIN;
use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::config;
use crate::cargo::project::facts::{Compiler, ProjectFacts, ProjectFile};
use crate::cargo::project::lockfile::Lockfile;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::toolchain::overrides::ToolchainFile;
use crate::digest::sha256_hex;

/// The components that a project adds to each key.
#[derive(Debug)]
pub(crate) struct NormalizedInputs {
    pub(crate) registry: Vec<KeyComponent>,
    pub(crate) git: Vec<KeyComponent>,
    pub(crate) toolchain: KeyComponent,
    pub(crate) target: Vec<KeyComponent>,
}

fn parse_warning(file: &ProjectFile, reason: &str) -> String {
    format!(
        "cannot understand {}: {reason}; all its bytes stand for it in the cache keys until it is repaired",
        file.path.display()
    )
}

/// Reduces the files of a project to what matters. Each broken file is one warning, and all its
/// bytes count.
pub(crate) fn normalize(project: &ProjectFacts, warnings: &mut Vec<String>) -> NormalizedInputs {
    let mut warn = |file: &ProjectFile, reason: &str| {
        let line = parse_warning(file, reason);
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
    let (mut registry, git, lock_component) = if let Some((file, lock)) = &lock {
        (
            vec![lock_component(file, lock, Some(false))],
            vec![lock_component(file, lock, Some(true))],
            lock_component(file, lock, None),
        )
    } else {
        let component = manifest_component(&manifests.resolution(), project).note(format!(
            "no Cargo.lock: {} for it",
            count_of(
                project.manifests.len(),
                "manifest stands",
                "manifests stand"
            )
        ));
        (
            vec![component.clone()],
            vec![component],
            KeyComponent::not_found("Cargo.lock", KeySection::Contents),
        )
    };
    let mut target = vec![lock_component];
    let mut all = manifests.build();
    if lock.is_none() {
        all += &manifests.resolution();
    }
    let how_many = count_of(project.manifests.len(), "manifest", "manifests");
    target.push(manifest_component(&all, project).note(how_many));
    target.push(toolchain_file_component(project, &mut warn));
    target.extend(config_components(project, config::build, &mut warn));
    let sources = config_components(project, config::sources, &mut |_, _| {}).into_iter();
    registry.extend(sources.filter(|component| component.origin != ComponentOrigin::NotFound));
    NormalizedInputs {
        registry,
        git,
        toolchain: toolchain_component(project),
        target,
    }
}

fn toolchain_component(project: &ProjectFacts) -> KeyComponent {
    let found = &project.toolchain;
    let value = match &found.compiler {
        Compiler::Build(build) => build.clone(),
        Compiler::Requested(name) => project.placeholders.replace_in(name),
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

/// A component for `Cargo.lock`: only its git packages, only its registry packages, or all.
fn lock_component(
    file: &ProjectFile,
    lock: &Result<Lockfile, String>,
    git: Option<bool>,
) -> KeyComponent {
    let origin = ComponentOrigin::File(file.path.clone());
    let component = |text: &[u8]| {
        KeyComponent::new("Cargo.lock", sha256_hex(text), origin, KeySection::Contents)
    };
    let Ok(lock) = lock else {
        return component(&file.bytes).note("broken: all its bytes");
    };
    let (text, packages) = match git {
        Some(git) => lock.lines(git),
        None => (
            lock.lines(false).0 + &lock.lines(true).0,
            lock.packages.len(),
        ),
    };
    component(text.as_bytes()).note(match git {
        Some(true) => count_of(packages, "git dependency", "git dependencies"),
        _ => count_of(packages, "crate", "crates"),
    })
}

fn toolchain_file_component(
    project: &ProjectFacts,
    warn: &mut dyn FnMut(&ProjectFile, &str),
) -> KeyComponent {
    let Some(file) = &project.toolchain_file else {
        return KeyComponent::not_found("rust-toolchain", KeySection::Contents);
    };
    let may_be_a_line = file.path.extension().is_none();
    let text = ToolchainFile::parse(&file.bytes, may_be_a_line).map(|parsed| parsed.normalized);
    KeyComponent::new(
        "rust-toolchain",
        value(file, text, warn),
        ComponentOrigin::File(file.path.clone()),
        KeySection::Contents,
    )
}

/// One component for each configuration file that has a relevant setting; "not found" if none has.
fn config_components(
    project: &ProjectFacts,
    reduce: fn(&[u8]) -> Result<String, String>,
    warn: &mut dyn FnMut(&ProjectFile, &str),
) -> Vec<KeyComponent> {
    let name = ".cargo/config.toml";
    let mut components = Vec::new();
    for file in &project.configs {
        let text = reduce(&file.bytes).map(|text| project.placeholders.replace_in(&text));
        if text.as_ref().is_ok_and(String::is_empty) {
            continue;
        }
        let value = value(file, text, warn);
        components.push(KeyComponent::new(
            name,
            value,
            ComponentOrigin::File(file.path.clone()),
            KeySection::Contents,
        ));
    }
    if components.is_empty() {
        components.push(KeyComponent::not_found(name, KeySection::Contents));
    }
    components
}

fn value(
    file: &ProjectFile,
    text: Result<String, String>,
    warn: &mut dyn FnMut(&ProjectFile, &str),
) -> String {
    match text {
        Ok(text) => sha256_hex(text.as_bytes()),
        Err(reason) => {
            warn(file, &reason);
            sha256_hex(&file.bytes)
        }
    }
}

struct Manifests {
    whole: Vec<CargoManifest>,
    /// Digests of the manifests that can't be parsed.
    broken: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Manifests {
    fn read(project: &ProjectFacts, warn: &mut dyn FnMut(&ProjectFile, &str)) -> Self {
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
                    manifests.broken.insert(sha256_hex(&file.bytes));
                }
            }
        }
        manifests
    }

    /// One text for all manifests. Their order and paths do not matter.
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

fn manifest_component(text: &str, project: &ProjectFacts) -> KeyComponent {
    let Some(first) = project.manifests.first() else {
        return KeyComponent::not_found("Cargo.toml", KeySection::Contents);
    };
    let text = project.placeholders.replace_in(text);
    KeyComponent::new(
        "Cargo.toml",
        sha256_hex(text.as_bytes()),
        ComponentOrigin::File(first.path.clone()),
        KeySection::Contents,
    )
}
