//! The limits of a run, and its result.

use std::time::Duration;

use crate::env::Env;
use crate::site::problem::Problem;
use crate::site::supervise::{StopReason, TimeLimits};
use crate::site::worker::identity::Identity;

#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The job is asked to stop after this time.
    pub timeout: Option<Duration>,
    /// How long the job has to stop until it is abandoned. Below seven seconds, so that a cancelled
    /// step ends before the runner kills it.
    pub grace: Duration,
    /// The time limit of each simple call to the engine.
    pub engine_timeout: Duration,
    /// The runner's user, if an earlier phase found out. If there are groups to add, this saves
    /// starting a second helper.
    pub identity: Option<Identity>,
    /// Whether a helper shares the network of this process's container. Otherwise it has none.
    pub network: bool,
    /// The environment for jobs in this process.
    pub env: Env,
}

impl RunOptions {
    /// Below the seven and a half seconds that the runner leaves a container.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
    pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

    /// Options with the default limits.
    pub fn new(env: Env) -> Self {
        Self {
            timeout: None,
            grace: Self::DEFAULT_GRACE,
            engine_timeout: Self::ENGINE_TIMEOUT,
            identity: None,
            network: false,
            env,
        }
    }

    /// Options with which a run ends within `limit`, including the grace time. The grace time is at
    /// most half of `limit`.
    #[must_use]
    pub(crate) fn with_limit(self, limit: Option<Duration>) -> Self {
        let grace = limit.map_or(self.grace, |limit| self.grace.min(limit / 2));
        Self {
            timeout: limit.map(|limit| limit.saturating_sub(grace)),
            grace,
            ..self
        }
    }

    /// How long a run may take, including the grace time.
    pub(crate) fn total_limit(&self) -> Option<Duration> {
        self.timeout
            .map(|timeout| timeout.saturating_add(self.grace))
    }

    pub(super) fn time_limits(&self) -> TimeLimits {
        TimeLimits {
            timeout: self.timeout,
            grace: self.grace,
        }
    }

    /// The problem of a job that did not stop when it was asked to.
    pub(super) fn abandoned(&self, reason: StopReason) -> Problem {
        match reason {
            StopReason::Signal(number) => Problem::Cancelled(number),
            StopReason::Timeout | StopReason::ParentGone => {
                Problem::TimedOut(self.total_limit().unwrap_or(self.grace))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome<R> {
    pub reply: R,
    /// Why the job was stopped before it was done.
    pub stop_reason: Option<StopReason>,
    /// The runner's user, if a helper found out.
    pub identity: Option<Identity>,
    pub notices: Vec<String>,
}
