//! The sites, and the input that selects one.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    Here,
    /// In a helper container that sees the host.
    Host,
    /// In a process inside the job's container.
    JobContainer,
    /// Nowhere: the step continues without the cache.
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

/// The value of the input `site`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SitePreference {
    /// The first site that works.
    #[default]
    Auto,
    /// In this process, even if the cache root is not mounted.
    Here,
    /// On the host. The user guarantees that the engine's host is the runner's.
    Host,
    JobContainer,
}
