//! Which remote a command uses, and what it may read and write there.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::context::CommandContext;
use super::failure::usage_error;
use crate::action::files::read_event;
use crate::action::{CodeOrigin, WorkflowContext};
use crate::fs::files;
use crate::remote::{RemoteConfig, Trust};
use crate::store::layout;

/// The remote that the argument (or its variable) or a configuration file names.
pub(super) fn configured(
    context: &CommandContext<'_>,
    argument: Option<&str>,
) -> Result<Option<RemoteConfig>> {
    let url = match argument {
        Some(url) => Some(url.trim().to_owned()),
        None => from_files(context)?,
    };
    match url.as_deref() {
        None | Some("" | "none") => Ok(None),
        Some(url) => RemoteConfig::parse(url).map(Some).map_err(usage_error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineConfig {
    remote: Option<String>,
}

/// The file in the cache root comes before that of the user.
fn from_files(context: &CommandContext<'_>) -> Result<Option<String>> {
    let of_user = context
        .home()
        .map(|home| home.join(".config/local-cache/config.toml"));
    let files = [Some(layout::machine_config(context.cache_root)), of_user];
    for path in files.into_iter().flatten() {
        if let Some(remote) = read_config(&path)?.and_then(|config| config.remote) {
            return Ok(Some(remote));
        }
    }
    Ok(None)
}

fn read_config(path: &Path) -> Result<Option<MachineConfig>> {
    let bytes = match files::read(path) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let text = String::from_utf8(bytes)
        .with_context(|| format!("{} is not a text file", path.display()))?;
    match toml::from_str(&text) {
        Ok(config) => Ok(Some(config)),
        Err(error) => bail!(
            "{} cannot be used: {}; the only setting is remote = \"s3://bucket/prefix\"",
            path.display(),
            error.message()
        ),
    }
}

/// What a command may read and write on the remote: outside of workflows everything, in a
/// workflow what its event says.
pub(super) fn trust(context: &CommandContext<'_>) -> Trust {
    let workflow = WorkflowContext::from_env(context.env);
    if !context.env.flag("GITHUB_ACTIONS") && workflow.event_name.is_none() {
        return Trust::Branch;
    }
    let event = read_event(workflow.event_path.as_deref()).ok();
    match workflow.origin(event.as_ref()) {
        CodeOrigin::Branch => Trust::Branch,
        _ => Trust::PullRequest,
    }
}
