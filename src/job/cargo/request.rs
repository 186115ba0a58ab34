//! What is asked of the cargo preset.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cargo::key::env_vars as variables;
use crate::cargo::key::inputs::KeyInputs;
use crate::cargo::project::facts::{KeyRequest, WorkspaceRequest};
use crate::cargo::project::workspace::clean;
use crate::fs::Namespace;

/// The caches of Cargo workspaces. All paths are as the steps of the job know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an input, and independent of the others"
)]
pub struct CargoTarget {
    /// The variables of the steps that bear on keys and places; [`CargoTarget::add_env`] picks
    /// them.
    pub env: Vec<(String, OsString)>,
    /// The id of the job; may be empty.
    pub job: String,
    /// The workspaces.
    pub workspaces: Vec<WorkspaceLine>,
    /// What the user says about keys.
    pub key_inputs: KeyInputs,
    /// The input `cache-directories`: patterns of more directories.
    pub directories: Vec<String>,
    /// The input `cache-targets`.
    pub targets: bool,
    /// The input `cache-all-crates`.
    pub all_crates: bool,
    /// The input `cache-bin`.
    pub bin: bool,
    /// Whether sources that are the same get the times that they had when the target directory was
    /// saved.
    pub replay_times: bool,
    /// The input `sources`: patterns of what a build reads and cargo can't see.
    pub sources: Vec<String>,
    /// Names the run of the job, so that its steps know of each other; empty where there is only
    /// one.
    pub run: String,
    /// Whether there are no caches at all where no workspace has a Cargo project.
    pub only_projects: bool,
    /// How long other programs that use the registry are waited for.
    pub lock_patience: Duration,
}

/// A workspace and where its target directory is, as they are written in a line of the input
/// `workspaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceLine {
    /// Its directory: absolute, or relative to the checkout.
    pub root: String,
    /// The target directory: absolute, or relative to `root`; none for where cargo puts it.
    pub target: Option<String>,
}

impl Default for CargoTarget {
    /// The project in the checkout, with the defaults of all inputs.
    fn default() -> Self {
        Self {
            env: Vec::new(),
            job: String::new(),
            workspaces: vec![WorkspaceLine {
                root: ".".to_owned(),
                target: None,
            }],
            key_inputs: KeyInputs::default(),
            directories: Vec::new(),
            targets: true,
            all_crates: false,
            bin: false,
            replay_times: true,
            sources: Vec::new(),
            run: String::new(),
            only_projects: false,
            lock_patience: Self::LOCK_PATIENCE,
        }
    }
}

impl CargoTarget {
    /// How long other programs that use the registry are usually waited for.
    pub const LOCK_PATIENCE: Duration = Duration::from_secs(60);

    /// Adds the variables of an environment that bear on keys and places and are not there yet.
    /// `PATH`, which tells the compiler that comes first, only where it is the steps' own.
    pub fn add_env<'e>(
        &mut self,
        env: impl IntoIterator<Item = (&'e OsStr, &'e OsStr)>,
        is_path_of_steps: bool,
    ) {
        for (name, value) in env {
            let Some(name) = name.to_str() else { continue };
            let bears = variables::bears(name, value, &self.key_inputs.env_vars)
                || (is_path_of_steps && name == "PATH");
            if bears && !self.env.iter().any(|(known, _)| known == name) {
                self.env.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Changes every absolute path, as when the work is done where they have other names.
    pub fn map_paths(&mut self, map: &dyn Fn(&Path) -> PathBuf, map_line: &dyn Fn(&str) -> String) {
        let text = |text: &mut String| {
            if Path::new(text).is_absolute() {
                *text = map(Path::new(text)).to_string_lossy().into_owned();
            }
        };
        for WorkspaceLine { root, target } in &mut self.workspaces {
            text(root);
            target.iter_mut().for_each(text);
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

    /// What keys are asked for.
    pub(crate) fn asked(&self, checkout: &Path, namespace: &dyn Namespace) -> KeyRequest {
        let env: BTreeMap<OsString, OsString> = self
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.clone()))
            .collect();
        let workspace = |line: &WorkspaceLine| WorkspaceRequest {
            root: clean(&checkout.join(&line.root)),
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
