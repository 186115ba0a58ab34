//! Work that can be called off, and that can't outstay its welcome.
//!
//! The work runs on a thread of its own and watches a flag. The supervisor waits for its result,
//! for a time limit and for others to call it off; then it raises the flag and gives the work a
//! grace time. Work that does not stop is left behind: the supervisor returns, the program returns
//! from `main`, and the process ends with the thread. So nothing here calls `exit`, and a phase
//! ends in time even if a disk call hangs.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Why the work was asked to stop before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A signal, by number.
    Signal(i32),
    /// The time limit.
    Timeout,
    /// The other side is gone: its end of the pipe was closed.
    ParentGone,
}

/// How supervised work ended.
#[derive(Debug)]
pub enum WorkOutcome<R> {
    /// It returned, perhaps after it had been asked to stop.
    Done(R, Option<StopReason>),
    /// It was asked to stop and had not after the grace time.
    Abandoned(StopReason),
    /// It panicked.
    Panicked,
}

enum WorkEvent<R> {
    Finished(thread::Result<R>),
    Stop(StopReason),
}

/// Asks supervised work to stop. May be called from any thread, any number of times; the first
/// reason counts.
pub struct Stopper<R> {
    events: Sender<WorkEvent<R>>,
    cancel: Arc<AtomicBool>,
}

impl<R> Stopper<R> {
    /// Raises the flag at once and starts the grace time.
    pub fn stop(&self, why: StopReason) {
        self.cancel.store(true, Ordering::Relaxed);
        // Nobody listens any more once the work is done.
        drop(self.events.send(WorkEvent::Stop(why)));
    }
}

/// How long the work may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// Until it is asked to stop; without, for ever.
    pub timeout: Option<Duration>,
    /// From then until it is left behind. Work whose other side is gone has [`ORPHAN_GRACE`] at
    /// most.
    pub grace: Duration,
}

/// How long work may take to stop when nobody waits for its result any more. The engine needs about
/// as long to clear up after it, and the whole is to be over within a second. What is left
/// unfinished has names that nobody uses.
pub const ORPHAN_GRACE: Duration = Duration::from_millis(250);

/// Stack of the thread that works: what the main thread would have had.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work` on a thread of its own. `listen` gets a stopper before the work starts, and what it
/// returns is kept until the end (listeners that stop listening when dropped).
pub fn supervise<R: Send + 'static, L>(
    limits: TimeLimits,
    cancel: &Arc<AtomicBool>,
    listen: impl FnOnce(Stopper<R>) -> L,
    work: impl FnOnce() -> R + Send + 'static,
) -> WorkOutcome<R> {
    let (events, heard) = mpsc::channel();
    let listeners = listen(Stopper {
        events: events.clone(),
        cancel: Arc::clone(cancel),
    });
    let worker = thread::Builder::new()
        .name("work".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // What a panic left half done is never looked at again: it only becomes
            // `WorkOutcome::Panicked`.
            let result = panic::catch_unwind(AssertUnwindSafe(work));
            // Nobody listens any more when the work was left behind.
            drop(events.send(WorkEvent::Finished(result)));
        });
    if worker.is_err() {
        return WorkOutcome::Panicked;
    }
    let ended = wait(&heard, limits, cancel);
    drop(listeners);
    ended
}

fn wait<R>(
    heard: &Receiver<WorkEvent<R>>,
    limits: TimeLimits,
    cancel: &AtomicBool,
) -> WorkOutcome<R> {
    let mut deadline = limits
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut why = None;
    loop {
        let event = match deadline {
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                heard.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        let reason = match event {
            Ok(WorkEvent::Finished(Ok(result))) => return WorkOutcome::Done(result, why),
            Ok(WorkEvent::Finished(Err(_))) | Err(RecvTimeoutError::Disconnected) => {
                return WorkOutcome::Panicked;
            }
            Ok(WorkEvent::Stop(reason)) => reason,
            Err(RecvTimeoutError::Timeout) => match why {
                Some(why) => return WorkOutcome::Abandoned(why),
                None => StopReason::Timeout,
            },
        };
        if why.is_none() {
            cancel.store(true, Ordering::Relaxed);
            why = Some(reason);
            let grace = match reason {
                StopReason::ParentGone => limits.grace.min(ORPHAN_GRACE),
                StopReason::Signal(_) | StopReason::Timeout => limits.grace,
            };
            deadline = Some(Instant::now() + grace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: TimeLimits = TimeLimits {
        timeout: Some(Duration::from_millis(30)),
        grace: Duration::from_millis(60),
    };
    const PATIENT: TimeLimits = TimeLimits {
        timeout: Some(Duration::from_secs(60)),
        grace: Duration::from_secs(60),
    };

    fn until(cancel: &AtomicBool) {
        while !cancel.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_result_is_handed_over() {
        let ended = supervise(PATIENT, &Arc::default(), |_| (), || 7);
        assert!(matches!(ended, WorkOutcome::Done(7, None)));
    }

    #[test]
    fn work_that_heeds_the_flag_gives_its_result_after_the_time_limit() {
        let cancel = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&cancel);
        let ended = supervise(
            QUICK,
            &cancel,
            |_| (),
            move || {
                until(&seen);
                7
            },
        );
        assert!(matches!(
            ended,
            WorkOutcome::Done(7, Some(StopReason::Timeout))
        ));
    }

    #[test]
    fn work_that_ignores_the_flag_is_left_behind() {
        let start = Instant::now();
        let ended = supervise(
            QUICK,
            &Arc::default(),
            |_| (),
            || thread::sleep(Duration::from_secs(30)),
        );
        assert!(matches!(ended, WorkOutcome::Abandoned(StopReason::Timeout)));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn work_that_nobody_waits_for_is_left_behind_sooner() {
        let start = Instant::now();
        let listen = |stopper: Stopper<()>| stopper.stop(StopReason::ParentGone);
        let ended = supervise(PATIENT, &Arc::default(), listen, || {
            thread::sleep(Duration::from_secs(30))
        });
        assert!(matches!(
            ended,
            WorkOutcome::Abandoned(StopReason::ParentGone)
        ));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_first_reason_to_stop_is_the_one_that_is_told() {
        let cancel = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&cancel);
        let listen = |stopper: Stopper<()>| {
            stopper.stop(StopReason::Signal(2));
            stopper.stop(StopReason::Signal(15));
        };
        let ended = supervise(PATIENT, &cancel, listen, move || until(&seen));
        assert!(matches!(
            ended,
            WorkOutcome::Done((), Some(StopReason::Signal(2)))
        ));
    }

    #[test]
    fn a_panic_is_told_apart_at_once() {
        let start = Instant::now();
        let ended: WorkOutcome<()> =
            supervise(PATIENT, &Arc::default(), |_| (), || panic!("on purpose"));
        assert!(matches!(ended, WorkOutcome::Panicked));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
