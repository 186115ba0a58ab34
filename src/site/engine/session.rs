//! What an exchange with a worker needs and what it results in.

use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::site::problem::Problem;
use crate::site::supervise::StopReason;

/// What this process brings to an exchange with a worker.
pub(crate) struct Session<'a> {
    pub(crate) hello: Vec<u8>,
    /// Marks the line of the reply.
    pub(crate) marker: String,
    /// When the job should be done. The worker enforces this limit itself; the session's deadline
    /// is a backstop for a worker that does not.
    pub(crate) timeout: Option<Duration>,
    /// How long the worker has to stop.
    pub(crate) grace: Duration,
    /// The signals that this process receives.
    pub(crate) signals: &'a mut UnboundedReceiver<i32>,
    /// Takes each log line, without its line end.
    pub(crate) log: &'a mut dyn FnMut(&str),
}

impl Session<'_> {
    /// A copy for one attempt, so that another can follow.
    pub(crate) fn reborrow(&mut self) -> Session<'_> {
        Session {
            hello: self.hello.clone(),
            marker: self.marker.clone(),
            timeout: self.timeout,
            grace: self.grace,
            signals: self.signals,
            log: self.log,
        }
    }

    /// Waits for an action that a signal or the time limit cancels.
    pub(super) async fn or_cancelled<T>(
        &mut self,
        action: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let limit = self.timeout.unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Err(Problem::Cancelled(signal)),
            result = tokio::time::timeout(limit, action) => {
                result.unwrap_or(Err(Problem::TimedOut(limit)))
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct SessionResult {
    /// The JSON of the reply, if one arrived.
    pub(crate) reply: Option<Vec<u8>>,
    /// Why this process stopped the worker.
    pub(crate) stop_reason: Option<StopReason>,
    /// Whether the worker was still running after the grace time.
    pub(crate) stuck: bool,
    /// The last line that the worker logged.
    pub(crate) last_line: Option<String>,
    /// The exit code of the worker, if it is known.
    pub(crate) exit_code: Option<i64>,
}
