//! What is asked and what was found.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cargo::key::component::ComponentOrigin;
use crate::cargo::key::inputs::KeyInputs;
use crate::cargo::project::placeholders::Placeholders;

/// A workspace whose target directory is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRequest {
    /// Its directory, absolute. A member's stands for the workspace that it belongs to.
    pub root: PathBuf,
    /// The target directory: absolute, or relative to `root`; `None` for where cargo puts it.
    pub target: Option<PathBuf>,
}

/// What keys are asked for.
#[derive(Clone)]
pub struct KeyRequest {
    /// The workspaces.
    pub workspaces: Vec<WorkspaceRequest>,
    /// The environment that cargo will have. `PATH` tells which compiler comes first; without it, a
    /// compiler below `cargo_home` comes before the system's.
    pub env: BTreeMap<OsString, OsString>,
    /// The checkout, absolute; only to recognise it in values.
    pub checkout: PathBuf,
    /// The home directory of who runs cargo; empty when it is not known.
    pub home: PathBuf,
    /// `CARGO_HOME`, or where it is when that is not set.
    pub cargo_home: PathBuf,
    /// `RUSTUP_HOME`, or where it is when that is not set.
    pub rustup_home: PathBuf,
    /// The operating system, as `std::env::consts::OS` names it.
    pub os: String,
    /// The architecture, as `std::env::consts::ARCH` names it.
    pub arch: String,
    /// The id of the job, `GITHUB_JOB`; may be empty.
    pub job: String,
    /// What the user says about keys.
    pub key_inputs: KeyInputs,
}

impl KeyRequest {
    /// The keys of the project in the checkout, with the defaults of all inputs, on this machine.
    pub fn new(env: BTreeMap<OsString, OsString>, home: &Path, checkout: &Path) -> Self {
        let value = |name: &str| env.get(OsStr::new(name)).filter(|value| !value.is_empty());
        let directory = |name, usual: &str| {
            value(name).map_or_else(|| home.join(usual), |directory| checkout.join(directory))
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

    /// A value of the environment, if it is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// What directories are called in the values of a project at `root`.
    pub(crate) fn places(&self, root: &Path) -> Placeholders {
        Placeholders::new(&[
            (&self.checkout, "{checkout}"),
            (root, "{workspace}"),
            (&self.cargo_home, "{cargo-home}"),
            (&self.rustup_home, "{rustup-home}"),
            (&self.home, "~"),
        ])
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The compiler of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// A text that is another for each build of the compiler.
    Build(String),
    /// It can't be seen; this is what is said of it.
    Said(String),
    /// Nothing is said, and none is there.
    Unknown,
}

/// Which toolchain a project is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// What decided for it.
    pub origin: ComponentOrigin,
    /// For people: what it is called, or why it can't be seen.
    pub note: String,
}

/// What was found of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    /// What was asked.
    pub asked: WorkspaceRequest,
    /// The target directory, absolute.
    pub target: PathBuf,
    /// The directory of intermediate artifacts, absolute, where it is another one
    /// (`build.build-dir`).
    pub build: Option<PathBuf>,
    /// The Cargo project; `None` where there is neither a Cargo.toml nor a Cargo.lock.
    pub project: Option<ProjectFacts>,
}

/// What was found of a Cargo project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFacts {
    /// The root of the workspace that cargo builds.
    pub root: PathBuf,
    /// The toolchain.
    pub toolchain: Toolchain,
    /// The toolchain file that is nearest above the root.
    pub toolchain_file: Option<SourceFile>,
    /// Cargo's configuration files, the nearest first, the one of `CARGO_HOME` last.
    pub configs: Vec<SourceFile>,
    /// Cargo.lock, wherever it is.
    pub lock: Option<SourceFile>,
    /// The manifests of the root, of all members and of dependencies with a path; the root's first.
    pub manifests: Vec<SourceFile>,
    /// Names for directories in values.
    pub(crate) places: Placeholders,
}

/// Everything that keys are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoFacts {
    /// [`KeyRequest::os`].
    pub os: String,
    /// [`KeyRequest::arch`].
    pub arch: String,
    /// [`KeyRequest::job`].
    pub job: String,
    /// [`KeyRequest::key_inputs`].
    pub key_inputs: KeyInputs,
    /// The environment variables that change what is built.
    pub variables: BTreeMap<String, String>,
    /// The workspaces, as asked.
    pub workspaces: Vec<WorkspaceFacts>,
    /// What could not be looked at, one line each.
    pub warnings: Vec<String>,
}
