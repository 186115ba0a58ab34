//! Where the work happens: on this machine, through the Docker Engine, in a job container.
//!
//! The runner gives the container of an action the workspace and some directories of its own, but
//! neither the cache root nor the home of its user. So the entrypoint decides where to work and has
//! the same program do it there:
//!
//! - [`Site::Here`]: in this process; on the host, or in a container in which everything is
//!   mounted.
//! - [`Site::Host`]: in a helper, a sibling container that sees the host's `/` and has the rights
//!   of the runner's user and no others.
//! - [`Site::JobContainer`]: in a process inside the job's container, so that it sees what the
//!   steps see.
//! - [`Site::None`]: nowhere; a reason is given, the job goes on without the cache.
//!
//! [`facts::gather`] looks, [`detect::detect`] decides, [`run::run`] does. The request and the
//! reply are values of the caller's: this module passes them on and knows nothing of caches. Only
//! `engine` knows Docker, and its runtime ends where that folder does.

pub mod detect;
mod engine;
pub mod facts;
pub mod paths;
pub mod problem;
pub mod proc;
pub mod run;
pub mod signals;
pub mod supervise;
pub mod users;
pub mod worker;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A place where the work can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// In this process.
    Here,
    /// In a helper that sees the host.
    Host,
    /// In the job's container.
    JobContainer,
    /// Nowhere.
    None,
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Here => "here",
            Self::Host => "host",
            Self::JobContainer => "job-container",
            Self::None => "none",
        })
    }
}

/// The input `site`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SitePreference {
    /// The first that will do.
    #[default]
    Auto,
    /// In this process, whatever is mounted.
    Here,
    /// On the host; the user vouches for it.
    Host,
    /// In the job's container.
    JobContainer,
}

impl std::str::FromStr for SitePreference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "here" => Ok(Self::Here),
            "host" => Ok(Self::Host),
            "job-container" => Ok(Self::JobContainer),
            other => Err(format!(
                "site is `{other}`, but must be one of `auto`, `here`, `host`, `job-container`"
            )),
        }
    }
}
