//! The remote in the commands that restore and save. Without the feature `remote` there is none.

#[cfg(feature = "remote")]
use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
#[cfg(feature = "remote")]
use serde_json::json;

#[cfg(not(feature = "remote"))]
use std::convert::Infallible as Tier;

use super::context::CommandContext;
#[cfg(feature = "remote")]
use super::remote_config::{configured, trust};
use super::text::Rendered;
#[cfg(feature = "remote")]
use crate::action::console::Mark;
use crate::ops::second_tier::SecondTier;
#[cfg(feature = "remote")]
use crate::remote::RemoteTier as Tier;
use crate::stats::event::RemoteTraffic;

/// The arguments of all commands that can use a remote.
#[derive(Debug, Args)]
pub(super) struct SecondTierArgs {
    /// Use S3-compatible storage behind the store, such as `s3://bucket/prefix`; `none` ignores the
    /// remote of config.toml
    #[cfg(feature = "remote")]
    #[arg(long, value_name = "URL", env = "LOCAL_CACHE_REMOTE")]
    pub(super) remote: Option<String>,
}

/// The remote of one command.
pub(super) struct CommandTier(Tier);

#[cfg(feature = "remote")]
impl CommandTier {
    /// None if no remote is set.
    pub(super) fn of(context: &CommandContext<'_>, args: &SecondTierArgs) -> Result<Option<Self>> {
        let Some(config) = configured(context, args.remote.as_deref())? else {
            return Ok(None);
        };
        let tier = Tier::new(&config, context.env, trust(context))?;
        Ok(Some(Self(tier)))
    }

    pub(super) fn second_tier(&self) -> &dyn SecondTier {
        &self.0
    }

    /// What the remote did, for the journal.
    pub(super) fn traffic(&self) -> Option<RemoteTraffic> {
        self.0.report().traffic()
    }

    /// Adds what the remote did to the output of a command.
    pub(super) fn report(&self, (text, json): &mut Rendered) {
        let report = self.0.report();
        // Writing to a string does not fail.
        if !report.is_empty() {
            let _ = writeln!(text, "{}", Mark::Remote.with(&report));
        }
        if let Some(reason) = &report.not_in_background {
            let note = format_args!("push=background is like push=wait here: {reason}");
            let _ = writeln!(text, "{}", Mark::Remote.with(note));
        }
        json["remote"] = json!(report);
    }
}

#[cfg(not(feature = "remote"))]
impl CommandTier {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature as with the feature `remote`"
    )]
    pub(super) fn of(_: &CommandContext<'_>, _: &SecondTierArgs) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn second_tier(&self) -> &dyn SecondTier {
        match self.0 {}
    }

    pub(super) fn traffic(&self) -> Option<RemoteTraffic> {
        match self.0 {}
    }

    pub(super) fn report(&self, _: &mut Rendered) {
        match self.0 {}
    }
}
