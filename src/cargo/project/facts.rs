//! The request for keys, and the facts that the keys are computed from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cargo::key_inputs::KeyInputs;
use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::placeholders::Placeholders;
use crate::cargo::project::vendored_packages::VendoredPackages;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRequest {
    /// Absolute. The directory of a member selects its workspace.
    pub root: PathBuf,
    /// Absolute, or relative to `root`; `None` for the directory that cargo uses by default.
    pub target: Option<PathBuf>,
}

#[derive(Clone)]
pub struct KeyRequest {
    pub workspaces: Vec<WorkspaceRequest>,
    /// The environment that cargo will have. `PATH` decides which compiler comes first. Without it,
    /// a compiler below `cargo_home` comes before that of the system.
    pub env: BTreeMap<OsString, OsString>,
    /// Absolute. Used only to recognise it in values.
    pub checkout: PathBuf,
    /// The home directory of the user who runs cargo; empty if not known.
    pub home: PathBuf,
    pub cargo_home: PathBuf,
    pub rustup_home: PathBuf,
    pub os: String,
    pub arch: String,
    /// The variable `GITHUB_JOB`; may be empty.
    pub job: String,
    pub key_inputs: KeyInputs,
}

impl KeyRequest {
    /// A request for the project in the checkout on this machine, with the defaults of all inputs.
    pub fn new(env: BTreeMap<OsString, OsString>, home: &Path, checkout: &Path) -> Self {
        let value = |name: &str| env.get(OsStr::new(name)).filter(|value| !value.is_empty());
        let directory = |name, default: &str| {
            value(name).map_or_else(|| home.join(default), |directory| checkout.join(directory))
        };
        Self {
            workspaces: vec![WorkspaceRequest {
                root: checkout.to_owned(),
                target: None,
            }],
            checkout: checkout.to_owned(),
            home: home.to_owned(),
            cargo_home: directory("CARGO_HOME", ".cargo"),
            rustup_home: directory("RUSTUP_HOME", ".rustup"),
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            job: value("GITHUB_JOB")
                .map_or_else(String::new, |job| job.to_string_lossy().into_owned()),
            key_inputs: KeyInputs::default(),
            env,
        }
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Names that replace directories in the values of a project at `root`.
    pub(crate) fn placeholders(&self, root: &Path) -> Placeholders {
        Placeholders::new(&[
            (&self.checkout, "{checkout}"),
            (root, "{workspace}"),
            (&self.cargo_home, "{cargo-home}"),
            (&self.rustup_home, "{rustup-home}"),
            (&self.home, "~"),
        ])
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// An identifier that differs for each build of the compiler.
    Build(String),
    /// The compiler was not found. This is the requested toolchain.
    Requested(String),
    /// No compiler was found and none was requested.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    pub compiler: Compiler,
    /// The setting that selected it.
    pub origin: ComponentOrigin,
    /// Its name, or why it was not found; shown in the log.
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    pub request: WorkspaceRequest,
    pub target: PathBuf,
    /// The directory of intermediate artifacts (`build.build-dir`), absolute, if it is not
    /// `target`.
    pub build_dir: Option<PathBuf>,
    /// `None` if there is neither a Cargo.toml nor a Cargo.lock.
    pub project: Option<ProjectFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFacts {
    /// The root of the workspace.
    pub root: PathBuf,
    pub toolchain: Toolchain,
    /// The nearest toolchain file at or above the root.
    pub toolchain_file: Option<ProjectFile>,
    /// The nearest first, that of `CARGO_HOME` last.
    pub configs: Vec<ProjectFile>,
    /// One for each directory that replaces a registry.
    pub vendored: Vec<VendoredPackages>,
    /// `resolver.lockfile-path` can move it.
    pub lock: Option<ProjectFile>,
    /// The manifests of the root, of all members and of path dependencies. That of the root comes
    /// first.
    pub manifests: Vec<ProjectFile>,
    pub(crate) placeholders: Placeholders,
}

/// Everything that keys are computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoFacts {
    pub os: String,
    pub arch: String,
    pub job: String,
    pub key_inputs: KeyInputs,
    pub variables: BTreeMap<String, String>,
    pub workspaces: Vec<WorkspaceFacts>,
    /// Files that could not be read, one line each.
    pub warnings: Vec<String>,
}
