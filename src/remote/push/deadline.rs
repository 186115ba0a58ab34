//! The time by which a push writes its record.

use std::time::{Duration, Instant, SystemTime};

/// A time that has passed when one of two clocks says so: the monotonic clock stands still while the
/// machine is suspended, and the other one can be set back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushDeadline {
    monotonic: Instant,
    wall: SystemTime,
}

impl PushDeadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            monotonic: Instant::now() + limit,
            wall: SystemTime::now() + limit,
        }
    }

    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.monotonic || SystemTime::now() >= self.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_passed_when_one_of_the_clocks_says_so() {
        let hour = Duration::from_secs(60 * 60);
        let later = PushDeadline::after(hour);
        assert!(!later.has_passed());
        let suspended = PushDeadline {
            wall: later.wall - 2 * hour,
            ..later
        };
        let set_back = PushDeadline {
            monotonic: Instant::now(),
            ..later
        };
        assert!(suspended.has_passed() && set_back.has_passed());
    }
}
