//! What a worker is asked for, and how it does it.

use serde::{Deserialize, Serialize};

use crate::job::{Job, JobReply, JobTarget, RemoteChoice, RemoteRequest, copy_saved, run_job_with};
use crate::monitor::Monitor;
use crate::ops::second_tier::LaterCopy;
use crate::site::worker::WorkerContext;

/// A job with what only its worker may see. It is sent on standard input, because arguments, labels
/// and variables of a container can be read by everyone who can ask the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerRequest {
    pub job: Job,
    /// None if the step uses no remote.
    pub remote: Option<RemoteRequest>,
    /// What is copied to the remote instead of doing the job, which is over.
    #[serde(default)]
    pub copy: Option<CopyTask>,
}

/// A copy of entries that a job saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CopyTask {
    /// Somebody waits for it.
    Now(LaterCopy),
    /// Nobody waits, and the result is in the store.
    Detached(LaterCopy),
}

impl WorkerRequest {
    /// The request for a worker with or without a network. Without, it gets no credentials.
    pub(super) fn for_network(&self, has_network: bool) -> Self {
        let mut request = self.clone();
        if let Some(remote) = &mut request.remote {
            remote.has_network = has_network;
            if !has_network {
                remote.variables.clear();
            }
        }
        request
    }
}

/// Runs a job in this process: what a worker does, and a phase that needs none.
pub fn run_in_worker(request: WorkerRequest, context: &WorkerContext) -> JobReply {
    let WorkerRequest {
        mut job,
        remote,
        copy,
    } = request;
    let namespace = &*context.namespace;
    if let (Some(CopyTask::Detached(copy)), Some(remote)) = (&copy, &remote) {
        return copy_detached(remote, copy.clone(), &job, context);
    }
    if let JobTarget::Cargo(target) = &mut job.target {
        // What an image sets for its steps; variables in the request come from the steps themselves
        // and win.
        target.add_env(context.env.iter(), true);
    }
    let choice = remote.map_or(Ok(RemoteChoice::Unused), |remote| {
        remote.open(&job.cache_root, namespace, &context.env)
    });
    // A remote that cannot be used is no reason to go without the store.
    let (tier, warning) = match choice {
        Ok(RemoteChoice::Used(tier)) => (Some(tier), None),
        Ok(RemoteChoice::Unused) => (None, None),
        Ok(RemoteChoice::NeedsNetwork) => {
            return JobReply {
                needs_network: true,
                ..JobReply::default()
            };
        }
        Err(error) => (None, Some(error.with_advice())),
    };
    let monitor = CancelMonitor(context);
    let mut reply = match copy {
        Some(CopyTask::Now(copy) | CopyTask::Detached(copy)) => {
            copy_saved(&job, &copy, namespace, &monitor, tier.as_deref())
        }
        None => run_job_with(&job, namespace, &monitor, tier.as_deref()),
    };
    reply.warnings.extend(warning);
    let cache_errors = reply
        .caches
        .iter_mut()
        .filter_map(|cache| cache.error.as_mut());
    for text in reply
        .warnings
        .iter_mut()
        .chain(&mut reply.error)
        .chain(cache_errors)
    {
        *text = namespace.original_text(text);
    }
    reply
}

/// The reply says nothing: it was sent before.
fn copy_detached(
    remote: &RemoteRequest,
    copy: LaterCopy,
    job: &Job,
    context: &WorkerContext,
) -> JobReply {
    let place = (&*context.namespace, &context.env);
    let error = remote.copy_after_job(&job.cache_root, place, copy).err();
    JobReply {
        error: error.map(|error| error.with_advice()),
        ..JobReply::default()
    }
}

/// Cancels the job on a signal or at the time limit.
struct CancelMonitor<'c>(&'c WorkerContext);

impl Monitor for CancelMonitor<'_> {
    fn is_interrupted(&self) -> bool {
        self.0.is_cancelled()
    }
}
