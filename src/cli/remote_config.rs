//! Which remote a command uses, and what it may read and write there.

use anyhow::Result;

use super::context::CommandContext;
use super::failure::usage_error;
use crate::action::origin::is_of_branch;
use crate::fs::Local;
use crate::remote::{RemoteConfig, Trust, remote_url};

/// The remote that the argument (or its variable) or a configuration file names.
pub(super) fn configured(
    context: &CommandContext<'_>,
    argument: Option<&str>,
) -> Result<Option<RemoteConfig>> {
    let url = remote_url(argument, context.cache_root, &Local::new(context.home()))?;
    let config = url.map(|url| RemoteConfig::parse(&url).map_err(usage_error));
    config.transpose()
}

/// What a command may read and write on the remote: outside of workflows everything, in a
/// workflow what its event says.
pub(super) fn trust(context: &CommandContext<'_>) -> Trust {
    Trust::of_branch(is_of_branch(context.env))
}
