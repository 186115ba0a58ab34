//! Jobs on a small Cargo project: checkouts, builds with the real cargo, saves and restores.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use local_cache::cargo::gather::gather;
use local_cache::cargo::project::facts::{KeyRequest, WorkspaceFacts};
use local_cache::fs::Local;
use serde_json::Value;
use tempfile::TempDir;

/// Files of a project: paths and texts.
pub(super) type Files = BTreeMap<String, String>;

/// Checks files out into a directory that is emptied first.
pub(super) fn check_out(files: &Files, directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The files of a package: a manifest with dependencies by path, and its sources.
pub(super) fn package(files: &mut Files, path: &str, rest: &str, sources: &[(&str, &str)]) {
    let name = path.rsplit('/').next().unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
    files.insert(format!("{path}/Cargo.toml"), manifest);
    for (source, text) in sources {
        files.insert(format!("{path}/{source}"), (*text).to_owned());
    }
}

/// A runner with a store and a `CARGO_HOME`.
pub(super) struct Runner {
    dir: TempDir,
    pub(super) env: Vec<(&'static str, OsString)>,
}

/// The result of a build.
#[derive(Debug)]
pub(super) struct Built {
    /// The packages that were compiled; build scripts as `NAME script`.
    pub(super) compiled: BTreeSet<String>,
    pub(super) succeeded: bool,
    pub(super) errors: String,
}

impl Runner {
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lc-cargo-")
            .tempdir()
            .unwrap();
        fs::create_dir(dir.path().join("cargo-home")).unwrap();
        Self {
            dir,
            env: Vec::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn cargo(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(directory).env_clear();
        for name in ["PATH", "RUSTUP_TOOLCHAIN"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let rustup =
            std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
        command
            .env("RUSTUP_HOME", rustup)
            .env("HOME", self.path("home"));
        command
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Builds with a command of cargo and additional variables.
    pub(super) fn build_as(
        &self,
        directory: &Path,
        command: &[&str],
        env: &[(&str, &Path)],
    ) -> Built {
        let mut command = self.cargo(directory, &[command, &["--message-format=json"]].concat());
        command.envs(env.iter().map(|(name, value)| (*name, value.as_os_str())));
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = String::from_utf8(stdout).unwrap();
        let messages = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let compiled = messages
            .filter(|message| message["reason"] == "compiler-artifact" && message["fresh"] == false)
            .map(|message| {
                let manifest = PathBuf::from(message["manifest_path"].as_str().unwrap());
                let package = manifest
                    .parent()
                    .unwrap()
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let is_script = message["target"]["kind"][0] == "custom-build";
                if is_script {
                    format!("{package} script")
                } else {
                    package
                }
            });
        let compiled = compiled.collect();
        Built {
            compiled,
            succeeded: status.success(),
            errors: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Saves the target directory, and returns the bytes of its entry.
    pub(super) fn save(&self, checkout: &Path) -> u64 {
        self.local_cache(checkout, &["cargo", "save"]);
        let listed = self.local_cache(checkout, &["list", "--json"]);
        let entries: Value = serde_json::from_str(&listed).unwrap();
        let mut entries = entries.as_array().unwrap().iter();
        let target = entries.find(|entry| entry["kind"] == "target").unwrap();
        target["bytes"].as_u64().unwrap()
    }

    pub(super) fn restore(&self, checkout: &Path) {
        self.local_cache(checkout, &["cargo", "restore", "--fail-on-cache-miss"]);
    }

    fn local_cache(&self, checkout: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
        command
            .args(arguments)
            .current_dir(checkout)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("LOCAL_CACHE_ROOT", self.path("cache"));
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The projects of the checkout.
pub(super) fn facts(checkout: &Path) -> Vec<WorkspaceFacts> {
    let request = KeyRequest::new(BTreeMap::new(), Path::new("/nonexistent"), checkout);
    gather(&request, &Local::default()).workspaces
}

/// The output of the program `app` of a workspace.
pub(super) fn app_output(workspace: &Path) -> String {
    let output = Command::new(workspace.join("target/debug/app")).output();
    let output = output.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
