//! Key components of a project's files, reduced to what affects downloads and builds.

use std::collections::BTreeSet;

use crate::cargo::key::component::{KeyComponent, KeySection, NOT_FOUND, count_of};
use crate::cargo::key::template::TOOLCHAIN;
use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::config;
use crate::cargo::project::facts::{Compiler, ProjectFacts, ProjectFile};
use crate::cargo::project::lockfile::Lockfile;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::project::vendored_packages::VendoredPackages;
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

/// What determines the downloads: `Cargo.lock`, or else the manifests.
struct DownloadComponents {
    registry: KeyComponent,
    git: KeyComponent,
    /// The component of both together.
    lock: KeyComponent,
}

/// Reduces the files of a project to what affects downloads and builds. A file that can't be parsed
/// adds one warning, and all its bytes count.
pub(crate) fn normalize(project: &ProjectFacts, warnings: &mut Vec<String>) -> NormalizedInputs {
    let mut warn = |file: &ProjectFile, reason: &str| {
        let line = parse_warning(file, reason);
        if !warnings.contains(&line) {
            warnings.push(line);
        }
    };
    let manifests = Manifests::read(project, &mut warn);
    let mut manifest_text = manifests.build();
    let downloads = if let Some(file) = &project.lock {
        lock_components(file, &mut warn)
    } else {
        manifest_text += &manifests.resolution();
        components_without_lock(project, &manifests)
    };
    let manifest_count = count_of(project.manifests.len(), "manifest", "manifests");
    let mut target = vec![
        downloads.lock,
        manifest_component(&manifest_text, project).note(manifest_count),
        toolchain_file_component(project, &mut warn),
    ];
    target.extend(config_components(project, config::build, &mut warn));
    let mut registry = vec![downloads.registry];
    registry.extend(source_components(project));
    target.extend(project.vendored.iter().map(vendored_component));
    NormalizedInputs {
        registry,
        git: vec![downloads.git],
        toolchain: toolchain_component(project),
        target,
    }
}

fn vendored_component(packages: &VendoredPackages) -> KeyComponent {
    KeyComponent::new(
        "vendored packages",
        &packages.digest,
        ComponentOrigin::File(packages.directory.clone()),
        KeySection::Contents,
    )
    .note(count_of(packages.packages.len(), "package", "packages"))
}

/// The components of source replacement; none if it is not configured.
fn source_components(project: &ProjectFacts) -> Vec<KeyComponent> {
    // The components of builds have already caused the warnings about these files.
    let mut components = config_components(project, config::sources, &mut |_, _| {});
    components.retain(|component| component.origin != ComponentOrigin::NotFound);
    components
}

fn parse_warning(file: &ProjectFile, reason: &str) -> String {
    format!(
        "cannot parse {}: {reason}; until it is fixed, every change to it changes the cache keys",
        file.path.display()
    )
}

fn lock_components(
    file: &ProjectFile,
    warn: &mut dyn FnMut(&ProjectFile, &str),
) -> DownloadComponents {
    let lock = match Lockfile::parse(&file.bytes) {
        Ok(lock) => lock,
        Err(reason) => {
            warn(file, &reason);
            let broken = lock_component(file, &file.bytes, "broken: all its bytes".to_owned());
            return DownloadComponents {
                registry: broken.clone(),
                git: broken.clone(),
                lock: broken,
            };
        }
    };
    let (registry, registry_count) = lock.lines(false);
    let (git, git_count) = lock.lines(true);
    let all = format!("{registry}{git}");
    let crates = |count| count_of(count, "crate", "crates");
    DownloadComponents {
        registry: lock_component(file, registry.as_bytes(), crates(registry_count)),
        git: lock_component(
            file,
            git.as_bytes(),
            count_of(git_count, "git dependency", "git dependencies"),
        ),
        lock: lock_component(file, all.as_bytes(), crates(lock.packages.len())),
    }
}

fn lock_component(file: &ProjectFile, text: &[u8], note: String) -> KeyComponent {
    let origin = ComponentOrigin::File(file.path.clone());
    KeyComponent::new("Cargo.lock", sha256_hex(text), origin, KeySection::Contents).note(note)
}

/// Without a `Cargo.lock`, cargo resolves the dependencies of the manifests.
fn components_without_lock(project: &ProjectFacts, manifests: &Manifests) -> DownloadComponents {
    let count = count_of(project.manifests.len(), "manifest", "manifests");
    let component = manifest_component(&manifests.resolution(), project)
        .note(format!("no Cargo.lock: computed from {count}"));
    DownloadComponents {
        registry: component.clone(),
        git: component,
        lock: KeyComponent::not_found("Cargo.lock", KeySection::Contents),
    }
}

fn toolchain_component(project: &ProjectFacts) -> KeyComponent {
    let toolchain = &project.toolchain;
    let value = match &toolchain.compiler {
        Compiler::Build(build) => build.clone(),
        Compiler::Requested(name) => project.placeholders.replace_in(name),
        Compiler::Unknown => NOT_FOUND.to_owned(),
    };
    KeyComponent::new(
        TOOLCHAIN,
        value,
        toolchain.origin.clone(),
        KeySection::Environment,
    )
    .note(&toolchain.note)
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
        digest_or_warn(file, text, warn),
        ComponentOrigin::File(file.path.clone()),
        KeySection::Contents,
    )
}

/// One component for each configuration file that has a relevant setting; "not found" if none has.
fn config_components(
    project: &ProjectFacts,
    normalize: fn(&[u8]) -> Result<String, String>,
    warn: &mut dyn FnMut(&ProjectFile, &str),
) -> Vec<KeyComponent> {
    let name = ".cargo/config.toml";
    let mut components = Vec::new();
    for file in &project.configs {
        let text = normalize(&file.bytes).map(|text| project.placeholders.replace_in(&text));
        if text.as_ref().is_ok_and(String::is_empty) {
            continue;
        }
        let value = digest_or_warn(file, text, warn);
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

/// The digest of the normalized text, or of the whole file if it can't be parsed.
fn digest_or_warn(
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
    parsed: Vec<CargoManifest>,
    /// Digests of the manifests that can't be parsed.
    broken: BTreeSet<String>,
    package_names: BTreeSet<String>,
}

impl Manifests {
    fn read(project: &ProjectFacts, warn: &mut dyn FnMut(&ProjectFile, &str)) -> Self {
        let mut manifests = Self {
            parsed: Vec::new(),
            broken: BTreeSet::new(),
            package_names: BTreeSet::new(),
        };
        for file in &project.manifests {
            match CargoManifest::parse(&file.bytes) {
                Ok(manifest) => {
                    manifests
                        .package_names
                        .extend(manifest.name().map(str::to_owned));
                    manifests.parsed.push(manifest);
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
            .parsed
            .iter()
            .map(text)
            .chain(self.broken.iter().cloned())
            .collect();
        texts.into_iter().map(|text| text + "\n").collect()
    }

    fn resolution(&self) -> String {
        self.joined(|manifest| manifest.resolution(&self.package_names))
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
