//! Runs jobs on the threads of the rayon pool, in order.
//!
//! rayon's own iterators split a list in halves, so two threads would read a pack at its start and
//! in its middle. Here each thread takes the next job from the front. The disk is then read nearly
//! sequentially, and the largest jobs can come first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadBuilder, ThreadPoolBuilder};

/// Bytes. Set explicitly, so that a limit of the environment does not make it smaller.
const STACK: usize = 2 << 20;

/// Starts the threads of the pool, at most `count`. Where the limits of the system allow none, the
/// calling thread does all work.
///
/// Without this call rayon starts its threads itself, and panics if one can't be started.
pub fn start(count: usize) {
    // The threads exist before the pool does, so the pool is as large as is possible.
    let mut waiting = start_waiting(count);
    let pool = ThreadPoolBuilder::new();
    // An error means that there is a pool already.
    let _ = if waiting.is_empty() {
        pool.num_threads(1).use_current_thread().build_global()
    } else {
        pool.num_threads(waiting.len())
            .spawn_handler(|thread| {
                let sent = waiting.pop().map(|sender| sender.send(thread));
                sent.and_then(Result::ok)
                    .ok_or(std::io::ErrorKind::BrokenPipe.into())
            })
            .build_global()
    };
}

/// Starts threads that each wait for their place in a pool.
fn start_waiting(count: usize) -> Vec<mpsc::Sender<ThreadBuilder>> {
    let start = |_| {
        let (sender, receiver) = mpsc::channel::<ThreadBuilder>();
        let run = move || receiver.recv().map_or((), ThreadBuilder::run);
        let started = thread::Builder::new().stack_size(STACK).spawn(run);
        started.ok().map(|_| sender)
    };
    (0..count).map_while(start).collect()
}

/// From how many items [`map`] uses other threads: waking them takes longer than a few small files.
const MANY_ITEMS: usize = 64;

/// The results of `run` for each item, in order; in parallel if there are many items.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    if items.len() < MANY_ITEMS {
        items.iter().map(run).collect()
    } else {
        items.par_iter().map(run).collect()
    }
}

/// Runs `run` on each job, on all threads of the pool, starting them in the order of the list.
///
/// Each thread creates a state with `state`, such as buffers and open directories, and reuses it
/// for all its jobs. After the first error, which is returned, no further jobs start.
pub(crate) fn for_each_in_order<J, S, E>(
    jobs: &[J],
    state: impl Fn() -> S + Sync,
    run: impl Fn(&mut S, &J) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    J: Sync,
    E: Send,
{
    let queue = JobQueue::new(jobs);
    let run_jobs = || {
        let mut state = state();
        while let Some(job) = queue.take() {
            if let Err(error) = run(&mut state, job) {
                queue.fail(error);
            }
        }
    };
    let threads = rayon::current_num_threads().min(jobs.len());
    if threads <= 1 {
        run_jobs();
    } else {
        rayon::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|_| run_jobs());
            }
        });
    }
    queue.result()
}

/// Runs `run` on up to `count` threads that are started for it, because they wait for a network and
/// would keep those of the pool from work. Each takes jobs from the queue until there is none.
#[cfg(any(feature = "remote", test))]
pub(crate) fn on_threads<J, E>(
    count: usize,
    jobs: &[J],
    run: impl Fn(&JobQueue<'_, J, E>) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    J: Sync,
    E: Send,
{
    let queue = JobQueue::new(jobs);
    thread::scope(|scope| {
        for _ in 0..count.min(jobs.len()) {
            scope.spawn(|| {
                if let Err(error) = run(&queue) {
                    queue.fail(error);
                }
            });
        }
    });
    queue.result()
}

/// Jobs that several threads take from the front. After an error there are none.
pub(crate) struct JobQueue<'j, J, E> {
    jobs: &'j [J],
    next: AtomicUsize,
    stopped: AtomicBool,
    failed: Mutex<Option<E>>,
}

impl<'j, J, E> JobQueue<'j, J, E> {
    fn new(jobs: &'j [J]) -> Self {
        Self {
            jobs,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            failed: Mutex::new(None),
        }
    }

    pub(crate) fn take(&self) -> Option<&'j J> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn fail(&self, error: E) {
        self.stopped.store(true, Ordering::Relaxed);
        lock(&self.failed).get_or_insert(error);
    }

    /// The first error.
    fn result(self) -> Result<(), E> {
        into_inner(self.failed).map_or(Ok(()), Err)
    }
}

/// Locks a mutex, even if a thread panicked while it held it.
///
/// A panic of one worker ends the whole operation anyway; it must not hide behind a second panic.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a mutex, even if a thread panicked while it held it.
pub fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_runs_once() {
        let counts: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        let jobs: Vec<usize> = (0..1000).collect();
        for_each_in_order(
            &jobs,
            || (),
            |(), &job| {
                counts[job].fetch_add(1, Ordering::Relaxed);
                Ok::<(), ()>(())
            },
        )
        .unwrap();
        assert!(
            counts
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 1)
        );
    }

    #[test]
    fn the_first_error_is_returned_and_stops_the_jobs() {
        let jobs: Vec<usize> = (0..10_000).collect();
        let ran = AtomicUsize::new(0);
        let result = for_each_in_order(
            &jobs,
            || (),
            |(), &job| {
                ran.fetch_add(1, Ordering::Relaxed);
                if job == 5 { Err("stop") } else { Ok(()) }
            },
        );
        assert_eq!(result, Err("stop"));
        assert!(ran.load(Ordering::Relaxed) < jobs.len());
    }

    #[test]
    fn threads_of_their_own_take_every_job_once() {
        let jobs: Vec<usize> = (0..1000).collect();
        let ran = AtomicUsize::new(0);
        let run = |queue: &JobQueue<'_, usize, &str>| {
            while let Some(job) = queue.take() {
                ran.fetch_add(*job, Ordering::Relaxed);
            }
            Ok(())
        };
        assert_eq!(on_threads(3, &jobs, run), Ok(()));
        assert_eq!(ran.load(Ordering::Relaxed), jobs.iter().sum::<usize>());
        assert_eq!(on_threads(3, &jobs, |_| Err("stop")), Err("stop"));
    }

    #[test]
    fn a_queue_has_no_jobs_after_an_error_and_keeps_the_first_one() {
        let queue = JobQueue::new(&[1, 2, 3]);
        assert_eq!(queue.take(), Some(&1));
        queue.fail("first");
        queue.fail("second");
        assert_eq!(queue.take(), None);
        assert_eq!(queue.result(), Err("first"));
    }
}
