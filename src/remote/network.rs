//! The thread on which the connections live, and waiting for requests.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// How often a wait looks whether it should end.
pub(super) const POLL: Duration = Duration::from_millis(100);

pub(super) struct Network {
    handle: Handle,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

/// How a request ended.
pub(super) enum Attempt<T> {
    Answered(object_store::Result<T>),
    TimeUp,
    Interrupted,
}

/// A request that runs while its caller does something else.
pub(super) struct StartedRequest<T>(JoinHandle<Attempt<T>>);

impl Network {
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::invalid(format!("cannot start a thread for the remote: {error}"))
            })?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs a request until it is answered, its time is up, or the operation should stop.
    pub(super) fn run<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
        limit: Duration,
        monitor: &dyn Monitor,
    ) -> Attempt<T> {
        let ended = until_interrupted(monitor, within(limit, request));
        self.handle.block_on(ended).unwrap_or(Attempt::Interrupted)
    }

    pub(super) fn spawn<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
        limit: Duration,
    ) -> StartedRequest<T> {
        StartedRequest(self.handle.spawn(within(limit, request)))
    }

    /// Waits until a request has ended, or the operation should stop.
    pub(super) fn wait<T>(
        &self,
        request: StartedRequest<T>,
        monitor: &dyn Monitor,
    ) -> Result<Attempt<T>> {
        let StartedRequest(task) = request;
        let stop = task.abort_handle();
        if let Some(ended) = self.handle.block_on(until_interrupted(monitor, task)) {
            return ended.map_err(Error::defect);
        }
        stop.abort();
        Ok(Attempt::Interrupted)
    }
}

impl Drop for Network {
    /// Does not wait for look-ups of host names: they block a thread for as long as the system's
    /// resolver takes, also after the request that needed one was given up.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn within<T>(
    limit: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Attempt<T> {
    let answer = tokio::time::timeout(limit, request).await;
    answer.map_or(Attempt::TimeUp, Attempt::Answered)
}

/// None if the operation should stop first: a slow network can take a minute for a request.
async fn until_interrupted<T>(
    monitor: &dyn Monitor,
    request: impl Future<Output = T>,
) -> Option<T> {
    let interruption = async {
        while !monitor.is_interrupted() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        biased;
        ended = request => Some(ended),
        () = interruption => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A limit on hanging, nothing that the test depends on.
    const GENEROUS: Duration = Duration::from_secs(30);

    #[test]
    fn the_end_does_not_wait_for_a_look_up_of_a_host_name() {
        let network = Network::start().unwrap();
        let (answer, resolver) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel();
        network.handle.spawn_blocking(move || {
            started.send(()).unwrap();
            resolver.recv()
        });
        is_started.recv_timeout(GENEROUS).unwrap();
        let (ended, is_ended) = mpsc::channel();
        std::thread::spawn(move || {
            drop(network);
            ended.send(()).unwrap();
        });
        is_ended.recv_timeout(GENEROUS).unwrap();
        drop(answer);
    }
}
