//! What cargo keeps in a target directory: its units, their records and outputs.
//!
//! Source: cargo, `compiler/{layout,fingerprint}`. Each unit has a file with its fingerprint. A
//! JSON file next to it has the inputs of the fingerprint: the fingerprints of the unit's
//! dependencies, and what cargo compares with the disk. The dep-info file of the compiler, next to
//! the output, lists the sources. There are two layouts:
//!
//! - until 1.99, fingerprints are in `<profile>/.fingerprint/<package>-<hash>`, and outputs in
//!   `deps`, `build` and `examples` carry the same hash;
//! - since 1.100, a unit is in `<profile>/build/<package>/<hash>`: `fingerprint`, `out` and `run`.
//!
//! A target directory can have both, if two versions of cargo used it. In a directory with another
//! layout, no profiles are found.
//!
//! A target directory below another one (that of Miri, `cargo llvm-cov` or trybuild) looks like the
//! directory of a platform, but cargo writes `.rustc_info.json` only into target directories. Its
//! profiles are not read.

pub(crate) mod dep_info;
mod fingerprint;
mod hashless;
mod read;

use std::path::PathBuf;

use crate::fs::Timestamp;

pub(crate) use fingerprint::LocalCheck;
pub(crate) use read::read_target;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetDir {
    /// Includes those of other platforms, such as `target/x86_64-unknown-linux-musl/debug`.
    pub profiles: Vec<Profile>,
}

/// The directory of a profile, such as `target/debug`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub directory: PathBuf,
    pub units: Vec<Unit>,
    /// All directories of records, also those that can't be read, relative to the profile's
    /// directory.
    pub record_dirs: Vec<PathBuf>,
    /// Files and directories of one or more units, relative to the profile's directory, each with
    /// the unit's hash.
    pub outputs: Vec<(PathBuf, String)>,
    pub incremental: Vec<Incremental>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub package: String,
    /// Some units of a package share their hash.
    pub hash: String,
    /// For example `lib-serde` or `test-bin-app`.
    pub name: String,
    /// `None` if its build failed.
    pub fingerprint: Option<u64>,
    /// The fingerprints of its dependencies.
    pub dependencies: Vec<u64>,
    pub origin: UnitOrigin,
    /// When its build ended: the modification time of its fingerprint.
    pub built: Timestamp,
    /// What cargo compares besides the fingerprints of dependencies.
    pub local: Vec<LocalCheck>,
    /// The directory with its fingerprint, relative to that of the profile.
    pub record_dir: PathBuf,
    /// The compiler's list of sources.
    pub dep_info: Option<PathBuf>,
    /// The files whose times cargo compares, and those beside them, relative to the directory of
    /// the profile.
    pub artifacts: Vec<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum UnitOrigin {
    /// A registry package, as `NAME-VERSION`.
    Registry(String),
    /// A git dependency, by cargo's directories for the repository and the commit.
    Git(String, String),
    /// A file of the workspace, relative to its root.
    Workspace(PathBuf),
    /// Unknown or outside of the workspace.
    #[default]
    Elsewhere,
}

/// Incremental compilation data of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incremental {
    /// The name of its directory: `CRATE-HASH`.
    pub name: String,
    pub modified: Timestamp,
    /// The names of session directories and lock files.
    pub sessions: Vec<String>,
}

impl Profile {
    /// The files of a unit in its record directory. Another unit of the same hash can have others
    /// there.
    pub(crate) fn record_files(&self, unit: &Unit) -> [PathBuf; 3] {
        let directory = self.directory.join(&unit.record_dir);
        let name = &unit.name;
        [name.clone(), format!("{name}.json"), format!("dep-{name}")]
            .map(|name| directory.join(name))
    }
}

impl Unit {
    /// The name of its crate; `None` for the run of a build script.
    pub(crate) fn crate_name(&self) -> Option<String> {
        let kinds = [
            "lib-",
            "bin-",
            "integration-test-",
            "example-",
            "benchmark-",
            "bench-",
            "build-script-",
        ];
        let name = ["test-", "doc-"]
            .iter()
            .find_map(|mode| self.name.strip_prefix(mode))
            .unwrap_or(&self.name);
        let name = kinds.iter().find_map(|kind| name.strip_prefix(kind))?;
        Some(name.replace('-', "_"))
    }

    /// Whether it has outputs of the compiler: it is neither documentation nor the run of a build
    /// script.
    pub(crate) fn compiles(&self) -> bool {
        !self.is_doc() && !self.is_build_script_run()
    }

    /// Whether it is the documentation of a crate.
    pub(crate) fn is_doc(&self) -> bool {
        self.name.starts_with("doc-")
    }

    /// Whether it is the run of a build script.
    pub(crate) fn is_build_script_run(&self) -> bool {
        self.name.starts_with("run-")
    }
}

/// Reads any bytes as the files of a target directory.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    drop(dep_info::parse(bytes));
    drop(fingerprint::Fingerprint::parse(bytes));
    fingerprint::parse_number(bytes);
}
