//! What the cargo preset is asked to cache.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cargo::freshness::mode::FreshnessMode;
use crate::cargo::key::env_vars;
use crate::cargo::key_inputs::KeyInputs;
use crate::cargo::project::facts::{KeyRequest, WorkspaceRequest};
use crate::cargo::project::workspace::normalize_path;
use crate::fs::Namespace;

/// The caches of Cargo workspaces. Paths are as the steps of the job know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an input, and independent of the others"
)]
pub struct CargoTarget {
    /// The variables of the steps that affect keys and directories; [`CargoTarget::add_env`]
    /// selects them.
    pub env: Vec<(String, OsString)>,
    /// The id of the job; may be empty.
    pub job: String,
    /// The repository, in lower case; may be empty.
    pub repository: String,
    pub workspaces: Vec<WorkspaceLine>,
    pub key_inputs: KeyInputs,
    /// The input `cache-directories`: patterns.
    pub directories: Vec<String>,
    pub targets: bool,
    /// The input `cache-all-crates`.
    pub all_crates: bool,
    pub bin: bool,
    pub freshness: FreshnessMode,
    /// The input `sources`: patterns of what a build reads and cargo can't see.
    pub sources: Vec<String>,
    /// The input `keep-outputs`: patterns relative to the target directories.
    pub keep_outputs: Vec<String>,
    /// The run of the job, by which its steps know each other; empty if there is only one step.
    pub run: String,
    /// Have no caches at all if no workspace has a Cargo project.
    pub only_projects: bool,
    /// How long to wait for other programs that use the registry.
    pub lock_timeout: Duration,
}

/// A line of the input `workspaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceLine {
    /// Absolute, or relative to the checkout.
    pub root: String,
    /// Absolute, or relative to `root`; `None` for the directory that cargo uses by default.
    pub target: Option<String>,
}

impl Default for CargoTarget {
    /// The project in the checkout, with the defaults of all inputs.
    fn default() -> Self {
        Self {
            env: Vec::new(),
            job: String::new(),
            repository: String::new(),
            workspaces: vec![WorkspaceLine {
                root: ".".to_owned(),
                target: None,
            }],
            key_inputs: KeyInputs::default(),
            directories: Vec::new(),
            targets: true,
            all_crates: false,
            bin: false,
            freshness: FreshnessMode::default(),
            sources: Vec::new(),
            keep_outputs: Vec::new(),
            run: String::new(),
            only_projects: false,
            lock_timeout: Self::LOCK_TIMEOUT,
        }
    }
}

impl CargoTarget {
    pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

    /// Adds the variables of an environment that affect keys or directories and are not set yet.
    /// `PATH` decides which compiler runs; it counts only if the environment is that of the steps.
    pub fn add_env<'e>(
        &mut self,
        env: impl IntoIterator<Item = (&'e OsStr, &'e OsStr)>,
        is_env_of_steps: bool,
    ) {
        for (name, value) in env {
            let Some(name) = name.to_str() else { continue };
            let affects_keys = env_vars::affects_keys(name, value, &self.key_inputs.env_vars)
                || (is_env_of_steps && name == "PATH");
            if affects_keys && !self.env.iter().any(|(known, _)| known == name) {
                self.env.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Translates every absolute path, for a worker that sees other paths than this process.
    pub fn map_paths(&mut self, map: &dyn Fn(&Path) -> PathBuf, map_line: &dyn Fn(&str) -> String) {
        let map_text = |text: &mut String| {
            if Path::new(text).is_absolute() {
                *text = map(Path::new(text)).to_string_lossy().into_owned();
            }
        };
        for WorkspaceLine { root, target } in &mut self.workspaces {
            map_text(root);
            target.iter_mut().for_each(map_text);
        }
        for (_, value) in &mut self.env {
            let path = Path::new(value);
            if path.is_absolute() {
                *value = map(path).into();
            }
        }
        for lines in [&mut self.directories, &mut self.sources] {
            lines.iter_mut().for_each(|line| *line = map_line(line));
        }
    }

    pub(crate) fn key_request(&self, checkout: &Path, namespace: &dyn Namespace) -> KeyRequest {
        let env: BTreeMap<OsString, OsString> = self
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.clone()))
            .collect();
        let workspace = |line: &WorkspaceLine| WorkspaceRequest {
            root: normalize_path(&checkout.join(&line.root)),
            target: line.target.as_ref().map(PathBuf::from),
        };
        KeyRequest {
            workspaces: self.workspaces.iter().map(workspace).collect(),
            job: self.job.clone(),
            key_inputs: self.key_inputs.clone(),
            ..KeyRequest::new(env, namespace.home().unwrap_or(Path::new("")), checkout)
        }
    }
}
