//! The remote in the commands that restore and save. Without the feature `remote` there is none.

use anyhow::Result;
use clap::Args;

#[cfg(not(feature = "remote"))]
use std::convert::Infallible as Tier;

use super::context::CommandContext;
#[cfg(feature = "remote")]
use super::remote_config::{configured, trust};
use super::text::Rendered;
use crate::ops::restore::SecondTier;
#[cfg(feature = "remote")]
use crate::remote::RemoteTier as Tier;

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

    /// Adds what the remote did to the output of a command.
    pub(super) fn report(&self, (text, json): &mut Rendered) {
        let report = self.0.report();
        text.push_str(&report_line(&report));
        json["remote"] = report_json(&report);
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

    pub(super) fn report(&self, _: &mut Rendered) {
        match self.0 {}
    }
}

#[cfg(feature = "remote")]
fn report_line(report: &crate::remote::TierReport) -> String {
    use crate::fmt::human::{bytes, plural};

    if report.traffic.requests == 0 {
        return String::new();
    }
    let entries = |count: u64, done: &str| match count {
        0 => None,
        count => Some(format!("{} {done}", plural(count, "entry", "entries"))),
    };
    let moved = |size: u64, done: &str| match size {
        0 => None,
        size => Some(format!("{} {done}", bytes(size))),
    };
    let parts = [
        entries(report.pulled, "pulled"),
        entries(report.pushed, "pushed"),
        entries(report.present, "already on the remote"),
        moved(report.traffic.received_bytes, "received"),
        moved(report.traffic.sent_bytes, "sent"),
        Some(plural(report.traffic.requests, "request", "requests")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("☁️ {}: {}\n", report.place, parts.join(", "))
}

#[cfg(feature = "remote")]
fn report_json(report: &crate::remote::TierReport) -> serde_json::Value {
    serde_json::json!({
        "place": report.place,
        "pulled-entries": report.pulled,
        "pushed-entries": report.pushed,
        "present-entries": report.present,
        "received-bytes": report.traffic.received_bytes,
        "sent-bytes": report.traffic.sent_bytes,
        "requests": report.traffic.requests,
    })
}
