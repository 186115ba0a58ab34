//! Runs a job in this process or in a worker.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc::unbounded_channel;

use super::options::{RunOptions, RunOutcome};
use super::worker_run::WorkerRun;
use crate::fs::Local;
use crate::site::detect::SiteDecision;
use crate::site::facts::SiteFacts;
use crate::site::preference::Site;
use crate::site::problem::Problem;
use crate::site::signals::{self, Signals};
use crate::site::supervise::{StopReason, Stopper, WorkOutcome, supervise};
use crate::site::worker::{WorkerContext, local_home};

/// Runs jobs at the site that was selected.
pub struct SiteRunner<'a> {
    pub facts: &'a SiteFacts,
    pub decision: &'a SiteDecision,
    pub options: &'a RunOptions,
}

impl SiteRunner<'_> {
    /// Runs a job and passes on its log lines as they arrive.
    ///
    /// A worker runs `work` too, by [`serve`](crate::site::worker::serve()). It is called in this process,
    /// on a thread of its own, only if the decision is [`Site::Here`]. Then its log lines do not go
    /// to `log`.
    ///
    /// Errors: there is no reply. The job may have been done in part.
    pub fn run<Q, R, W>(
        &self,
        request: Q,
        log: &mut dyn FnMut(&str),
        work: W,
    ) -> Result<RunOutcome<R>, Problem>
    where
        Q: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
        W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
    {
        match self.decision.site {
            Site::None => Err(self
                .decision
                .problem()
                .cloned()
                .unwrap_or_else(|| Problem::NoSocket(self.facts.socket.clone()))),
            Site::Here => self.run_here(request, work),
            Site::Host => self.run_worker(log, |worker| worker.on_host(&request)),
            Site::JobContainer => self.run_worker(log, |worker| {
                worker.in_job_container(&self.decision.translation, &request)
            }),
        }
    }

    /// Starts a helper on the host that does a job although this process ends. A worker runs it by
    /// [`serve`](crate::site::worker::serve()).
    ///
    /// Errors: the job is not done. It cannot be done after this process at other sites.
    pub(crate) fn start_after_this<Q: Serialize>(
        &self,
        request: &Q,
        log: &mut dyn FnMut(&str),
    ) -> Result<(), Problem> {
        self.run_worker(log, |worker| worker.after_this_one(request))
    }

    fn run_here<Q, R, W>(&self, request: Q, work: W) -> Result<RunOutcome<R>, Problem>
    where
        Q: Send + 'static,
        R: Send + 'static,
        W: FnOnce(Q, &WorkerContext) -> R + Send + 'static,
    {
        let signals = install_signals()?;
        let cancel = Arc::new(AtomicBool::new(false));
        let env = &self.options.env;
        let namespace = Arc::new(Local::new(local_home(env)));
        let context = WorkerContext::new(namespace, env.clone(), Arc::clone(&cancel));
        let listen = |stopper: Stopper<R>| {
            signals.listen(move |signal| stopper.stop(StopReason::Signal(signal)))
        };
        let limits = self.options.time_limits();
        let outcome = supervise(limits, &cancel, listen, move || work(request, &context));
        self.finish_here(outcome)
    }

    fn finish_here<R>(&self, outcome: WorkOutcome<R>) -> Result<RunOutcome<R>, Problem> {
        match outcome {
            WorkOutcome::Done(reply, stop_reason) => Ok(RunOutcome {
                reply,
                stop_reason,
                identity: None,
                notices: Vec::new(),
            }),
            WorkOutcome::Abandoned(reason) => Err(self.options.abandoned(reason)),
            WorkOutcome::Panicked => Err(Problem::NoReply {
                cause: "panic".to_owned(),
                last_line: "no message".to_owned(),
            }),
        }
    }

    /// Runs a worker that receives the signals of this process.
    fn run_worker<T>(
        &self,
        log: &mut dyn FnMut(&str),
        run: impl FnOnce(WorkerRun<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let signals = install_signals()?;
        let (sender, mut receiver) = unbounded_channel();
        let _listener = signals.listen(move |signal| {
            // Can't fail: the receiver outlives this listener.
            let _ = sender.send(signal);
        });
        run(WorkerRun {
            facts: self.facts,
            options: self.options,
            signals: &mut receiver,
            log,
        })
    }
}

fn install_signals() -> Result<Signals, Problem> {
    signals::install().map_err(|error| Problem::io("catch signals in", "/proc/self", &error))
}
