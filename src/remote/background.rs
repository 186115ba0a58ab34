//! Copying entries to the remote after the job: what a detached process is asked for.
//!
//! The request has the credentials. It goes over the standard input of the process, and is in no
//! argument, no environment and no file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::RemoteConfig;
use super::name::Trust;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ops::second_tier::{LaterCopy, SavedEntries};
use crate::site::detached;
use crate::store::EntryId;

/// The argument with which this program copies entries to a remote.
pub const BACKGROUND_ARGUMENT: &str = "push-in-background";

/// The remote of a job, as the process needs it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct BackgroundRemote {
    pub(super) config: RemoteConfig,
    pub(super) trust: Trust,
    /// The variables of the tools of AWS, with credentials.
    pub(super) variables: BTreeMap<String, String>,
}

/// What to copy, and where.
#[derive(Serialize, Deserialize)]
pub(super) struct BackgroundRequest {
    pub(super) cache_root: std::path::PathBuf,
    pub(super) remote: BackgroundRemote,
    pub(super) copy: LaterCopy,
}

/// Who copies entries after the job.
pub(super) enum LaterCopier {
    /// Nobody can.
    Nobody,
    /// A process that this one starts.
    Process(Box<(BackgroundRemote, Env)>),
    /// The process that asked for the job.
    Caller,
}

impl BackgroundRemote {
    pub(super) fn new(config: &RemoteConfig, env: &Env, trust: Trust) -> Self {
        let variables = env.iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?, value.to_str()?);
            let is_of_aws = name.starts_with("AWS_");
            is_of_aws.then(|| (name.to_owned(), value.to_owned()))
        });
        Self {
            config: config.clone(),
            trust,
            variables: variables.collect(),
        }
    }

    /// The request to copy entries.
    pub(super) fn request(&self, saved: SavedEntries<'_>) -> BackgroundRequest {
        let root = saved.store.layout().root();
        BackgroundRequest {
            cache_root: root.parent().unwrap_or(Path::new("/")).to_owned(),
            remote: self.clone(),
            copy: later_copy(saved),
        }
    }
}

pub(super) fn later_copy(saved: SavedEntries<'_>) -> LaterCopy {
    LaterCopy {
        entries: saved.ids.iter().map(ToString::to_string).collect(),
        run: saved.run.clone(),
    }
}

impl BackgroundRequest {
    /// Starts a process that copies the entries. `env` is the environment of this process.
    ///
    /// Errors: there is no such process, and nothing is copied.
    pub(super) fn start(&self, env: &Env) -> Result<()> {
        let request = serde_json::to_vec(self).map_err(Error::defect)?;
        detached::start(BACKGROUND_ARGUMENT, env, request).map_err(|error| {
            Error::invalid(format!("cannot start a process for the copy: {error}"))
        })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = EntryId> {
        self.copy.entries.iter().filter_map(|id| EntryId::parse(id))
    }
}
