//! Work that can be stopped and that always ends in time.
//!
//! The work runs on a thread of its own and watches a flag. The supervisor waits for its result,
//! for the time limit, and for a request to stop. Then it sets the flag and gives the work a grace
//! time. Work that does not stop is abandoned: the supervisor returns, the program returns from
//! `main`, and the process ends together with the thread. So nothing here calls `exit`, and a phase
//! ends in time even if a system call for a disk hangs.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Why work was stopped before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The number of a signal.
    Signal(i32),
    Timeout,
    /// The entrypoint of a worker ended: its end of the pipe was closed.
    ParentGone,
}

#[derive(Debug)]
pub(super) enum WorkOutcome<R> {
    /// The work returned. If it was asked to stop before, the reason is given.
    Done(R, Option<StopReason>),
    /// The work did not stop within the grace time.
    Abandoned(StopReason),
    Panicked,
}

enum WorkEvent<R> {
    Finished(thread::Result<R>),
    Stop(StopReason),
}

/// Stops supervised work. Can be used from any thread and more than once; the first reason counts.
pub(super) struct Stopper<R> {
    events: Sender<WorkEvent<R>>,
    cancel: Arc<AtomicBool>,
}

impl<R> Stopper<R> {
    /// Sets the flag at once and starts the grace time.
    pub(super) fn stop(&self, reason: StopReason) {
        self.cancel.store(true, Ordering::Relaxed);
        // Fails once the work is done, because nobody receives events any more.
        drop(self.events.send(WorkEvent::Stop(reason)));
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimits {
    /// How long the work may take until it is asked to stop.
    pub(super) timeout: Option<Duration>,
    /// How long it may take to stop until it is abandoned. At most [`ORPHAN_GRACE`] if the
    /// entrypoint ended.
    pub(super) grace: Duration,
}

impl TimeLimits {
    /// How long the work may take to stop for this reason.
    fn grace_after(self, reason: StopReason) -> Duration {
        match reason {
            StopReason::ParentGone => self.grace.min(ORPHAN_GRACE),
            StopReason::Signal(_) | StopReason::Timeout => self.grace,
        }
    }
}

/// How long work may take to stop when nobody waits for its result any more. The engine needs about
/// as long to clean up, and all of it should be over within a second. Files left unfinished have
/// temporary names.
pub const ORPHAN_GRACE: Duration = Duration::from_millis(250);

/// The stack of the thread that works is as large as that of a main thread.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work` on a thread of its own. Before it starts, `listen` gets a stopper. What `listen`
/// returns is dropped when the work has ended, which ends the listening.
pub(super) fn supervise<R: Send + 'static, L>(
    limits: TimeLimits,
    cancel: &Arc<AtomicBool>,
    listen: impl FnOnce(Stopper<R>) -> L,
    work: impl FnOnce() -> R + Send + 'static,
) -> WorkOutcome<R> {
    let (events, receiver) = mpsc::channel();
    let listeners = listen(Stopper {
        events: events.clone(),
        cancel: Arc::clone(cancel),
    });
    let worker = thread::Builder::new()
        .name("work".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // `AssertUnwindSafe`: after a panic nothing of the work's state is used again.
            let result = panic::catch_unwind(AssertUnwindSafe(work));
            // Fails if the work was abandoned, because nobody receives events any more.
            drop(events.send(WorkEvent::Finished(result)));
        });
    if worker.is_err() {
        return WorkOutcome::Panicked;
    }
    let outcome = wait(&receiver, limits, cancel);
    drop(listeners);
    outcome
}

fn wait<R>(
    events: &Receiver<WorkEvent<R>>,
    limits: TimeLimits,
    cancel: &AtomicBool,
) -> WorkOutcome<R> {
    let mut deadline = limits
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut stop_reason = None;
    loop {
        let reason = match next_event(events, deadline) {
            Ok(WorkEvent::Finished(Ok(result))) => return WorkOutcome::Done(result, stop_reason),
            Ok(WorkEvent::Finished(Err(_))) | Err(RecvTimeoutError::Disconnected) => {
                return WorkOutcome::Panicked;
            }
            Ok(WorkEvent::Stop(reason)) => reason,
            Err(RecvTimeoutError::Timeout) => match stop_reason {
                Some(reason) => return WorkOutcome::Abandoned(reason),
                None => StopReason::Timeout,
            },
        };
        if stop_reason.is_none() {
            cancel.store(true, Ordering::Relaxed);
            stop_reason = Some(reason);
            deadline = Some(Instant::now() + limits.grace_after(reason));
        }
    }
}

fn next_event<R>(
    events: &Receiver<WorkEvent<R>>,
    deadline: Option<Instant>,
) -> Result<WorkEvent<R>, RecvTimeoutError> {
    match deadline {
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: TimeLimits = TimeLimits {
        timeout: Some(Duration::from_millis(30)),
        grace: Duration::from_millis(60),
    };
    const LONG: TimeLimits = TimeLimits {
        timeout: Some(Duration::from_secs(60)),
        grace: Duration::from_secs(60),
    };

    fn wait_for(cancel: &AtomicBool) {
        while !cancel.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_result_is_returned() {
        let outcome = supervise(LONG, &Arc::default(), |_| (), || 7);
        assert!(matches!(outcome, WorkOutcome::Done(7, None)));
    }

    #[test]
    fn work_that_stops_at_the_time_limit_returns_its_result() {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        let outcome = supervise(
            SHORT,
            &cancel,
            |_| (),
            move || {
                wait_for(&flag);
                7
            },
        );
        assert!(matches!(
            outcome,
            WorkOutcome::Done(7, Some(StopReason::Timeout))
        ));
    }

    #[test]
    fn work_that_ignores_the_flag_is_abandoned() {
        let start = Instant::now();
        let outcome = supervise(
            SHORT,
            &Arc::default(),
            |_| (),
            || thread::sleep(Duration::from_secs(30)),
        );
        assert!(matches!(
            outcome,
            WorkOutcome::Abandoned(StopReason::Timeout)
        ));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn work_without_a_parent_is_abandoned_sooner() {
        let start = Instant::now();
        let listen = |stopper: Stopper<()>| stopper.stop(StopReason::ParentGone);
        let outcome = supervise(LONG, &Arc::default(), listen, || {
            thread::sleep(Duration::from_secs(30));
        });
        assert!(matches!(
            outcome,
            WorkOutcome::Abandoned(StopReason::ParentGone)
        ));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_first_reason_to_stop_is_reported() {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        let listen = |stopper: Stopper<()>| {
            stopper.stop(StopReason::Signal(2));
            stopper.stop(StopReason::Signal(15));
        };
        let outcome = supervise(LONG, &cancel, listen, move || wait_for(&flag));
        assert!(matches!(
            outcome,
            WorkOutcome::Done((), Some(StopReason::Signal(2)))
        ));
    }

    #[test]
    fn a_panic_is_reported_at_once() {
        let start = Instant::now();
        let outcome: WorkOutcome<()> =
            supervise(LONG, &Arc::default(), |_| (), || panic!("on purpose"));
        assert!(matches!(outcome, WorkOutcome::Panicked));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
