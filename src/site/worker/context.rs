//! What a job is told about the place it runs in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::env::Env;
use crate::fs::Namespace;

/// The place where a job runs: this process, a helper on the host, or the job's container.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    /// Where the names in the request lead.
    pub namespace: Arc<dyn Namespace>,
    /// The environment of the steps. In a helper, which can't see it, the part that the runner's
    /// own files set.
    pub env: Env,
    cancel: Arc<AtomicBool>,
}

impl WorkerContext {
    pub fn new(namespace: Arc<dyn Namespace>, env: Env, cancel: Arc<AtomicBool>) -> Self {
        Self {
            namespace,
            env,
            cancel,
        }
    }

    /// Whether the job should stop soon and return what it has.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
