//! How long the remote is used in all.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::workers;

/// A clock that runs while the remote is used, by one thread or by several.
#[derive(Debug, Default)]
pub(super) struct UsageClock(Mutex<ClockState>);

#[derive(Debug, Default)]
struct ClockState {
    /// The time of the uses that have ended.
    before: Duration,
    /// How many uses there are now, and since when there is one.
    users: usize,
    since: Option<Instant>,
}

/// Ends the use when it is dropped.
pub(super) struct RunningUse<'c>(&'c UsageClock);

impl UsageClock {
    pub(super) fn start(&self) -> RunningUse<'_> {
        let mut state = workers::lock(&self.0);
        state.users += 1;
        state.since.get_or_insert_with(Instant::now);
        RunningUse(self)
    }

    /// The time in which there was a use, up to now.
    pub(super) fn elapsed(&self) -> Duration {
        let state = workers::lock(&self.0);
        state.before + state.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Drop for RunningUse<'_> {
    fn drop(&mut self) {
        let mut state = workers::lock(&self.0.0);
        state.users -= 1;
        if state.users == 0
            && let Some(since) = state.since.take()
        {
            state.before += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_with_a_use_counts_and_that_of_several_counts_once() {
        let pause = || std::thread::sleep(Duration::from_millis(5));
        let clock = UsageClock::default();
        pause();
        assert_eq!(clock.elapsed(), Duration::ZERO);
        let start = Instant::now();
        let uses = [clock.start(), clock.start()];
        pause();
        drop(uses);
        let used = clock.elapsed();
        assert!(used >= Duration::from_millis(5) && used <= start.elapsed());
        pause();
        assert_eq!(clock.elapsed(), used);
    }
}
